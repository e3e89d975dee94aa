"""Check that frames are pixel for pixel identical to those of ParaView's own SaveAnimation."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine_scripts import engine_script
from images import SIZE, assert_same_pictures, pixels
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "schedule", "ranks"),
    [
        ("orbit", "dynamic", 2),
        ("annotated", "interleaved", 1),
        ("annotated", "contiguous", 5),
        ("annotated", "dynamic", 2),
        ("series", "interleaved", 3),
    ],
)
def test_a_frame_is_paraviews_frame_whatever_the_ranks_and_the_schedule(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, name: str, schedule: str, ranks: int
) -> None:
    """In the series only the shape and the step number change, so labels of axes must not jump between ranks."""
    done = run(
        "render", scenes.state(name), "--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames(name))
    borders = {pixels(path)[240:].tobytes() for path in (tmp_path / "out" / SIZE).iterdir()}
    assert name != "series" or len(borders) == 1


@pytest.mark.parametrize("schedule", ["interleaved", "contiguous"])
def test_axes_around_data_that_grow_and_shrink_are_paraviews_too(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, schedule: str
) -> None:
    done = run(
        "render", scenes.state("pulse"), "--size", SIZE, "--ranks", 2, "--schedule", schedule, "--movie", "none",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("pulse"))


def test_frames_stay_paraviews_when_a_run_goes_on_after_losing_some(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    command = ("render", scenes.state("annotated"), "--size", SIZE, "--output", tmp_path / "out", "--movie", "none")
    assert run(*command, "--frames", "1,4", "--ranks", 1).returncode == 0
    (tmp_path / "out" / SIZE / "frame_000004.png").unlink()
    again = run(*command, "--ranks", 2)
    assert "5 rendered, 1 kept from before" in again.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("annotated"))


@pytest.mark.parametrize(
    ("option", "value", "paraview"),
    [
        ("--override-color-palette", "WhiteBackground", "OverrideColorPalette='WhiteBackground'"),
        ("--font-scaling", "Do not scale fonts", "FontScaling='Do not scale fonts'"),
        ("--transparent-background", None, "TransparentBackground=1"),
        ("--stereo-mode", "Red-Blue", "StereoMode='Red-Blue'"),
    ],
)
def test_paraviews_own_screenshot_options_give_paraviews_images(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, option: str, value: str | None, paraview: str
) -> None:
    state = scenes.state("annotated")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "960x540", paraview)
    given = (option,) if value is None else (option, value)
    done = run(
        "render", state, *given, "--size", "960x540", "--movie", "none", "--output", tmp_path / "out", "--ranks", 2
    )
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "960x540", tmp_path / "reference")


def test_a_frame_repeated_for_each_timestep_is_repeated(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """In Snap To TimeSteps mode ParaView renders each timestep FramesPerTimestep times."""
    state = tmp_path / "repeated.pvsm"
    content = scenes.state("series").read_text()
    changed = re.sub(r'(name="FramesPerTimestep"[^>]*>\s*<Element index="0" value=)"1"', r'\1"2"', content)
    assert changed != content
    state.write_text(changed)
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    done = run("render", state, "--size", SIZE, "--movie", "none", "--ranks", 1, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_memory_of_a_rank_does_not_grow_with_the_frames(scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    script = engine_script(
        tmp_path,
        scenes.state("orbit"),
        f"""
import resource
from pathlib import Path
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for turn in range(300):
    assert scene.render(turn % len(scene.frames), job.outputs[0], Path({str(tmp_path)!r}) / "a.png").errors == []
    if turn == 50:
        early = peak()
print("grown by", peak() - early)
""",
    )
    grown = float(pvbatch(script).stdout.rpartition("grown by ")[2])
    assert grown < 10, f"{grown:.0f} MB over 250 frames; a leaked image would make 170"


@pytest.mark.parametrize(("schedule", "ranks"), [("auto", 3), ("interleaved", 2)])
def test_particles_and_their_trails_are_those_of_one_process(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, schedule: str, ranks: int
) -> None:
    """Also after frames in the middle were deleted and the run resumed."""
    words = ("--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", tmp_path / "out")
    done = run("render", scenes.state("flow"), *words)
    assert done.returncode == 0, done.stderr
    assert "Tracer1, Trails1 depend on earlier frames" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("flow"))
    for frame in (2, 5):
        (tmp_path / "out" / SIZE / f"frame_{frame:06d}.png").unlink()
    again = run("render", scenes.state("flow"), *words)
    assert "2 rendered, 6 kept from before" in again.stdout, again.stdout + again.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("flow"))
