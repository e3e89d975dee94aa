"""What ``mpirender status`` says of a run that is going on, has ended or has died, from its folder alone."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_cli import wait_for_screen

from mpirender.job.render_job import RenderJob
from mpirender.monitor.status import follow, text
from mpirender.monitor.status.follow import Follower
from mpirender.monitor.status.view import Failure, Status
from mpirender.run_folder import lock
from mpirender.run_folder.journal import Journal, Record
from mpirender.run_folder.lock import Owner
from processes import Run, need

RENDERER = "ParaView 5.11.0, llvmpipe"
MARK = "f" * 32


class Scribe:
    """Writes the journals of a run as supervisor and ranks do, at times that the test names."""

    def __init__(self, output: Path, run: str = "r1", start: float | None = None) -> None:
        self.output = output
        self.run = run
        self.life = 1
        self.start = time.time() - 100 if start is None else start
        self.folder = output / ".mpirender"
        self.folder.mkdir(parents=True, exist_ok=True)
        job = RenderJob(scene=Path("/somewhere/orbit.pvsm"), output=output)
        (self.folder / "job.json").write_text(job.to_json())

    def write(self, rank: int | None, event: str, at: float = 0.0, **fields: object) -> Record:
        """Write a record ``at`` seconds after the start."""
        host = "login1" if rank is None else f"n{rank // 16}.cluster.example.org"
        with Journal(self.folder, rank, host) as log:
            return log.write(event, time=self.start + at, **fields)

    def launch(self, ranks: int = 2, at: float = 0.0, life: int = 1, set_aside: object = ()) -> None:
        self.life = life
        self.write(None, "launch", at, run=self.run, life=life, ranks=ranks, pid=1, set_aside=set_aside, suspects=[])

    def up(self, ranks: int = 2, at: float = 1.0) -> None:
        """Start the ranks and let them open the scene."""
        for rank in range(ranks):
            self.write(rank, "start", at, ranks=ranks, pid=rank + 10, run=self.run, life=self.life)
            self.write(rank, "phase", at, phase="load")
            self.write(rank, "phase", at, phase="opened", description=RENDERER)

    def plan(self, total: int = 10, left: int | None = None, at: float = 2.0, fingerprint: str = MARK) -> None:
        self.write(
            0, "plan", at, frames=f"0-{total - 1}", sizes=["HD"], total=total, left=total if left is None else left,
            left_of={"HD": total}, fingerprint=fingerprint, parts={}, warnings=[],
        )  # fmt: skip

    def phase(self, name: str, ranks: int = 2, at: float = 3.0) -> None:
        for rank in range(ranks):
            self.write(rank, "phase", at, phase=name)

    def rendering(self, ranks: int = 2, total: int = 10, **plan: object) -> None:
        """Bring a run so far that its ranks render."""
        self.launch(ranks)
        self.up(ranks)
        self.plan(total, **plan)
        self.phase("render", ranks)

    def take(self, rank: int, frame: int, at: float, size: str = "HD") -> None:
        self.write(rank, "take", at, frame=frame, output=size)

    def done(self, rank: int, frame: int, at: float, **fields: object) -> None:
        usual = {
            "frame": frame, "output": "HD", "pixels": [1920, 1080], "bytes": 9, "digest": "d", "seconds": 2.0,
            "memory": 410_000_000, "renderer": RENDERER, "fingerprint": MARK, "attempt": 1, "complaints": [],
        }  # fmt: skip
        self.write(rank, "done", at, **{**usual, **fields})

    def fail(self, rank: int, frame: int, at: float, reason: str = "no data", **fields: object) -> None:
        usual = {"frame": frame, "output": "HD", "fingerprint": MARK, "attempt": 1}
        self.write(rank, "fail", at, **{**usual, **fields}, reason=reason)

    def finish(self, code: int = 0, message: str = "", at: float = 60.0) -> None:
        self.write(None, "finish", at, code=code, message=message, seconds=at)

    def lock_of_another_host(self, silent: float = 0.0) -> None:
        """Leave the lock as a host does whose processes are not seen from here."""
        owner = Owner("n1", "another kernel", 4711, 5, self.run, self.start)
        path = self.folder / lock.LOCK
        path.write_text(json.dumps(dataclasses.asdict(owner)))
        os.utime(path, (time.time() - silent, time.time() - silent))

    def look(self) -> Status:
        return Follower(self.output).look()

    def text(self) -> str:
        return follow.as_text(self.look())


@pytest.fixture
def scribe(tmp_path: Path) -> Scribe:
    return Scribe(tmp_path / "out")


@pytest.fixture
def alive(scribe: Scribe) -> Iterator[Scribe]:
    """Give a run whose lock this process holds."""
    with lock.held(scribe.folder, scribe.run):
        yield scribe


def test_a_running_run_is_told_on_a_page(alive: Scribe) -> None:
    alive.rendering(total=1000, left=990)
    for frame in range(10, 90, 2):
        for rank in (0, 1):
            alive.take(rank, frame + rank, frame)
            alive.done(rank, frame + rank, frame + 1)
    alive.fail(1, 90, 91, "vtkXMLReader: cannot open\norbit_090.vtu")
    alive.fail(1, 91, 92, "vtkXMLReader: cannot open\norbit_090.vtu")
    alive.take(0, 314, 99.5)
    shown = alive.text().splitlines()
    pid = os.getpid()
    assert re.fullmatch(rf"   running  orbit.pvsm, for 1 min 4\d s, rendering \(pid {pid} on \S+\)", shown[0])
    assert shown[1] == "    images  90 of 1000 done, 2 failed, 908 left"
    assert re.fullmatch(r"      rate  0\.8\d images/s, 1\d min \d\d s left, ends at about \d\d:\d\d.*", shown[2])
    assert shown[3:6] == [
        "    failed  HD frames 90-91: vtkXMLReader: cannot open orbit_090.vtu",
        f"  renderer  {RENDERER}",
        "      rank  host  images  s/image  memory  last sign  doing",
    ]
    assert re.fullmatch(r"         0  n0        40     2.00  410 MB +\d s  HD frame 314 for \d\.\d s", shown[6])
    assert re.fullmatch(r"         1  n0        40     2.00  410 MB +\d+ s  waiting for the others", shown[7])
    assert len(shown) == 8


def test_the_estimate_follows_from_what_was_done_since_the_first_image(alive: Scribe) -> None:
    alive.rendering(total=100, left=50)
    alive.take(0, 50, 60)
    alive.done(0, 50, 70)
    alive.done(1, 51, 70)
    seen = alive.look()
    assert seen.rate == pytest.approx(1 / 40, rel=0.2)  # one rank has not told when it took its image
    assert seen.seconds_left == pytest.approx(48 / seen.rate)
    assert seen.ends == pytest.approx(seen.time + seen.seconds_left)


def test_json_holds_everything(run: Run, alive: Scribe) -> None:
    alive.rendering(ranks=40)
    alive.take(3, 5, 50)
    given = json.loads(run("status", alive.output, "--json").stdout)
    assert (given["state"], given["phase"], given["total"], given["left"]) == ("running", "rendering", 10, 10)
    assert (given["pid"], given["host"]) == (os.getpid(), socket.gethostname())
    assert len(given["ranks"]) == 40
    rank = given["ranks"][3]
    assert (rank["doing"], rank["frame"], rank["size"]) == ("rendering", 5, "HD")
    assert rank["taken"] == rank["heard"] == pytest.approx(alive.start + 50)


def test_a_run_on_another_host_runs_as_long_as_it_touches_its_lock(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.lock_of_another_host(silent=30)
    assert "rendering (pid 4711 on n1)" in scribe.text()
    scribe.lock_of_another_host(silent=90)
    shown = scribe.text()
    assert shown.startswith("      died  orbit.pvsm, last sign of life 1 min 3")
    assert "it was killed or its machine went away; run the same command again" in shown


def test_a_run_that_was_killed_here_has_died_at_once_and_its_images_in_hand_are_named(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.take(1, 7, 80)
    owner = dataclasses.replace(Owner.this_process(scribe.run), born=1)  # the pid was given out again
    (scribe.folder / lock.LOCK).write_text(json.dumps(dataclasses.asdict(owner)))
    assert scribe.look().state == "died"
    assert "ended in HD frame 7" in scribe.text()


@pytest.mark.parametrize(
    ("code", "message", "first", "second"),
    [
        (0, "", "  finished  orbit.pvsm, 40 s ago, after 1 min 00 s", "    images  "),
        (75, "stopped on SIGTERM; go on", "   stopped  orbit.pvsm, 40 s ago", "            stopped on SIGTERM; go on"),
        (130, "interrupted; go on", "   stopped  orbit.pvsm, 40 s ago", "            interrupted; go on"),
        (4, "HD frames 3: rank 1 on n2: no data", "    failed  orbit.pvsm, 40 s ago, after 1 min 00 s (exit code 4)",
         "            HD frames 3: rank 1 on n2: no data"),
    ],
)  # fmt: skip
def test_a_run_that_has_ended_says_how(scribe: Scribe, code: int, message: str, first: str, second: str) -> None:
    scribe.rendering()
    scribe.fail(1, 3, 50)
    scribe.finish(code, message)
    shown = scribe.text().splitlines()
    assert shown[0].startswith(first)
    assert shown[1].startswith(second)
    assert scribe.look().code == code
    # A message that names the failed image is not followed by the same again.
    assert sum("no data" in line for line in shown) == 1


def test_a_run_that_ends_while_one_looks_is_not_taken_for_dead(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    scribe.rendering()

    def gone(folder: Path) -> None:
        scribe.finish(0)

    monkeypatch.setattr(lock, "living_owner", gone)
    assert scribe.look().state == "finished"


def test_a_frame_that_fails_and_then_succeeds_is_done_once(alive: Scribe) -> None:
    alive.rendering(total=10, left=4)
    alive.fail(0, 6, 10)
    alive.fail(0, 7, 11)
    alive.done(1, 6, 9, attempt=2)  # by a clock that is behind
    alive.done(1, 9, 12)
    alive.done(1, 9, 13)
    seen = alive.look()
    assert (seen.total, seen.done, seen.failed, seen.left) == (10, 8, 1, 1)
    assert seen.failures == (Failure("HD", "7", 1, "no data"),)


def test_images_of_another_fingerprint_or_run_do_not_count(alive: Scribe) -> None:
    older = Scribe(alive.output, run="r0", start=alive.start - 1000)
    older.rendering(ranks=3)
    older.done(2, 0, 10)
    older.fail(1, 1, 10)
    older.finish(4)
    alive.rendering()
    alive.done(1, 2, 10, fingerprint="e" * 32)
    alive.done(1, 3, 10)
    seen = alive.look()
    assert (seen.state, seen.done, seen.failed, seen.left) == ("running", 1, 0, 9)
    assert [rank.images for rank in seen.ranks] == [0, 2]


def test_an_image_that_a_rank_finishes_before_rank_0_has_written_the_plan_counts(alive: Scribe) -> None:
    alive.launch()
    alive.up()
    alive.done(1, 3, 1.5)
    alive.plan(at=2)
    assert alive.look().done == 1


def test_a_movie_that_is_made_again_does_not_hide_the_run_behind_it(scribe: Scribe) -> None:
    scribe.rendering(left=0)
    scribe.finish()
    with lock.held(scribe.folder, lock.ENCODE):
        assert scribe.look().state == "finished"


def test_restarts_are_counted_and_the_last_death_and_what_is_set_aside_are_named(alive: Scribe) -> None:
    alive.rendering()
    alive.done(0, 0, 10)
    for life in (2, 3):
        alive.write(None, "death", 10 * life, life=life - 1, reason=f"rank {life} on n0 died", flight=[], blamed=[])
        alive.launch(at=10 * life + 1, life=life, set_aside=[[7, "HD", "set aside after 2 deaths at it"]])
    assert "starting the ranks again" in alive.text()
    alive.up(at=32)
    alive.plan(left=9, at=33)
    alive.phase("render", at=34)
    alive.done(1, 1, 40)
    seen = alive.look()
    assert (seen.phase, seen.restarts, seen.done, seen.failed, seen.left) == ("rendering", 2, 2, 1, 7)
    assert [rank.images for rank in seen.ranks] == [0, 1]
    shown = alive.text()
    assert "  restarts  2; the last: rank 3 on n0 died; set aside: HD frame 7\n" in shown
    assert "    failed  HD frame 7: set aside after 2 deaths at it\n" in shown
    alive.phase("gather", at=50)
    assert alive.look().phase == "checking frames"


def test_while_restarted_ranks_load_the_counts_stay(alive: Scribe) -> None:
    alive.rendering()
    alive.done(0, 0, 10)
    alive.write(None, "death", 20, life=1, reason="rank 1 died", flight=[], blamed=[])
    alive.launch(at=21, life=2)
    alive.up(at=22)
    seen = alive.look()
    assert (seen.done, seen.left, seen.rate) == (1, 9, None)


@pytest.mark.parametrize(
    ("phases", "words", "doing"),
    [
        ([], "starting the ranks", ["not started yet", "not started yet"]),
        (["start", ""], "starting the ranks", ["starting", "not started yet"]),
        (["load", "opened"], "loading the scene", ["loading the scene", "looking for what is left"]),
        (["opened", "render"], "looking for what is left", ["looking for what is left", "waiting for the others"]),
        (["render", "gather"], "rendering", ["waiting for the others", "waiting for the others"]),
        (["gather", "gather"], "checking frames", ["waiting for the others", "waiting for the others"]),
        (["encode", "encode"], "making the movie", ["making the movie", "making the movie"]),
        (["end", "encode"], "making the movie", ["ended", "making the movie"]),
    ],
)
def test_a_run_is_where_the_last_of_its_ranks_is(
    alive: Scribe, phases: list[str], words: str, doing: list[str]
) -> None:
    alive.launch()
    for rank, phase in enumerate(phases):
        if phase:
            alive.write(rank, "start", 1, ranks=2, pid=1, run=alive.run)
            alive.write(rank, "phase", 2, phase=phase)
    seen = alive.look()
    assert seen.phase == words
    assert [rank.doing for rank in seen.ranks] == doing


def test_a_run_that_was_asked_to_stop_says_so(alive: Scribe) -> None:
    alive.rendering()
    alive.write(None, "stop", 50, signal="SIGTERM")
    alive.write(None, "warning", 51, text="the disk is nearly full")
    assert "stopping on SIGTERM" in alive.text()
    assert "   warning  the disk is nearly full\n" in alive.text()


def test_of_many_ranks_the_silent_ones_at_work_are_shown_and_the_others_summed_up(alive: Scribe) -> None:
    alive.rendering(ranks=40, total=400)
    for rank in range(40):
        alive.take(rank, rank, 20 if rank == 23 else 90)
    alive.done(38, 38, 91)
    alive.phase("gather", at=4, ranks=0)
    table = alive.text().split("doing\n")[1].splitlines()
    assert len(table) == 33
    assert table[0].split()[0] == "23"
    assert not any(line.split()[0] == "38" for line in table[:-1])
    assert re.search(
        r"and 8 more \(7 rendering, 1 waiting for the others\), none silent for more than 1\d s", table[-1]
    )


def test_32_ranks_are_all_shown_in_their_order(alive: Scribe) -> None:
    alive.rendering(ranks=32)
    table = alive.text().split("doing\n")[1].splitlines()
    assert [int(line.split()[0]) for line in table] == list(range(32))


def test_clocks_that_go_ahead_give_no_negative_ages(alive: Scribe) -> None:
    alive.rendering()
    alive.take(0, 0, 5000)
    alive.done(0, 0, 5010)
    alive.take(0, 1, 5010)
    shown = alive.text()
    assert "HD frame 1 for 0.0 s" in shown
    assert "rate  0.10 images/s" in shown  # by the clock of that rank
    assert not re.search(r"-\d", shown.split("renderer")[1])


def test_different_renderers_are_named_with_their_ranks(alive: Scribe) -> None:
    alive.rendering(ranks=3)
    alive.done(2, 0, 10, renderer="ParaView 5.11.0, NVIDIA")
    assert f"  renderer  {RENDERER} (rank 0-1)\n  renderer  ParaView 5.11.0, NVIDIA (rank 2)\n" in alive.text()


def test_many_reasons_are_cut_short_and_nothing_else_is(run: Run, alive: Scribe) -> None:
    alive.rendering(total=100)
    long = "vtkXMLReader: " + "x" * 300 + " the end"
    for frame in range(50):
        alive.fail(0, frame, 10, f"{long} {frame}")
    shown = run("status", alive.output).stdout
    failed = [line for line in shown.splitlines() if line.startswith("    failed")]
    assert len(failed) == 10
    assert failed[0].endswith(f"{long} 0")
    assert failed[-2] == "    failed  ... and 41 more reasons (--json shows all)"
    assert len(json.loads(run("status", alive.output, "--json").stdout)["failures"]) == 50


def test_ranks_started_by_hand_are_seen_too(scribe: Scribe) -> None:
    scribe.up()
    scribe.plan()
    scribe.phase("render")
    scribe.done(1, 3, 50)
    with lock.held(scribe.folder, scribe.run):
        seen = scribe.look()
        assert (seen.state, seen.phase, seen.done, seen.left, seen.restarts) == ("running", "rendering", 1, 9, 0)
        assert "stopping" not in seen.phase
    assert scribe.look().state == "died"
    scribe.write(1, "stop", 60, signal="SIGTERM")
    assert "stopped on SIGTERM; run the same command again" in scribe.text()


def test_the_end_of_ranks_started_by_hand_is_told_from_their_phases(scribe: Scribe) -> None:
    scribe.up()
    scribe.plan()
    scribe.phase("gather")
    assert scribe.look().state == "failed"
    scribe.phase("encode", at=4)
    scribe.write(0, "movie", 5, output="HD", problem="ffmpeg ended with 1", seconds=1)
    assert "ffmpeg ended with 1" in scribe.text()
    scribe.phase("end", at=6)
    assert scribe.look().state == "finished"


def test_ranks_started_by_hand_after_a_supervised_run_are_the_newest_run(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.finish(0)
    by_hand = Scribe(scribe.output, run="r2", start=scribe.start + 70)
    by_hand.up()
    by_hand.plan(total=7)
    assert by_hand.look().total == 7
    again = Scribe(scribe.output, run="r3", start=scribe.start + 90)
    again.launch()
    assert (again.look().state, again.look().total) == ("died", None)


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


def test_a_folder_in_which_nothing_has_run_says_so(run: Run, scribe: Scribe) -> None:
    done = run("status", scribe.output)
    assert done.returncode == 0
    assert done.stdout == "     empty  orbit.pvsm, nothing rendered yet: no run has begun in this folder\n"
    (scribe.folder / "job.json").unlink()
    assert "     empty  nothing rendered yet" in scribe.text()


def test_a_run_that_has_written_nothing_yet_is_starting_whatever_ran_before(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.finish(4, "older trouble")
    with lock.held(scribe.folder, "the next run"):
        seen = scribe.look()
        assert (seen.state, seen.phase, seen.total) == ("running", "starting the ranks", None)
        assert "older trouble" not in scribe.text()
    assert scribe.look().state == "failed"


@pytest.mark.parametrize("given", ["gone", "folder", "orbit.pvsm"])
def test_a_folder_without_a_run_gets_one_line_and_exit_code_2(run: Run, tmp_path: Path, given: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "orbit.pvsm").write_text("")
    for options in ([], ["--watch"], ["--json"]):
        done = run("status", given, *options)
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.fullmatch(
            rf"mpirender: error: {given}: no run of mpirender here; give the folder .*\(--output.*\)\n", done.stderr
        )


def test_looking_changes_no_file(run: Run, scribe: Scribe) -> None:
    scribe.rendering()
    scribe.lock_of_another_host()
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in scribe.folder.iterdir()}
    for options in ([], ["--json"]):
        assert run("status", scribe.output, *options).returncode == 0
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in scribe.folder.iterdir()} == before


def test_looking_needs_no_mpi_no_paraview_and_no_numpy(alive: Scribe) -> None:
    alive.rendering()
    script = (
        "import sys; from mpirender.cli.commands import cli; cli.main(['status', sys.argv[1]], standalone_mode=False); "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(alive.output)], capture_output=True, text=True, check=True)
    assert not {"mpi4py", "paraview", "vtkmodules", "numpy"} & set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Callable[[], None]]], None]:
    """Let things happen, one each time that the watcher waits."""

    def happen(steps: list[Callable[[], None]]) -> None:
        rest = iter(steps)
        monkeypatch.setattr(follow.time, "sleep", lambda seconds: next(rest)())

    return happen


def steps_of(scribe: Scribe) -> list[Callable[[], None]]:
    """Return a run in steps; in the second nothing happens."""
    return [
        scribe.rendering,
        lambda: None,
        lambda: scribe.done(0, 0, 10),
        lambda: scribe.finish(0),
    ]


def test_a_pipe_gets_a_block_whenever_there_is_news(
    alive: Scribe, between_looks: Callable[[list[Callable[[], None]]], None]
) -> None:
    between_looks(steps_of(alive))
    stream = io.StringIO()
    follow.watch(Follower(alive.output), stream)
    blocks = stream.getvalue().split("\n\n")
    assert len(blocks) == 4
    assert "starting the ranks" in blocks[0]
    assert "0 of 10 done" in blocks[1]
    assert "1 of 10 done" in blocks[2]
    assert blocks[3].startswith("  finished  ")


def test_json_to_watch_is_a_line_whenever_there_is_news(
    alive: Scribe, between_looks: Callable[[list[Callable[[], None]]], None]
) -> None:
    between_looks(steps_of(alive))
    stream = io.StringIO()
    follow.watch(Follower(alive.output), stream, json_lines=True)
    given = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(seen["state"], seen["done"]) for seen in given] == [
        ("running", None), ("running", 0), ("running", 1), ("finished", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (200, 60)])
def test_what_a_terminal_shows_fits_it(alive: Scribe, size: tuple[int, int]) -> None:
    alive.rendering(ranks=100, total=500)
    for rank in range(100):
        alive.take(rank, rank, 20)
    alive.fail(3, 3, 30, "vtkXMLReader: " + "cannot open " * 10)
    shown = text.fitting(alive.look(), *size)
    assert len(shown) <= size[1]
    assert max(map(len, shown)) <= size[0]
    assert any("HD frame 42 for" in line or "more (" in line for line in shown)


@contextlib.contextmanager
def watching(scribe: Scribe, name: str) -> Iterator[list[str]]:
    """Watch a run in a real terminal."""
    tmux = [need("tmux"), "-L", f"mpirender-{name}-{os.getpid()}"]
    # pytest's readline has put a size of its own into the environment.
    status = f"env -u COLUMNS -u LINES {sys.executable} -m mpirender status {scribe.output} --watch"
    command = f"{status}; echo ended with $?; sleep 60"
    words = ["new-session", "-d", "-x", "100", "-y", "20", f"bash -c 'trap : INT; {command}'"]
    subprocess.run([*tmux, *words], check=True)
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def test_a_terminal_is_refreshed_in_place_and_keeps_the_end(alive: Scribe) -> None:
    alive.rendering(ranks=30)
    with watching(alive, "status") as tmux:
        first = wait_for_screen(tmux, "0 of 10 done")
        assert len(re.findall(r"waiting for the others", first)) >= 10
        assert re.search(r"and \d+ more \(", first)
        alive.done(0, 0, 10)
        second = wait_for_screen(tmux, "1 of 10 done")
        assert second.count("running") == 1
        assert "0 of 10 done" not in second
        alive.finish(0)
        wait_for_screen(tmux, "ended with 0")
        history = subprocess.run([*tmux, "capture-pane", "-p", "-S", "-"], capture_output=True, text=True, check=True)
        assert history.stdout.startswith("  finished  orbit.pvsm")
        assert history.stdout.count("    images  ") == 1
        assert "        29  n1 " in history.stdout


def test_ctrl_c_leaves_the_watched_run_alone_and_ends_quietly(alive: Scribe) -> None:
    alive.rendering()
    with watching(alive, "status-c") as tmux:
        wait_for_screen(tmux, "0 of 10 done")
        subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        screen = wait_for_screen(tmux, "ended with 130")
    assert "Traceback" not in screen
    assert screen.count("0 of 10 done") == 1
    assert alive.look().state == "running"


def test_real_runs_are_told_rightly(run: Run, pattern: Callable[..., Path], tmp_path: Path) -> None:
    output = tmp_path / "test_renders"
    assert run("render", pattern('{"frames": 6}'), "--size", "80x50", "--ranks", 2).returncode == 0
    shown = run("status", output)
    assert shown.returncode == 0
    assert re.match(
        r"  finished  test.pattern, \d+ s ago, after \d+ s\n    images  6 of 6 done, 0 left\n", shown.stdout
    )
    assert "  renderer  test pattern, painted by numpy\n" in shown.stdout
    killing = pattern('{"frames": 7, "kill": [2]}')
    assert run("render", killing, "--size", "80x50", "--ranks", 2).returncode == 4
    given = json.loads(run("status", output, "--json").stdout)
    assert (given["state"], given["code"], given["total"], given["done"], given["failed"]) == ("failed", 4, 7, 6, 1)
    assert given["set_aside"] == ["80x50 frame 2"]
    assert given["restarts"] == len(given["deaths"]) == 2
    assert all("died (signal SIGKILL)" in reason for reason in given["deaths"])
