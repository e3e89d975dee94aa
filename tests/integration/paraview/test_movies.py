"""Movies, previews and supersampled images of a real ParaView."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from images import pixels
from movies import SRGB, SRGB_ATOM, color_atom, color_tags, decoded, read_back
from processes import Run
from waiting import wait_for

pytestmark = pytest.mark.slow
SIZE = "320x200"
LINES = """
from paraview.simple import *
view = CreateView("RenderView")
view.ViewSize = [160, 100]
view.UseColorPaletteForBackground = 0
view.Background = [1, 1, 1]
view.OrientationAxesVisibility = 0
sphere = Sphere(ThetaResolution=12, PhiResolution=9)
shown = Show(sphere, view)
shown.SetRepresentationType("Wireframe")
shown.AmbientColor = shown.DiffuseColor = [0.8, 0, 0]
shown.Ambient, shown.Diffuse, shown.LineWidth = 1, 0, {width}
label = Show(Text(Text="text"), view)
label.Color = [0, 0, 0]
ResetCamera(view)
view.CameraPosition = [1, 0.7, 3]
"""


def ink(picture: np.ndarray) -> float:
    """Return how much of a white picture is drawn on."""
    return float((255 - picture[..., 1].astype(float)).mean())


@pytest.mark.parametrize("options", [(), ("--one-pass",)], ids=["tiles", "one-pass"])
def test_supersampled_lines_and_text_are_smooth_and_as_wide_as_before(run: Run, tmp_path: Path, options) -> None:
    scene = tmp_path / "lines.py"
    scene.write_text(LINES.format(width=2))
    found = {}
    for factor in (1, 2):
        words = ("--size", SIZE, "--ranks", 1, "--movie", "none", "--camera", "orbit:4", "--frames", 1, *options)
        done = run("render", scene, *words, "--supersample", factor)
        assert done.returncode == 0, done.stderr
        found[factor] = pixels(tmp_path / "lines_renders" / SIZE / "frame_000001.png")
    plain, smooth = found[1], found[2]
    assert plain.shape == smooth.shape == (200, 320, 3)
    corner = slice(0, 25), slice(0, 60)  # the text
    for part in (corner, (slice(25, None), slice(None))):
        assert ink(smooth[part]) == pytest.approx(ink(plain[part]), rel=0.1)
    dark = [np.argwhere(picture[corner][..., 0] < 128) for picture in (plain, smooth)]
    assert np.abs(dark[0].max(0) - dark[1].max(0)).max() <= 2
    assert not np.array_equal(plain, smooth)


def test_the_movie_has_the_colors_of_its_images_and_a_preview_follows_the_run(run: Run, tmp_path: Path) -> None:
    scene = tmp_path / "lines.py"
    scene.write_text(LINES.format(width=1))
    output, name = tmp_path / "lines_renders", f"lines_{SIZE}"
    command = [
        sys.executable,
        "-m",
        "mpirender",
        "render",
        str(scene),
        "--size",
        SIZE,
        "--camera",
        "orbit:8",
        "--quiet",
    ]
    command += ["--ranks", "1", "--supersample", "2", "--codec", "h265", "--pixel-format", "yuv444p"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (output / ".mpirender" / "job.json").exists() or process.poll() is not None)
        watched = run("encode", output, "--watch")
        said = process.communicate(timeout=120)[1]
    assert (process.returncode, watched.returncode) == (0, 0), said + watched.stderr
    assert "(8 of 8 frames, the last is 7; " in watched.stdout
    images = np.stack([iio.imread(output / SIZE / f"frame_{frame:06d}.png") for frame in range(8)]).astype(int)
    for path, kind, off in ((f"{name}.mp4", ("hevc", "yuv444p"), 2), (f"{name}_preview.mp4", ("h264", "yuv420p"), 8)):
        made = read_back(output / path)
        assert (color_tags(made.path), color_atom(made.path)) == (SRGB, SRGB_ATOM)
        assert (made.codec, made.pixel_format) == kind
        assert np.abs(decoded(made.path) - images).mean() < off
