"""Lose ranks or the launcher: images that kill their group are set aside, the others finish."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from movies import read_back
from mpirender.errors import LaunchFailed
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import events
from mpirender.supervisor import retry_policy
from mpirender.supervisor.run import render
from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, rank_pid, running, started

GROUP = ("--ranks-per-frame", 2)  # ranks of groups render themselves, without a renderer


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "0", "3"])
def test_a_frame_that_kills_a_rank_of_its_group_is_set_aside_after_two_deaths_and_the_others_finish(
    run: Run, pattern: Pattern, tmp_path: Path, how: str
) -> None:
    scene = pattern(json.dumps({"frames": 10, "seconds": 0.02, "kill": [4], "how": how}))
    done = run("render", scene, *SMALL, *GROUP)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    named = how if how.startswith("SIG") else {"0": "improperly", "3": "exit code 3"}[how]
    told = rf"160x90 frames 4: set aside after 2 deaths; the last: group 0 on \S+ died \(.*{named}"
    assert re.search(told, done.stderr)
    assert f"to try 160x90 frame 4 alone: mpirender render {scene}" in done.stderr
    assert "1 of 10 images missing, so no movie was made" in done.stderr
    assert done_frames(output) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert len(records(output, "death")) == 2
    page = (output / "report.html").read_text()
    assert page.count(" died (") > 2
    assert page.count('<path class="mark death"') == 1, "a line for the group"
    assert re.search(r"160x90, frame 4</b><p>.*<pre>mpirender render \S+ .*--frames 4 ", page)
    assert running(tmp_path) == ""


@pytest.mark.slow
def test_several_frames_that_kill_their_renderer_are_all_found(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 12, "kill": [2, 3, 9], "how": "SIGSEGV"}'), *SMALL)
    assert done.returncode == 4
    assert set(range(12)) - set(done_frames(tmp_path / "test_renders")) == {2, 3, 9}
    assert all(f"to try 160x90 frame {frame} alone" in done.stderr for frame in (2, 3, 9))


@pytest.mark.slow
def test_the_command_to_try_a_frame_that_kills_its_renderer_alone_works_and_then_the_movie_is_made(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 5, "kill": [2], "how": "SIGSEGV"}'), *SMALL)
    alone = re.search(r"alone: mpirender (.*)", done.stderr)[1].split()
    assert run(*alone).returncode == 4, "the frame still kills its renderer"
    pattern('{"frames": 5}')
    assert run(*alone).returncode == 0
    assert run("render", pattern('{"frames": 5}'), *SMALL).returncode == 0
    assert read_back(tmp_path / "test_renders" / "test_160x90.mp4").frames == 5


def test_the_log_of_a_frame_that_kills_its_group_is_shown(run: Run, pattern: Pattern) -> None:
    scene = pattern('{"frames": 3, "kill": [1], "how": "SIGSEGV"}')
    done = run("render", scene, *SMALL, *GROUP, "--max-restarts", 1)
    assert done.returncode == 4
    assert "its rank's log: " in done.stderr
    assert "Segmentation fault" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_killed_once_costs_its_frame_in_progress_and_nothing_else(
    pattern: Pattern, tmp_path: Path, rank: int
) -> None:
    scene, output = pattern('{"frames": 20, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(rank_pid(output, rank), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"warning: rank {rank} on {os.uname().nodename} died (signal SIGKILL)" in out
    assert "restarts  once" in out
    assert done_frames(output) == list(range(20)), "every frame is completed exactly once"
    takes = Counter(record.image.frame for record in records(output, "take"))
    (death,) = records(output, "death")
    assert death.blamed == (), "the frame is not to blame: it was in progress in the renderer"
    assert records(output, "reload") == []
    assert {frame for frame, count in takes.items() if count > 1} <= {frame for _, (frame, _) in death.in_progress}
    assert read_back(output / "test_160x90.mp4").frames == 20


@pytest.mark.slow
def test_a_killed_mpiexec_is_started_again_and_no_frame_is_blamed(pattern: Pattern, tmp_path: Path) -> None:
    scene, output = pattern('{"frames": 20, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        launcher = int(Path(f"/proc/{rank_pid(output, 0)}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(launcher, signal.SIGKILL)
        assert process.wait(60) == 0
    (death,) = records(output, "death")
    assert (death.reason, death.blamed) == ("mpiexec was ended by signal SIGKILL", ())
    assert done_frames(output) == list(range(20))


@pytest.mark.slow
def test_after_the_last_restart_the_run_ends_and_the_next_goes_on(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 12, "kill": [0]}')
    done = run("render", scene, *SMALL, *GROUP, "--max-restarts", 1)
    assert done.returncode == 4
    assert "after 1 restart (--max-restarts 1)" in done.stderr
    assert done_frames(tmp_path / "test_renders") == list(range(1, 12)), "the suspect is rendered last"
    pattern('{"frames": 12}')
    assert run("render", scene, *SMALL, *GROUP).returncode == 0


def test_ranks_that_die_before_any_image_are_not_started_forever(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    broken = tmp_path / "mpiexec"
    broken.write_text(
        f"""#!/bin/bash
