"""Render with growing color maps, and with --color-range over all frames."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from mpirender.run_folder import events, journal
from processes import Run
from repository import SUPPORT


@pytest.mark.slow
def test_a_map_that_grows_grows_as_in_one_process(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Also after a frame in the middle was deleted and the run resumed."""
    maker = tmp_path / "maker.py"
    maker.write_text(
        "import sys\nfrom paraview import simple\nsimple.LoadState(sys.argv[1])\n"
        "colours = simple.GetColorTransferFunction('RTData')\ncolours.RescaleTransferFunction(150, 160)\n"
        "colours.AutomaticRescaleRangeMode = 'Grow and update every timestep'\nsimple.SaveState(sys.argv[2])\n"
    )
    state = tmp_path / "growing.pvsm"
    pvbatch(maker, scenes.state("annotated"), state)
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    for schedule in ("auto", "interleaved"):
        output = tmp_path / schedule
        words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--schedule", schedule, "--output", output)
        done = run("render", state, *words)
        assert done.returncode == 0, done.stderr
        assert "the color map of RTData grows with every timestep" in done.stdout
        assert_same_pictures(output / SIZE, tmp_path / "reference")
        (output / SIZE / "frame_000002.png").unlink()
        assert "1 rendered, 5 kept from before" in run("render", state, *words).stdout
        assert_same_pictures(output / SIZE, tmp_path / "reference")


@pytest.mark.slow
def test_a_run_that_goes_on_does_not_look_again_and_other_frames_have_another_range(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("render", scenes.state("annotated"), "--size", SIZE, "--movie", "none", "--ranks", 1, "--output", output)
    words = ("--color-range", "global")
    assert run(*command, *words).returncode == 0
    (output / SIZE / "frame_000003.png").unlink()
    again = run(*command, *words)
    assert "1 rendered, 5 kept from before" in again.stdout, again.stdout
    found = [record.ranges for record in journal.read(output / ".mpirender") if isinstance(record, events.Survey)]
    assert len(found) == 1
    assert found[0]["RTData"] == pytest.approx([120, 200])
    fewer = run(*command, *words, "--frames", "0-2")
    assert "3 images here are made with other ranges of color maps; rendered again" in fewer.stdout, fewer.stdout


@pytest.mark.slow
def test_an_array_that_colors_nothing_is_reported_before_any_rank_starts(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    done = run("render", scenes.state("annotated"), "--color-range", "RTDate=0,1", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "nothing is colored by 'RTDate', did you mean 'RTData'?; arrays used for coloring: RTData" in done.stderr
    done = run("render", scenes.state("orbit"), "--color-range", "global", "--output", tmp_path / "out")
    assert (done.returncode, "nothing in the scene is colored by an array" in done.stderr) == (2, True)
