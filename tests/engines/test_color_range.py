"""Parse --color-range, and find the ranges of color maps over all frames."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import sample_events
from mpirender.engines.base import merge_ranges
from mpirender.engines.paraview import color_range
from mpirender.errors import UsageError
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks import color_range_survey
from mpirender.run_folder import events, journal


@pytest.mark.parametrize("text", ["all", "global,", "1", "1,", "RTData=", "RTData=max", "=global", "a,b"])
def test_an_invalid_range_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match=r"^color_range .* must be global, data, clamp or MIN,MAX"):
        RenderJob("x.pvsm", color_range=text)


def test_a_range_goes_from_less_to_more() -> None:
    with pytest.raises(UsageError, match=r"^color_range 3,3: the first number must be less than the second"):
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
    assert merge_ranges(parts) == {"p": (-1.0, 2.0), "T": (3.0, 3.0)}


def test_only_the_answer_to_the_same_question_is_known() -> None:
    past = [events.Survey("a", {"p": (0.0, 1.0)}), sample_events.done(0, 1)]
    assert (color_range_survey.recorded(past, "a"), color_range_survey.recorded(past, "b")) == ({"p": (0, 1)}, {})


class Alone:
    """A communicator of one rank."""

    rank, size = 0, 1

    def bcast(self, given: object, root: int) -> object:
        return given

    def allgather(self, given: object) -> list[object]:
        return [given]


def test_what_was_found_until_a_signal_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    """Otherwise a resumed run would use another range than an uninterrupted one."""
    seen: list[int] = []
    scene = SimpleNamespace(
        frames_to_survey=lambda frames: frames, set_color_ranges=lambda found: None,
        survey=lambda frame, first: seen.append(frame) or {"p": (0.0, float(frame))},
    )  # fmt: skip
    images = [Image(frame, "HD") for frame in range(4)]

    def settle(go_on) -> dict[str, list[float]]:
        with journal.Journal(tmp_path, 0, "here") as log:
            past = journal.read(tmp_path)
            return color_range_survey.survey(Alone(), log, scene, images, past=past, key="x", go_on=go_on)

    settle(lambda: len(seen) < 2)
    assert settle(lambda: True) == {"p": [0.0, 3.0]}
    assert seen == [0, 1, 0, 1, 2, 3]
    assert settle(lambda: False) == {"p": [0.0, 3.0]}, "the complete survey is recorded"
