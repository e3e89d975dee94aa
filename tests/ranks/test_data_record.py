"""Record the data files of images, and find those that changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sample_events
from mpirender.engines.base import FileState
from mpirender.ranks import data_record
from mpirender.ranks.data_record import DataRecord
from mpirender.run_folder import events, journal
from mpirender.run_folder.event_values import File, Inputs
from mpirender.run_folder.journal import Journal

STATES = tuple(FileState(f"/data/{number}", number, 10**15 + number) for number in range(5))


def test_each_state_is_recorded_once_and_found_again(tmp_path: Path) -> None:
    with Journal(tmp_path, 0, "n1") as log:
        record = DataRecord(log)
        for frame in range(4):
            inputs = record.refer((*STATES[:3], STATES[3 + frame % 2]))
            done = log.write(sample_events.done(0, frame, inputs=inputs))
            assert set(record.states(done) or ()) == {*STATES[:3], STATES[3 + frame % 2]}
    past = journal.read(tmp_path)
    assert sum(len(event.files) for event in past if isinstance(event, events.Files)) == len(STATES)
    with Journal(tmp_path, 1, "n1") as log:
        again = DataRecord(log, past)
        for done in (event for event in past if isinstance(event, events.Done)):
            assert again.states(done) == record.states(done)


@pytest.mark.parametrize("inputs", [("b", "0"), ("a", "5"), ("a", "0-5"), ("a", "0-999999999")])
def test_an_image_whose_record_is_damaged_has_no_states(tmp_path: Path, inputs: tuple[str, str]) -> None:
    files = sample_events.at(events.Files("a", 0, tuple(File(*state) for state in STATES)))
    with Journal(tmp_path, 0, "n1") as log:
        states = DataRecord(log, [files]).states(sample_events.done(0, 1, inputs=Inputs(*inputs)))
    assert states is None


def test_changed_files_are_found(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("same", "longer", "newer", "gone")]
    for path in paths:
        path.write_text("x")
    states = [data_record.current(str(path)) for path in paths]
    paths[1].write_text("xy")
    os.utime(paths[2], (0, 10**6))
    paths[3].unlink()
    missing = FileState(str(tmp_path / "never"), 0, 0)
    assert data_record.changed([*states, missing]) == set(states[1:])


@pytest.mark.parametrize(("numbers", "text"), [([3], "3"), ([0, 1, 2, 5, 7, 8], "0-2,5,7-8")])
def test_numbers_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert data_record.ranges(numbers) == text
    assert [number for first, last in data_record.spans(text) for number in range(first, last + 1)] == numbers
