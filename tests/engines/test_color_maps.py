"""``--color-range``: colour maps whose range is found over time, frozen or given, as ParaView would by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from mpirender import engines
from mpirender.engines.paraview import color_range
from mpirender.errors import UsageError
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks import color_range_survey
from mpirender.run_folder import journal
from processes import Run
from repository import SUPPORT


@pytest.mark.parametrize("text", ["all", "global,", "1", "1,", "RTData=", "RTData=max", "=global", "a,b"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"--color-range .* must be global, data, clamp or MIN,MAX"):
        RenderJob("x.pvsm", color_range=text)


def test_a_range_goes_from_less_to_more() -> None:
    with pytest.raises(UsageError, match="--color-range 3,3: the first number must be less than the second"):
        RenderJob("x.pvsm", color_range=("3,3", "RTData=-1e-3,.5"))


def test_arrays_have_ways_of_their_own() -> None:
    texts = ("global", "RTData=60,260", "a=b=clamp")
    assert [color_range.how(texts, array) for array in ("RTData", "a=b", "other")] == ["60,260", "clamp", "global"]
    assert color_range.how(texts[1:], "other") is None
    assert (color_range.fixed("-1e2, .5"), color_range.fixed("global")) == ((-100.0, 0.5), None)


def test_they_are_part_of_the_job_its_command_and_its_pixels() -> None:
    job = RenderJob("x.pvsm", color_range=("global", "p=0,1"))
    assert RenderJob.from_json(job.to_json()) == job
    assert job.arguments()[-4:] == ["--color-range", "global", "--color-range", "p=0,1"]
    assert job.pixel_options() != RenderJob("x.pvsm").pixel_options()


def test_ranges_of_parts_are_joined() -> None:
    parts = [{"p": (0.0, 2.0)}, {}, {"p": (-1.0, 1.0), "T": (3.0, 3.0)}]
    assert engines.merge_ranges(parts) == {"p": (-1.0, 2.0), "T": (3.0, 3.0)}


def test_only_the_answer_to_the_same_question_is_known() -> None:
    records = [{"event": "survey", "of": "a", "ranges": {"p": [0, 1]}}, {"event": "done"}]
    assert (color_range_survey.known(records, "a"), color_range_survey.known(records, "b")) == ({"p": (0, 1)}, {})


class Alone:
    """A communicator of one rank."""

    rank, size = 0, 1

    def bcast(self, given: object, root: int) -> object:
        return given

    def allgather(self, given: object) -> list[object]:
        return [given]


def test_what_was_found_until_a_signal_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    """It would give a run that goes on another range than one that was not stopped."""
    seen: list[int] = []
    scene = SimpleNamespace(
        frames_to_survey=lambda frames: frames, set_color_ranges=lambda found: None,
        survey=lambda frame, first: seen.append(frame) or {"p": (0.0, float(frame))},
    )  # fmt: skip
    images = [Image(frame, "HD") for frame in range(4)]

    def settle(go_on) -> dict[str, list[float]]:
        with journal.Journal(tmp_path, 0, "here") as log:
            records = journal.read(tmp_path)
            return color_range_survey.settle(Alone(), log, scene, images, records=records, about="x", go_on=go_on)

    settle(lambda: len(seen) < 2)
    assert settle(lambda: True) == {"p": [0.0, 3.0]}
    assert seen == [0, 1, 0, 1, 2, 3]
    assert settle(lambda: False) == {"p": [0.0, 3.0]}, "that is known now"


# What somebody would do by hand in ParaView's Python, after loading the state.
BY_HAND = {
    "global": """
scene, shown = simple.GetAnimationScene(), simple.GetDisplayProperties(simple.FindSource("Contour1"))
for number in (5, 4, 3, 2, 1, 0):
    scene.AnimationTime = number / 5
    shown.RescaleTransferFunctionToDataRange(number < 5)
simple.GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Never"
""",
    "data": """
scene, shown = simple.GetAnimationScene(), simple.GetDisplayProperties(simple.FindSource("Contour1"))
scene.AnimationTime = 1
scene.AnimationTime = 0
shown.RescaleTransferFunctionToDataRange(False)
""",
    "clamp": """
simple.GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Clamp and update every timestep"
""",
    "RTData=100,220": """
simple.GetColorTransferFunction("RTData").RescaleTransferFunction(100, 220)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", list(BY_HAND))
def test_the_pictures_are_those_of_the_same_range_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, how: str
) -> None:
    state = scenes.state("annotated")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE, f"first={BY_HAND[how]!r}")
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--color-range", how)
    done = run("render", state, *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["auto", "interleaved"])
def test_a_map_that_grows_grows_as_in_one_process(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, schedule: str
) -> None:
    """Also where a run goes on after losing a frame from the middle."""
    maker = tmp_path / "maker.py"
    maker.write_text(
        "import sys\nfrom paraview import simple\nsimple.LoadState(sys.argv[1])\n"
        "colours = simple.GetColorTransferFunction('RTData')\ncolours.RescaleTransferFunction(150, 160)\n"
        "colours.AutomaticRescaleRangeMode = 'Grow and update every timestep'\nsimple.SaveState(sys.argv[2])\n"
    )
    state, output = tmp_path / "growing.pvsm", tmp_path / "out"
    pvbatch(maker, scenes.state("annotated"), state)
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--schedule", schedule, "--output", output)
    done = run("render", state, *words)
    assert done.returncode == 0, done.stderr
    assert "the colour map of RTData grows with every timestep" in done.stdout
    assert_same_pictures(output / SIZE, tmp_path / "reference")
    (output / SIZE / "frame_000002.png").unlink()
    assert "1 rendered, 5 kept from before" in run("render", state, *words).stdout
    assert_same_pictures(output / SIZE, tmp_path / "reference")


@pytest.mark.slow
def test_a_run_that_goes_on_does_not_look_again_and_other_frames_have_another_range(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("render", scenes.state("annotated"), "--size", SIZE, "--movie", "none", "--ranks", 2, "--output", output)
    words = ("--color-range", "global")
    assert run(*command, *words).returncode == 0
    (output / SIZE / "frame_000003.png").unlink()
    again = run(*command, *words)
    assert "1 rendered, 5 kept from before" in again.stdout, again.stdout
    found = [record["ranges"] for record in journal.read(output / ".mpirender") if record["event"] == "survey"]
    assert len(found) == 1
    assert found[0]["RTData"] == pytest.approx([120, 200])
    fewer = run(*command, *words, "--frames", "0-2")
    assert "3 images here are made with other ranges of colour maps; rendered again" in fewer.stdout, fewer.stdout


@pytest.mark.slow
def test_an_array_that_colours_nothing_is_told_before_any_rank_starts(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    done = run("render", scenes.state("annotated"), "--color-range", "RTDate=0,1", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "nothing is coloured by 'RTDate', did you mean 'RTData'?; coloured by: RTData" in done.stderr
    done = run("render", scenes.state("orbit"), "--color-range", "global", "--output", tmp_path / "out")
    assert (done.returncode, "nothing in the scene is coloured by an array" in done.stderr) == (2, True)
