"""Read journals that are truncated, old, or rewritten while mpirender status reads them."""

from __future__ import annotations

import json
import re

from journal_writer import Scribe
from mpirender.monitor.status import text
from mpirender.monitor.status.follow import Follower
from mpirender.run_folder import events, lock
from processes import Run


def test_clocks_that_go_ahead_give_no_negative_ages(alive: Scribe) -> None:
    alive.rendering()
    alive.take(0, 0, 5000)
    alive.done(0, 0, 5010)
    alive.take(0, 1, 5010)
    shown = alive.text()
    assert "HD frame 1 for 0.0 s" in shown
    assert "rate  0.10 images/s" in shown  # measured with the clock of that rank
    assert not re.search(r"-\d", shown.split("renderer")[1])


def test_damaged_lines_are_skipped_and_counted(run: Run, alive: Scribe) -> None:
    alive.rendering()
    for frame in range(4):
        alive.done(0, frame, 10)
    path = alive.folder / "rank-0000.jsonl"
    for number, damage in ((1, (b'"bytes": 100', b'"bytes": 101')), (2, (b'"HD"', b'"hD"'))):
        lines = path.read_bytes().splitlines(keepends=True)
        lines[-2 * number + 1] = lines[-2 * number + 1].replace(*damage)
        path.write_bytes(b"".join(lines))
    assert alive.look().done == 2
    assert "   warning  2 lines of the journals were damaged and skipped\n" in alive.text()
    assert json.loads(run("status", alive.output, "--json").stdout)["skipped_lines"] == 2


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
    assert (alive.look().done, alive.look().skipped_lines) == (1, 1)


def test_a_folder_that_is_emptied_and_used_again_is_read_again(alive: Scribe) -> None:
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


def test_escape_sequences_in_a_journal_do_not_reach_the_terminal(run: Run, alive: Scribe) -> None:
    alive.rendering()
    alive.write(0, events.Warning("\x1b]0;owned\x07 \x9b2J"), 5)
    assert run("status", alive.output).stdout.count(r"warning  \x1b]0;owned\x07 \x9b2J") == 1
    assert not re.search(r"[\x1b\x07\x9b]", "\n".join(text.fitting(alive.look(), 80, 24)))
