"""Read journals that are cut short, old, or written anew while mpirender status reads them."""

from __future__ import annotations

import re

from journal_writer import MARK, Scribe
from mpirender.monitor.status.follow import Follower
from mpirender.run_folder import lock


def test_clocks_that_go_ahead_give_no_negative_ages(alive: Scribe) -> None:
    alive.rendering()
    alive.take(0, 0, 5000)
    alive.done(0, 0, 5010)
    alive.take(0, 1, 5010)
    shown = alive.text()
    assert "HD frame 1 for 0.0 s" in shown
    assert "rate  0.10 images/s" in shown  # by the clock of that rank
    assert not re.search(r"-\d", shown.split("renderer")[1])


def test_journals_of_an_older_version_are_read(scribe: Scribe) -> None:
    scribe.write(2, "start", -500, ranks=3, pid=1)
    for rank in (0, 1):
        scribe.write(rank, "start", 1, ranks=2, pid=1)
    scribe.write(0, "plan", 2, frames="0-4", sizes=["HD"], total=5, left=5, fingerprint=MARK, warnings=[])
    scribe.write(1, "phase", 2, phase="render")
    scribe.write(1, "take", 3, frame=4)
    scribe.write(1, "done", 4, frame=4, output="HD", seconds=1.0, fingerprint=MARK)
    scribe.write(1, "take", 5, frame=3)
    scribe.write(1, "launched")
    scribe.write(None, "launch")
    seen = scribe.look()
    assert (seen.done, seen.left, seen.ranks[1].images, seen.ranks[1].memory) == (1, 4, 1, None)
    assert len(seen.ranks) == 2
    assert "ended in frame 3" in scribe.text()


def test_a_line_cut_short_is_left_for_later(alive: Scribe) -> None:
    alive.rendering()
    follower = Follower(alive.output)
    assert follower.look().done == 0
    alive.done(0, 0, 10)
    journal = alive.folder / "rank-0000.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    assert follower.look().done == 0
    assert alive.look().done == 0
    journal.write_bytes(whole)
    assert follower.look().done == 1


def test_a_line_cut_short_by_a_crash_costs_no_other(alive: Scribe) -> None:
    alive.rendering()
    with (alive.folder / "rank-0001.jsonl").open("ab") as file:
        file.write(b'{"event": "done", "fra')
    alive.done(1, 1, 10)
    assert alive.look().done == 1


def test_a_folder_that_is_emptied_and_used_again_is_read_anew(alive: Scribe) -> None:
    alive.rendering()
    alive.done(0, 0, 10)
    follower = Follower(alive.output)
    assert follower.look().done == 1
    empty(alive)
    assert follower.look().total is None
    alive.rendering(total=1000)
    assert follower.look().total == 1000
    empty(alive)
    alive.rendering(total=3)
    assert follower.look().total == 3


def empty(scribe: Scribe) -> None:
    for path in scribe.folder.glob("*.jsonl"):
        path.unlink()


def test_a_run_that_has_written_nothing_yet_is_starting_whatever_ran_before(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.finish(4, "older trouble")
    with lock.held(scribe.folder, "the next run"):
        seen = scribe.look()
        assert (seen.state, seen.phase, seen.total) == ("running", "starting the ranks", None)
        assert "older trouble" not in scribe.text()
    assert scribe.look().state == "failed"
