"""Create a benchmark scene inside pvbatch: ``pvbatch --no-mpi -m benchmarks.make_scenes NAME STATE FRAMES``.

The views are smaller than the images, like those of states saved from the GUI.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from paraview import servermanager, simple
from vtkmodules.vtkFiltersCore import vtkContourFilter
from vtkmodules.vtkImagingCore import vtkRTAnalyticSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

SMALL_WINDOW = (400, 400)
WINDOW = (1554, 1027)  # size of the view beside ParaView's panels on a full-HD screen
LEAST, MOST = 16, 56  # half side lengths of the smallest and largest box of the series, in points


def cone(state: Path, frames: int) -> None:
    """Save a cone with an orbiting camera."""
    view = new_view(SMALL_WINDOW)
    simple.Show(simple.Cone(Resolution=24), view)
    orbit(view, frames, radius=5, height=1)


def isosurfaces(state: Path, frames: int) -> None:
    """Save five isosurfaces of a wavelet with an orbiting camera."""
    view = new_view(WINDOW)
    wavelet = simple.Wavelet(WholeExtent=[-60, 60] * 3)
    contour = simple.Contour(Input=wavelet, ContourBy=["POINTS", "RTData"], Isosurfaces=[80, 115, 150, 185, 220])
    shown = simple.Show(contour, view)
    simple.ColorBy(shown, ("POINTS", "RTData"))
    simple.GetColorTransferFunction("RTData").RescaleTransferFunction(60.0, 260.0)
    orbit(view, frames, radius=330, height=110)


def series(state: Path, frames: int) -> None:
    """Write surfaces that grow and shrink, one file per timestep, and save a view of them."""
    surfaces(state, [half_side(step, frames) for step in range(frames)])


def growing(state: Path, frames: int) -> None:
    """Write surfaces that grow all the time, one file per timestep, and save a view of them."""
    surfaces(state, [round(LEAST + (MOST - LEAST) * step / max(frames - 1, 1)) for step in range(frames)])


def surfaces(state: Path, halves: Sequence[int]) -> None:
    """Write surfaces in boxes with these half side lengths, one file per timestep, and save a view of them."""
    view = new_view(WINDOW)
    reader = simple.PVDReader(FileName=str(write_series(state.with_suffix(""), halves)))
    simple.Show(reader, view)
    view.CameraPosition, view.CameraFocalPoint = [150, 100, 185], [0, 0, 0]
    animation = simple.GetAnimationScene()
    animation.UpdateAnimationUsingDataTimeSteps()
    animation.PlayMode = "Snap To TimeSteps"


def write_series(folder: Path, halves: Sequence[int]) -> Path:
    """Write one surface per timestep and the file that lists them; return the path of that file."""
    folder.mkdir()
    names = [f"surface_{step:04d}.vtp" for step in range(len(halves))]
    for name, half in zip(names, halves):
        source, contour, writer = vtkRTAnalyticSource(), vtkContourFilter(), vtkXMLPolyDataWriter()
        source.SetWholeExtent(*[-half, half] * 3)
        contour.SetInputConnection(source.GetOutputPort())
        for number, value in enumerate((100, 150, 200)):
            contour.SetValue(number, value)
        writer.SetInputConnection(contour.GetOutputPort())
        writer.SetFileName(str(folder / name))
        writer.Write()
    steps = "\n".join(f'<DataSet timestep="{step}" file="{name}"/>' for step, name in enumerate(names))
    listed = folder / "surfaces.pvd"
    listed.write_text(f'<VTKFile type="Collection"><Collection>\n{steps}\n</Collection></VTKFile>\n')
    return listed


def half_side(step: int, frames: int) -> int:
    """Return half the side length of a timestep's box, in points: most are small, a third are much larger."""
    place = step / max(frames - 1, 1)
    return round(LEAST + (MOST - LEAST) * math.exp(-(((place - 0.65) / 0.16) ** 2)))


def new_view(sides: tuple[int, int]) -> Any:  # noqa: ANN401 - ParaView's proxies have no types
    """Return a view of this size in a separate layout."""
    view = simple.CreateView("RenderView")
    simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Main"))
    view.ViewSize = list(sides)
    return view


def orbit(view: Any, frames: int, *, radius: float, height: float) -> None:  # noqa: ANN401
    """Make the camera orbit the origin once."""
    first, last = simple.CameraKeyFrame(KeyTime=0.0), simple.CameraKeyFrame(KeyTime=1.0)
    corners = ((radius, 0), (0, radius), (-radius, 0), (0, -radius))
    first.PositionPathPoints = [side for x, y in corners for side in (x, y, height)]
    first.FocalPathPoints = [0, 0, 0]
    first.ClosedPositionPath = 1
    for name, key in (("first", first), ("last", last)):
        # Only registered keyframes are saved in a state.
        servermanager.ProxyManager().RegisterProxy("animation", name, key.SMProxy)
    track = simple.GetCameraTrack(view=view)
    track.Mode = "Path-based"
    track.KeyFrames = [first, last]
    animation = simple.GetAnimationScene()
    animation.PlayMode = "Sequence"
    animation.NumberOfFrames = frames


SCENES: dict[str, Callable[[Path, int], None]] = {
    "cone": cone,
    "isosurfaces": isosurfaces,
    "series": series,
    "growing": growing,
}

if __name__ == "__main__":
    STATE = Path(sys.argv[2])
    SCENES[sys.argv[1]](STATE, int(sys.argv[3]))
    simple.SaveState(str(STATE))
