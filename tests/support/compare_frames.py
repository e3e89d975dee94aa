"""Compare frames that the ParaView engine renders with ParaView's own SaveAnimation, all in one pvbatch.

:func:`compare` is called by a script of :func:`engine_scripts.comparison_script`. It prints ``NAME: same`` or, for each
frame that differs, the number of pixels.
"""

import tempfile
from pathlib import Path

from paraview import simple
from vtkmodules.vtkIOImage import vtkPNGReader

from mpirender.engines.paraview import engine
from mpirender.engines.paraview.screenshot import pixels
from mpirender.job.render_job import RenderJob


def animate(name, proxy, first, last):
    """Let a track move a property from one value to another; its key frames are saved with the state."""
    track = simple.GetAnimationTrack(name, index=0, proxy=proxy)
    keys = [simple.CompositeKeyFrame(KeyTime=time, KeyValues=[value]) for time, value in ((0, first), (1, last))]
    track.KeyFrames = keys
    for key in keys:
        simple.servermanager.ProxyManager().RegisterProxy("animation", f"{name}{key.KeyTime}", key.SMProxy)
    simple.GetAnimationScene().NumberOfFrames = 3


def split_layout(left, right):
    """Show two views of different size side by side, so that both change their shape in an image."""
    layout = simple.CreateLayout("Both")
    simple.AssignViewToLayout(view=left, layout=layout, hint=0)
    layout.SplitHorizontal(0, 0.5)
    simple.AssignViewToLayout(view=right, layout=layout, hint=2)
    left.ViewSize, right.ViewSize = [400, 300], [400, 400]


def save_animation(state, size, layout):
    """Return the pixels of ParaView's own frames."""
    simple.ResetSession()
    simple._DisableFirstRenderCameraReset()
    simple.LoadState(state)
    if layout:
        shown = next(proxy for name, proxy in simple.GetLayouts().items() if name[0] == layout)
        simple.RenderAllViews()
    else:
        shown = (simple.GetRenderViews() or simple.GetViews())[0]
        simple.Render(shown)
    resolution = [int(side) for side in size.split("x")]
    with tempfile.TemporaryDirectory() as folder:
        simple.SaveAnimation(f"{folder}/f.png", shown, FrameWindow=[0, 9999], ImageResolution=resolution)
        return [read(path) for path in sorted(Path(folder).iterdir())]


def read(path):
    """Return the pixels of an image."""
    reader = vtkPNGReader()
    reader.SetFileName(str(path))
    reader.Update()
    return pixels(reader.GetOutput()).copy()


def compare(name, folder, make, sizes=("400x300", "410x736"), layout="", order=(2, 0, 1, 0)):
    """Save the scene that ``make`` builds, and compare its frames, rendered in an odd order and in two sizes."""
    simple.ResetSession()
    make()
    state = f"{folder}/{name}.pvsm"
    simple.SaveState(state)
    expected = {size: save_animation(state, size, layout) for size in sizes}
    simple.ResetSession()
    job = RenderJob(scene=state, sizes=sizes, layouts=(layout,) if layout else ())
    scene = engine.open_scene(engine.prepare(job.scene.read_bytes(), job)[0], job)
    assert scene.errors == [], scene.errors
    wrong = []
    for frame in order:
        for output in job.outputs:
            errors, picture, *_ = scene.render(frame, output, Path("frame.png"))
            own = expected[f"{output.width}x{output.height}"][frame]
            different = (picture != own).any(axis=-1).sum()
            if errors or different:
                wrong.append(f"frame {frame} in {output.name}: {different} pixels {errors}")
    print(f"{name}:", "; ".join(wrong) or "same", flush=True)
