"""Check what ``mpirender status`` reports about a running, finished or killed run from its folder alone."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from journal_writer import Scribe
from mpirender.run_folder import lock
from mpirender.run_folder.lock import Owner
from processes import Run
from sample_events import RENDERER


def test_a_running_run_is_described_on_a_page(alive: Scribe) -> None:
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
        "      rank  host  images  s/image  memory  last report  doing",
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
    assert seen.rate == pytest.approx(1 / 40, rel=0.2)  # the start of one image is not recorded
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
    assert shown.startswith("      died  orbit.pvsm, last report 1 min 3")
    assert "it was killed or its machine went away; run the same command again" in shown


def test_a_run_that_was_killed_here_has_died_at_once_and_its_images_in_progress_are_named(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.take(1, 7, 80)
    owner = dataclasses.replace(Owner.this_process(scribe.run), born=1)  # the pid was reused
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
    # The message already names the failed image, so the list of failures does not repeat it.
    assert sum("no data" in line for line in shown) == 1


def test_a_run_that_ends_while_status_reads_it_is_not_reported_as_dead(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe.rendering()

    def gone(folder: Path) -> None:
        scribe.finish(0)

    monkeypatch.setattr(lock, "living_owner", gone)
    assert scribe.look().state == "finished"


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


def test_a_folder_in_which_nothing_has_run_says_so(run: Run, scribe: Scribe) -> None:
    done = run("status", scribe.output)
    assert done.returncode == 0
    assert done.stdout == "     empty  orbit.pvsm, nothing rendered yet: no run has begun in this folder\n"
    (scribe.folder / "job.json").unlink()
    assert "     empty  nothing rendered yet" in scribe.text()


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


def test_the_status_of_real_runs_is_right(run: Run, pattern: Callable[..., Path], rendered: Path) -> None:
    output = rendered
    shown = run("status", output)
    assert shown.returncode == 0
    assert re.match(r"  finished  test.pattern, .* ago, after \d+ s\n    images  6 of 6 done, 0 left\n", shown.stdout)
    assert f"     movie  {output / 'test_160x90.mp4'}\n" in shown.stdout
    assert "  renderer  test pattern, drawn by numpy\n" in shown.stdout
    killing = pattern('{"frames": 7, "kill": [2], "how": "SIGSEGV"}')
    assert run("render", killing, "--size", "80x50", "--ranks", 2).returncode == 4
    given = json.loads(run("status", output, "--json").stdout)
    assert (given["state"], given["code"], given["total"], given["done"], given["failed"]) == ("failed", 4, 7, 6, 1)
    assert (given["restarts"], given["deaths"], given["set_aside"]) == (0, [], [])
    assert sorted(given["losses"]) == [f"the renderer of rank {rank} died (signal SIGSEGV)" for rank in (0, 1)]
