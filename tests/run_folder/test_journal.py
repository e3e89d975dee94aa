from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from disks import disk
from mpirender.job.outputs import Image, Output
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal, Tail
from mpirender.system import files
from sample_events import at, done, fail, take
from waiting import wait_for


def note(folder: Path, event: Event, rank: int = 0) -> None:
    with Journal(folder, rank, "host") as log:
        log.write(event)


def frames(found: list[Event]) -> list[int]:
    return [event.image.frame for event in found]


def test_records_come_back_in_the_order_of_their_times(tmp_path: Path) -> None:
    with Journal(tmp_path, 0, "a") as first, Journal(tmp_path, 1, "b") as second:
        written = [first.write(take(0, 0)), second.write(take(1, 1)), first.write(done(0, 0))]
    assert journal.read(tmp_path) == written


def test_a_line_cut_short_by_a_crash_is_skipped_and_the_next_run_goes_on_behind_it(tmp_path: Path) -> None:
    note(tmp_path, take(0, 0))
    with (tmp_path / "rank-0000.jsonl").open("ab") as file:
        file.write(b'{"event": "done", "fra')
    note(tmp_path, take(0, 1))
    assert frames(journal.read(tmp_path)) == [0, 1]


def test_the_tail_sees_only_what_is_new_and_whole(tmp_path: Path) -> None:
    note(tmp_path, take(0, 0))
    tail = Tail(tmp_path)
    assert tail.read() == []
    note(tmp_path, take(0, 1))
    with (tmp_path / "rank-0000.jsonl").open("ab") as file:
        line = journal.line(at(take(0, 2), time=9e9))
        file.write(line[:-2])
        file.flush()
        assert frames(tail.read()) == [1]
        file.write(line[-2:])
    assert frames(tail.read()) == [2]
    note(tmp_path, take(7, 3), rank=7)
    assert frames(tail.read()) == [3]


def test_the_last_word_on_an_image_counts_and_other_fingerprints_do_not(tmp_path: Path) -> None:
    note(tmp_path, fail(0, 0, fingerprint="x"))
    note(tmp_path, done(0, 0, fingerprint="x"))
    note(tmp_path, done(0, 1, fingerprint="y"))
    last = journal.newest(journal.read(tmp_path), "x", [Output("HD", 1920, 1080)])
    assert {image: type(outcome) for image, outcome in last.items()} == {Image(0, "HD"): events.Done}


def test_an_image_of_a_size_that_had_other_sides_then_is_left_out(tmp_path: Path) -> None:
    note(tmp_path, done(0, 0, output="a", fingerprint="x", pixels=(160, 90)))
    note(tmp_path, done(0, 1, output="b", fingerprint="x", pixels=(80, 50)))
    found = journal.newest(journal.read(tmp_path), "x", [Output("a", 160, 90), Output("b", 160, 90)])
    assert list(found) == [Image(0, "a")]


def test_the_journal_of_the_supervisor_is_read_too(tmp_path: Path) -> None:
    with Journal(tmp_path, None, "host") as log:
        written = log.write(events.Launch("r1", 1, ranks=2, pid=1))
    assert "rank" not in written.to_json()
    assert journal.read(tmp_path) == [written]
    assert (tmp_path / "run.jsonl").exists()


def test_a_record_that_a_full_disk_cuts_short_is_an_error_and_the_next_one_is_whole(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=8k") as folder:
        with Journal(folder, 0, "host") as log:
            with pytest.raises(OSError, match="No space left"):
                for number in range(1000):
                    log.write(take(0, number))
            kept = len(journal.read(folder))
            assert kept > 10
            subprocess.run(["mount", "-o", "remount,size=1m", str(folder)], check=True)
            log.write(done(0, 5))
        assert list(map(type, journal.read(folder))) == [events.Take] * kept + [events.Done]


def test_a_process_that_records_nothing_else_records_that_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "BEAT_SECONDS", 0.5)
    with Journal(tmp_path, 0, "host") as log:
        with log.beating():
            for frame in range(30):
                log.write(take(0, frame))
                time.sleep(0.05)
            assert {type(event) for event in journal.read(tmp_path)} == {events.Take}
            wait_for(lambda: any(isinstance(event, events.Beat) for event in journal.read(tmp_path)), 10)
        written = len(journal.read(tmp_path))
        time.sleep(1.2)
        assert len(journal.read(tmp_path)) == written, "it ends with the block"


def test_a_full_disk_does_not_end_the_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BEAT_SECONDS", 0.1)
    with disk(tmp_path / "disk", "size=8k") as folder, Journal(folder, 0, "host") as log:
        with pytest.raises(OSError, match="No space left"):
            for number in range(1000):
                log.write(take(0, number))
        with log.beating():
            time.sleep(1.2)
            subprocess.run(["mount", "-o", "remount,size=1m", str(folder)], check=True)
            wait_for(lambda: any(isinstance(event, events.Beat) for event in journal.read(folder)), 10)


def test_a_file_put_in_place_is_known_again(tmp_path: Path) -> None:
    written, place = tmp_path / ".part-a", tmp_path / "a"
    written.write_bytes(b"picture")
    record = files.put_in_place(written, place)
    assert not written.exists()
    assert journal.whole(place, record["bytes"], record["digest"])


@pytest.mark.parametrize("damage", [b"", b"pictur", b"pictuRe", b"picture "])
def test_a_damaged_file_is_not_whole(tmp_path: Path, damage: bytes) -> None:
    written, place = tmp_path / ".part-a", tmp_path / "a"
    written.write_bytes(b"picture")
    record = files.put_in_place(written, place)
    place.write_bytes(damage)
    assert not journal.whole(place, record["bytes"], record["digest"])
    place.unlink()
    assert not journal.whole(place, record["bytes"], record["digest"])


def test_an_image_of_another_view_under_the_same_name_does_not_count() -> None:
    outcome = done(0, 0, fingerprint="x", pixels=(8, 4), shows=("A", None))
    for output, counts in (
        (Output("HD", 8, 4, "A"), True),
        (Output("HD", 8, 4, "B"), False),
        (Output("HD", 8, 4), False),
    ):
        assert (Image(0, "HD") in journal.newest([outcome], "x", [output])) is counts


@pytest.mark.parametrize("made", ["folder", "pipe", "/dev/zero", "rank-0001.jsonl", "gone"])
def test_what_is_no_file_but_has_the_name_of_a_journal_is_left_alone(tmp_path: Path, made: str) -> None:
    place = tmp_path / "rank-0001.jsonl"
    make = {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}
    make.get(made, lambda: place.symlink_to(made))()
    note(tmp_path, events.Phase("load"))
    tail = Tail(tmp_path, from_start=True)
    assert [event.phase for event in tail.read()] == ["load"]
    assert not tail.replaced()
    assert Tail(tmp_path).read() == []
