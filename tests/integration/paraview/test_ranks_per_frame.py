"""Render each frame with several ranks of ParaView."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from processes import Run
from records import records
from repository import SUPPORT

SMALL = ("--size", "80x50", "--movie", "none")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["annotated", "flow"])
def test_a_frame_is_what_paraview_itself_makes_of_it_on_so_many_ranks(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str
) -> None:
    """The group and the previous frame must not matter; covers partitioned data, axes around it and particles."""
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), tmp_path / "reference", SIZE, ranks=2)
    words = ("--size", SIZE, "--movie", "none", "--ranks", 4, "--ranks-per-frame", 2, "--output", tmp_path / "out")
    done = run("render", scenes.state(name), *words)
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


@pytest.mark.slow
def test_edges_differ_from_those_of_one_rank_by_little_and_memory_by_more(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """Compare 1, 2 and 3 ranks per frame."""
    whole = ("--set", f"can.ex2.WholeExtent={[-150, 150] * 3}", "--set", "Contour1.Isosurfaces=[220]")
    peaks, pictures = [], []
    for count, ranks in ((1, 1), (2, 2), (3, 4)):
        output = tmp_path / f"{count}"
        words = ("--size", "320x200", "--movie", "none", "--frames", "0-1", "--ranks", ranks, "--output", output)
        done = run("render", scenes.state("cut"), *words, *whole, "--ranks-per-frame", count)
        assert done.returncode == 0, done.stderr
        peaks.append(max(record.memory for record in records(output, "done")))
        pictures.append([pixels(path).astype(int) for path in sorted((output / "320x200").glob("*.png"))])
    assert peaks[0] > peaks[1] + 20e6 > peaks[2] + 40e6, "the ranks of a group share 27 million points of 4 bytes"
    for pair in zip(*pictures):
        for other in pair[1:]:
            far = np.abs(pair[0] - other).max(axis=-1)
            assert (far > 0).mean() < 2e-3
            assert (far > 16).mean() < 2e-4


SLOPE = """
import sys
from paraview import simple
view = simple.CreateView("RenderView")
simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Main"))
view.ViewSize = [320, 200]
whole = simple.Wavelet(WholeExtent=[-10, 10, -10, 10, -10, 10])
slope = simple.Elevation(Input=whole, LowPoint=[-10, -10, -10], HighPoint=[10, 10, 10])
shown = simple.Show(slope, view)
shown.SetRepresentationType("Surface")
simple.ColorBy(shown, ("POINTS", "Elevation"))
simple.GetColorTransferFunction("Elevation").RescaleTransferFunction(-2, 3)
simple.ResetCamera(view)
simple.GetAnimationScene().NumberOfFrames = 2
simple.SaveState(sys.argv[1])
"""


@pytest.mark.slow
def test_ranges_of_color_maps_are_found_over_all_pieces(run: Run, pvbatch: Run, tmp_path: Path) -> None:
    """No rank has both the minimum and the maximum."""
    maker, state = tmp_path / "maker.py", tmp_path / "slope.pvsm"
    maker.write_text(SLOPE)
    pvbatch(maker, state)
    pictures = []
    for count in (1, 2):
        output = tmp_path / f"{count}"
        words = ("--size", "320x200", "--movie", "none", "--color-range", "global", "--output", output)
        done = run("render", state, *words, "--ranks", count, "--ranks-per-frame", count)
        assert done.returncode == 0, done.stderr
        assert records(output, "survey")[0].ranges == {"Elevation": (0.0, 1.0)}
        pictures.append(pixels(output / "320x200" / "frame_000000.png").astype(int))
    for other in pictures[1:]:
        assert (np.abs(pictures[0] - other).max(axis=-1) > 8).mean() < 1e-3
    refused = run("render", state, "--color-range", "clamp", "--ranks", 2, "--ranks-per-frame", 2)
    assert refused.returncode == 2
    assert "--color-range clamp is rescaled every timestep; with --ranks-per-frame" in refused.stderr


@pytest.mark.slow
def test_an_error_in_the_piece_of_one_rank_fails_the_frame_and_no_other(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    broken = scenes.folder / "pieces_data" / "step_3_1.vtp"
    content = broken.read_bytes()
    words = (
        "render",
        scenes.state("pieces"),
        *SMALL,
        "--ranks",
        4,
        "--ranks-per-frame",
        2,
        "--output",
        tmp_path / "out",
    )
    try:
        broken.write_bytes(content[:3000])
        done = run(*words)
        assert done.returncode == 4
        assert re.search(
            r"80x50 frames 3: rank \d on \S+: vtkXMLPolyDataReader: Cannot read .* \(tried twice\)", done.stderr
        )
    finally:
        broken.write_bytes(content)
    again = run(*words, "--ranks", 2)
    # Groups do not observe which files a frame reads, so the data of all frames count.
    assert "5 images here are made with other data files; rendered again" in again.stdout, again.stdout
    assert again.returncode == 0, again.stderr
    one = tmp_path / "one"
    assert run("render", scenes.state("pieces"), *SMALL, "--ranks", 1, "--output", one).returncode == 0
    for frame in range(6):
        name = f"80x50/frame_{frame:06d}.png"
        assert np.abs(pixels(tmp_path / "out" / name).astype(int) - pixels(one / name)).max() <= 8


@pytest.mark.slow
def test_images_that_paraview_writes_itself_are_those_of_one_rank(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--size", SIZE, "--movie", "none", "--image-format", "jpg", "--ranks", 2)
    for count in (1, 2):
        done = run(
            "render", scenes.state("orbit"), *words, "--ranks-per-frame", count, "--output", tmp_path / f"{count}"
        )
        assert done.returncode == 0, done.stderr
    for path in sorted((tmp_path / "1" / SIZE).iterdir()):
        assert np.abs(pixels(path).astype(int) - pixels(tmp_path / "2" / SIZE / path.name)).mean() < 1
