"""Damage the journals of a finished run at random: no reader fails, and at most the damaged record is lost."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import mpirender
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.monitor.status import follow
from mpirender.monitor.status.follow import Follower
from mpirender.ranks import color_range_survey, resume
from mpirender.reencode import inventory
from mpirender.run_folder import events, journal
from mpirender.run_folder.run_state import RunHistory
from mpirender.supervisor import result
from mpirender.supervisor.in_flight import RunningRanks

SEED = 20


class Alone:
    """A communicator of one rank."""

    rank, size = 0, 1

    def scatter(self, given: list[object], root: int) -> object:
        return given[0]

    def allgather(self, given: object) -> list[object]:
        return [given]


class FinishedRun:
    """A complete run that can be passed to every reader of journals."""

    def __init__(self, job: RenderJob) -> None:
        self.job = job
        self.images = [Image(frame, output.name) for frame in range(4) for output in job.outputs]
        plan = next(event for event in journal.read(job.folder) if isinstance(event, events.Plan))
        self.fingerprint, self.parts = plan.fingerprint, plan.parts

    def lost(self) -> set[Image]:
        """Run every reader of the journals; return the images that would be rendered again."""
        past = journal.read(self.job.folder)
        kept = resume.completed(Alone(), self.job, self.images, past, self.fingerprint)
        resume.outdated(self.job, past, self.images, self.fingerprint, self.parts)
        color_range_survey.recorded(past, "x")
        plan = inventory.newest_plan(past)
        if plan is not None:
            inventory.inventory_of(self.job, self.job.outputs, (0, 1, 2, 3), past, plan)
        for run in RunHistory(past).runs.values():
            RunningRanks(run.now).hanging(1.0)
            if run.planned is not None:
                result.result_of(self.job, run, 1.0)
        status = Follower(self.job.output).look()
        assert follow.as_text(status) and json.loads(follow.as_json(status))
        return {*self.images} - {*kept}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("damage")
    (folder / "test.pattern").write_text('{"frames": 4}')
    sizes = ("16x10", "8x6")
    job = RenderJob(folder / "test.pattern", folder / "out", sizes=sizes, ranks=2, movie="none", schedule="interleaved")
    mpirender.render(job)
    return FinishedRun(job)


def damaged(text: bytes, chance: random.Random) -> tuple[bytes, int]:
    """Change, insert or delete a random byte; return the text and the position."""
    place, byte = chance.randrange(len(text)), bytes([chance.randrange(256)])
    how = chance.choice(("change", "insert", "cut"))
    before, after = text[:place], text[place + (how != "insert") :]
    return before + (b"" if how == "cut" else byte) + after, place


def images_in(line: bytes) -> set[Image]:
    """Return the image of the record in a line if the record completes one."""
    record = json.loads(line) if line.strip() else {}
    return {Image(*record["image"])} if record.get("event") == "done" else set()


def tries(run: FinishedRun, count: int) -> Iterator[tuple[Path, bytes, random.Random]]:
    chance = random.Random(SEED)
    whole = {path: path.read_bytes() for path in sorted(run.job.folder.glob("*.jsonl"))}
    for path in itertools.islice(itertools.cycle(whole), count):
        try:
            yield path, whole[path], chance
        finally:
            path.write_bytes(whole[path])


@pytest.mark.slow
def test_a_random_byte_costs_at_most_the_image_of_its_record(finished: FinishedRun) -> None:
    assert finished.lost() == set()
    for path, text, chance in tries(finished, 2000):
        changed, place = damaged(text, chance)
        path.write_bytes(changed)
        start = text.rfind(b"\n", 0, place) + 1
        end = text.find(b"\n", place + (start == place))  # a record starts with a line break
        assert finished.lost() <= images_in(text[start:end]), changed[start : end + 1]


@pytest.mark.slow
def test_a_record_with_a_random_value_costs_at_most_the_images_that_it_names(finished: FinishedRun) -> None:
    """The checksum matches the damaged record, as if another program had written it."""
    for path, text, chance in tries(finished, 500):
        lines = text.splitlines(keepends=True)
        number = chance.choice([number for number, line in enumerate(lines) if line.strip()])
        whole = lines[number].rpartition(journal.CHECK)[0]
        record, _ = damaged(whole, chance)
        lines[number] = journal.with_check(record + b"}")
        path.write_bytes(b"".join(lines))
        try:
            named = images_in(lines[number])
        except (ValueError, TypeError, KeyError, AttributeError):
            named = set()
        assert finished.lost() <= images_in(whole + b"}") | named, record