started() {{ cat {tmp_path}/test_renders/.mpirender/rank-*.jsonl 2>/dev/null | grep -c '"start"'; }}
before=$(started)
mpiexec "$@" &
until (($(started) >= before + 2)) || ! kill -0 $!; do sleep 0.1; done
sleep 0.3
kill -9 $!
exit 1
"""
    )
    broken.chmod(0o755)
    done = run("render", pattern('{"frames": 3, "seconds": 60}'), *SMALL, "--mpiexec", broken, "--max-restarts", 50)
    assert done.returncode == 4
    assert len(records(tmp_path / "test_renders", "launch")) < 10
    assert running(tmp_path / "test_renders") == ""


def test_a_launcher_that_starts_no_rank_is_ended_after_a_time(
    pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "START_SECONDS", 0.6)
    sleeper = tmp_path / "mpiexec"
    sleeper.write_text("#!/bin/sh\nexec sleep 1000.625\n")
    sleeper.chmod(0o755)
    job = RenderJob(pattern(), tmp_path / "out", ("80x50",), mpiexec=str(sleeper))
    with pytest.raises(LaunchFailed, match="did not start \\(no rank was up after 0 minutes; mpiexec was ended"):
        render(job)
    assert running(Path("sleep 1000.625")) == ""


@pytest.mark.slow
def test_frames_that_kill_their_rank_are_found_with_mpich_too_even_if_it_reports_no_death(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    folder = tmp_path / "mpich"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed", "--prefix", str(folder)]
    subprocess.run([*install, "mpich", "mpi4py"], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    libraries = {"MPI4PY_LIBMPI": str(folder / "lib" / "libmpi.so.12"), "PYTHONPATH": str(packages)}
    environment = {**os.environ, **libraries, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    for how, group in (("SIGSEGV", ()), ("3", GROUP), ("0", GROUP)):
        scene = pattern(json.dumps({"frames": 10, "seconds": 0.02, "kill": [4], "how": how}), f"test{how}.pattern")
        done = run("render", scene, *SMALL, *group, env=environment)
        assert done.returncode == 4, done.stdout + done.stderr
        assert ("160x90 frames 4: set aside after 2 deaths" if group else "(tried twice)") in done.stderr
        assert done_frames(tmp_path / f"test{how}_renders") == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_a_failed_frame_is_tried_again_once_on_another_rank(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 8, "fail": [3], "flaky": [4]}'), *SMALL)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    assert "160x90 frames 3: rank 0 on" in done.stderr
    assert "(tried twice)" in done.stderr
    assert "1 of 8 images missing" in done.stderr
    tried = {3: [], 4: []}
    for record in records(output):
        if isinstance(record, (events.Done, events.Fail)) and record.image.frame in tried:
            tried[record.image.frame].append((record.rank, type(record).__name__.lower()))
    assert tried == {3: [(1, "fail"), (0, "fail")], 4: [(0, "fail"), (1, "done")]}


def test_without_a_launcher_one_rank_renders_and_its_renderer_may_be_lost(
    pattern: Pattern, tmp_path: Path, run: Run
) -> None:
    scene = pattern('{"frames": 6, "kill": [3], "how": "SIGSEGV"}')
    done = run("render", scene, "--size", "80x50", "--launcher", "none", "-o", tmp_path / "o")
    assert done.returncode == 4
    assert "frames 3: rank 0 on" in done.stderr
    assert "the renderer died (signal SIGSEGV) (tried twice)" in done.stderr
    assert done_frames(tmp_path / "o") == [0, 1, 2, 4, 5]
    assert "OMPI" not in (tmp_path / "o" / ".mpirender" / "launch.log").read_text()
    (launch, *_) = records(tmp_path / "o", "launch")
    assert (launch.launcher, launch.ranks) == ("none", 1)


@pytest.mark.slow
def test_a_rank_without_a_launcher_is_started_again(pattern: Pattern, tmp_path: Path) -> None:
    scene, output = pattern('{"frames": 12, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene, "--ranks", 1, "--launcher", "none") as process:
        os.kill(rank_pid(output, 0), signal.SIGSEGV)
        assert process.wait(60) == 0
    (death,) = records(output, "death")
    assert death.reason == f"rank 0 on {os.uname().nodename} died (signal SIGSEGV)"
    assert done_frames(output) == list(range(12))
