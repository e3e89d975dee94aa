"""A run that is killed, hangs, fails, is stopped or started twice: real mpiexec, the pattern engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disks import disk
from mpirender.errors import LaunchFailed
from mpirender.job.render_job import RenderJob
from mpirender.movie import encode
from mpirender.run_folder import journal, lock
from mpirender.run_folder.journal import Record
from mpirender.supervisor import retry_policy
from mpirender.supervisor.run import render
from processes import Run

SMALL = ("--size", "160x90", "--ranks", 2)
Pattern = Callable[..., Path]


def records(output: Path, event: str = "") -> list[Record]:
    return [record for record in journal.read(output / ".mpirender") if event in ("", record["event"])]


def done_frames(output: Path) -> list[int]:
    return sorted(record["frame"] for record in records(output, "done"))


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def running(folder: Path) -> str:
    """Return the processes that have something to do with a folder."""
    return subprocess.run(["pgrep", "-fa", str(folder)], capture_output=True, text=True, check=False).stdout


def heed_ctrl_c() -> None:
    """Undo what a shell does to commands in the background, where these tests may run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(scene: Path, *options: object, frames: int = 3) -> Iterator[subprocess.Popen[str]]:
    """Run the command beside the test, until so many frames are done."""
    command = [sys.executable, "-m", "mpirender", "render", str(scene), *map(str, (*SMALL, *options))]
    output = scene.parent / f"{scene.stem}_renders"
    with subprocess.Popen(
        command, cwd=scene.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: len(done_frames(output)) >= frames or process.poll() is not None)
            yield process
        finally:
            process.kill()


def rank_pid(output: Path, rank: int) -> int:
    return int([record["pid"] for record in records(output, "start") if record["rank"] == rank][-1])


# --- Death ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGABRT", "0", "3"])
def test_a_poison_frame_is_set_aside_after_two_deaths_and_the_others_finish(
    run: Run, pattern: Pattern, tmp_path: Path, how: str
) -> None:
    scene = pattern(json.dumps({"frames": 10, "seconds": 0.02, "kill": [4], "how": how}))
    done = run("render", scene, *SMALL)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    named = how if how.startswith("SIG") else {"0": "improperly", "3": "exit code 3"}[how]
    told = rf"160x90 frames 4: set aside after 2 deaths at it; the last: rank 1 on \S+ died \(.*{named}"
    assert re.search(told, done.stderr)
    assert f"to try 160x90 frame 4 alone: mpirender render {scene}" in done.stderr
    assert "1 of 10 images missing, so no movie was made" in done.stderr
    assert done_frames(output) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert len(records(output, "death")) == 2
    assert running(tmp_path) == ""


@pytest.mark.slow
def test_several_poison_frames_are_all_found(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 12, "kill": [2, 3, 9]}'), *SMALL)
    assert done.returncode == 4
    assert "160x90 frames 2-3,9: set aside" in done.stderr
    assert all(f"to try 160x90 frame {frame} alone" in done.stderr for frame in (2, 3, 9))
    assert set(range(12)) - set(done_frames(tmp_path / "test_renders")) == {2, 3, 9}


@pytest.mark.slow
def test_the_command_to_try_a_poison_frame_alone_works_and_then_the_movie_is_made(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 5, "kill": [2]}'), *SMALL)
    alone = re.search(r"alone: mpirender (.*)", done.stderr)[1].split()
    assert run(*alone).returncode == 4, "it still kills its rank"
    pattern('{"frames": 5}')
    assert run(*alone).returncode == 0
    assert run("render", pattern('{"frames": 5}'), *SMALL).returncode == 0
    assert encode.read_back(tmp_path / "test_renders" / "test_160x90.mp4").frames == 5


def test_the_log_of_a_poison_frame_is_shown(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern('{"frames": 3, "kill": [1], "how": "SIGSEGV"}'), *SMALL, "--max-restarts", 1)
    assert done.returncode == 4
    assert "its rank's log: " in done.stderr
    assert "Segmentation fault" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_killed_once_costs_its_frame_in_flight_and_nothing_else(
    pattern: Pattern, tmp_path: Path, rank: int
) -> None:
    scene, output = pattern('{"frames": 20, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(rank_pid(output, rank), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"warning: rank {rank} on {os.uname().nodename} died (signal SIGKILL)" in out
    assert "restarts  once" in out
    assert done_frames(output) == list(range(20)), "none is rendered twice, none is lost"
    takes = Counter(record["frame"] for record in records(output, "take"))
    (death,) = records(output, "death")
    assert {frame for frame, count in takes.items() if count > 1} <= {frame for _, frame, _ in death["flight"]}
    assert encode.read_back(output / "test_160x90.mp4").frames == 20


@pytest.mark.slow
def test_a_killed_mpiexec_is_started_again_and_no_frame_is_blamed(pattern: Pattern, tmp_path: Path) -> None:
    scene, output = pattern('{"frames": 20, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        launcher = int(Path(f"/proc/{rank_pid(output, 0)}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(launcher, signal.SIGKILL)
        assert process.wait(60) == 0
    (death,) = records(output, "death")
    assert (death["reason"], death["blamed"]) == ("mpiexec was ended by signal SIGKILL", [])
    assert done_frames(output) == list(range(20))


@pytest.mark.slow
def test_after_the_last_restart_the_run_ends_and_the_next_goes_on(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 12, "kill": [0]}')
    done = run("render", scene, *SMALL, "--max-restarts", 1)
    assert done.returncode == 4
    assert "after 1 restarts (--max-restarts 1)" in done.stderr
    assert done_frames(tmp_path / "test_renders") == list(range(1, 12)), "a suspect waits until the others are done"
    pattern('{"frames": 12}')
    assert run("render", scene, *SMALL).returncode == 0


def test_ranks_that_die_before_any_image_are_not_started_for_ever(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    broken = tmp_path / "mpiexec"
    broken.write_text('#!/bin/sh\nmpiexec "$@" &\nsleep 1.5\nkill -9 $!\nexit 1\n')
    broken.chmod(0o755)
    done = run("render", pattern('{"frames": 3, "seconds": 60}'), *SMALL, "--mpiexec", broken, "--max-restarts", 50)
    assert done.returncode == 4
    assert len(records(tmp_path / "test_renders", "launch")) < 10
    assert running(tmp_path / "test_renders") == ""


def test_a_launcher_that_starts_no_rank_is_not_waited_for_for_ever(
    pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "START_SECONDS", 0.6)
    sleeper = tmp_path / "mpiexec"
    sleeper.write_text("#!/bin/sh\nexec sleep 1000.625\n")
    sleeper.chmod(0o755)
    job = RenderJob(pattern(), tmp_path / "out", ("80x50",), mpiexec=str(sleeper))
    with pytest.raises(LaunchFailed, match="the ranks did not start \\(mpiexec had started no rank after 0 minutes"):
        render(job)
    assert running(Path("sleep 1000.625")) == ""


@pytest.mark.slow
def test_poison_frames_are_found_under_mpich_too_also_where_it_tells_of_no_death(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    folder = tmp_path / "mpich"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed", "--prefix", str(folder)]
    subprocess.run([*install, "mpich", "mpi4py"], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    libraries = {"MPI4PY_LIBMPI": str(folder / "lib" / "libmpi.so.12"), "PYTHONPATH": str(packages)}
    environment = {**os.environ, **libraries, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    for how in ("SIGSEGV", "3", "0"):
        scene = pattern(json.dumps({"frames": 10, "seconds": 0.02, "kill": [4], "how": how}), f"test{how}.pattern")
        done = run("render", scene, *SMALL, env=environment)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "160x90 frames 4: set aside after 2 deaths at it" in done.stderr
        assert done_frames(tmp_path / f"test{how}_renders") == [0, 1, 2, 3, 5, 6, 7, 8, 9]


# --- Failure ----------------------------------------------------------------------------------------------------------


def test_a_failed_frame_is_tried_again_once_on_another_rank(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 8, "fail": [3], "flaky": [4]}'), *SMALL)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    assert "160x90 frames 3: rank 0 on" in done.stderr
    assert "(tried twice)" in done.stderr
    assert "1 of 8 images missing" in done.stderr
    tried = {3: [], 4: []}
    for record in records(output):
        if record["event"] in ("done", "fail") and record["frame"] in tried:
            tried[record["frame"]].append((record["rank"], record["event"]))
    assert tried == {3: [(1, "fail"), (0, "fail")], 4: [(0, "fail"), (1, "done")]}


# --- Hanging ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_frame_that_hangs_is_found_and_set_aside_and_the_rest_finishes(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 10, "hang": [5]}'), *SMALL, "--frame-timeout", 1.5)
    assert done.returncode == 4
    assert "160x90 frames 5: set aside after 2 deaths at it" in done.stderr
    assert "took too long for 160x90 frame 5" in done.stderr
    assert set(range(10)) - set(done_frames(tmp_path / "test_renders")) == {5}
    assert running(tmp_path) == ""


# --- Signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGHUP", 75), ("SIGINT", 130)])
def test_a_signal_lets_frames_in_flight_end_and_the_next_run_goes_on(
    run: Run, pattern: Pattern, tmp_path: Path, number: str, code: int
) -> None:
    scene, output = pattern('{"frames": 30, "seconds": 0.4}'), tmp_path / "test_renders"
    with started(scene) as process:
        process.send_signal(signal.Signals[number])
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert len(err.splitlines()) == 1
    assert re.search(r"\d+ of 30 images are done; run the same command again and it goes on with what is left", err)
    assert ("Ctrl-C again ends at once" if number == "SIGINT" else f"stopping on {number}: ") in out
    done = done_frames(output)
    assert sorted(record["frame"] for record in records(output, "take")) == done, "what was taken up was ended"
    assert running(tmp_path) == ""
    again = run("render", scene, *SMALL)
    assert again.returncode == 0
    assert f"{30 - len(done)} rendered, {len(done)} kept from before" in again.stdout
    assert done_frames(output) == list(range(30))


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_to_one_rank_stops_all_of_them(pattern: Pattern, tmp_path: Path, number: str) -> None:
    scene, output = pattern('{"frames": 60, "seconds": 0.4}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(rank_pid(output, 1), signal.Signals[number])
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "run the same command again" in err
    assert len(done_frames(output)) < 25, "the other rank alone has thirty to do"
    assert sorted(record["frame"] for record in records(output, "take")) == done_frames(output)


@pytest.mark.slow
def test_frames_longer_than_the_grace_period_are_given_up(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 4, "seconds": 60}'), "--grace-period", 1, frames=0) as process:
        wait_for(lambda: records(tmp_path / "test_renders", "take"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 75
    assert running(tmp_path) == ""
    assert not list((tmp_path / "test_renders" / "160x90").iterdir())


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 4, "seconds": 60}'), frames=0) as process:
        wait_for(lambda: records(tmp_path / "test_renders", "take"))
        process.send_signal(signal.SIGINT)
        wait_for(lambda: records(tmp_path / "test_renders", "stop"))
        assert process.poll() is None, "the first one waits for the images in flight"
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130
    assert running(tmp_path) == ""


@pytest.mark.slow
def test_under_nohup_a_closed_terminal_stops_nothing(pattern: Pattern, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mpirender", "render", str(pattern('{"frames": 8, "seconds": 0.3}'))]
    with subprocess.Popen(["nohup", *command, *map(str, SMALL)], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: len(done_frames(tmp_path / "test_renders")) >= 2)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0


# --- One writer -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, output = pattern('{"frames": 12, "seconds": 0.5}'), tmp_path / "test_renders"
    with started(scene) as process:
        job = (output / ".mpirender" / "job.json").read_text()
        for command in (["render", scene, *SMALL, "--frames", "1"], ["render", scene, *SMALL, "--dry-run"]):
            refused = run(*command)
            assert refused.returncode == 2
            assert f"another run writes here: pid {process.pid} on {os.uname().nodename}" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
        assert (output / ".mpirender" / "job.json").read_text() == job
        assert process.wait(60) == 0
    assert done_frames(output) == list(range(12))


@pytest.mark.slow
def test_ranks_started_by_hand_hold_the_lock_too(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 12, "seconds": 0.5}')
    line = run("render", scene, *SMALL, "--dry-run").stdout.splitlines()[-1]
    with subprocess.Popen(f"exec {line}", shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: done_frames(tmp_path / "test_renders"))
        refused = run("render", scene, *SMALL)
        assert "another run writes here" in refused.stderr
        again = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, timeout=60)
        assert (again.returncode, again.stderr.count("another run writes here")) == (2, 1)
        assert process.wait(60) == 0
    assert not (tmp_path / "test_renders" / ".mpirender" / "lock").exists()


# --- Space ------------------------------------------------------------------------------------------------------------


def half_written(output: Path) -> list[Path]:
    return [path for path in output.rglob("*") if path.name.startswith(".part-")]


@pytest.mark.slow
@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_a_disk_that_is_full_at_a_frame_is_told_in_a_line_and_what_fits_stays(
    run: Run, pattern: Pattern, tmp_path: Path, image_format: str
) -> None:
    options = ("--size", "4K", "--compression-level", 0, "--ranks", 2, "--image-format", image_format)
    with disk(tmp_path / "small", "size=90m") as output:
        scene = pattern('{"frames": 8}')
        done = run("render", scene, *options, "--output", output)
        assert done.returncode == 4
        assert done.stderr == (
            f"mpirender: error: {output}: no space left on the disk, or in your quota; "
            "make room and run the same command again\n"
        )
        assert half_written(output) == []
        kept = done_frames(output)
        assert 1 <= len(kept) <= 3
        subprocess.run(["mount", "-o", "remount,size=400m", str(output)], check=True)
        again = run("render", scene, *options, "--output", output)
        assert f"{8 - len(kept)} rendered, {len(kept)} kept from before" in again.stdout, again.stderr


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_journal_is_told_in_a_line(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """Images are links to another disk here, so that nothing but journals and logs fills this one."""
    with disk(tmp_path / "small", "size=21m") as output:
        (tmp_path / "big").mkdir()
        (output / "160x90").symlink_to(tmp_path / "big")
        scene = pattern('{"frames": 4000}')
        with started_there(scene, output) as process:
            wait_for(lambda: len(done_frames(output)) >= 3)
            fill(output / "filler")
            _, err = process.communicate(timeout=60)
        assert process.returncode == 4
        assert err.count("\n") == 1
        assert "no space left on the disk" in err
        (output / "filler").unlink()
        assert run("render", scene, *SMALL, "--output", output, "--frames", "0-50").returncode == 0


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space"):
        while True:
            os.write(file, b"\0" * 4096)
    os.close(file)


@contextmanager
def started_there(scene: Path, output: Path) -> Iterator[subprocess.Popen[str]]:
    words = ["render", str(scene), *map(str, SMALL), "--output", str(output), "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "mpirender", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_movie_is_told_in_a_line_and_the_frames_stay(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    with disk(tmp_path / "small", "size=34m") as output:
        options = ("--size", "HD", "--compression-level", 0, "--ranks", 1, "--output", output, "--movie", "mkv")
        scene = pattern('{"frames": 4}')
        done = run("render", scene, *options)
        assert done.returncode == 4, done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "pace left on" in done.stderr
        assert done_frames(output) == [0, 1, 2, 3]
        assert [path.name for path in output.glob("*.mkv")] == []
        assert half_written(output) == []


@pytest.mark.slow
def test_a_disk_that_will_be_too_small_is_warned_of_early(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=60m") as output:
        options = ("--size", "720p", "--compression-level", 0, "--output", output)
        done = run("render", pattern('{"frames": 40}'), "--ranks", 1, *options)
        warning = re.search(r"warning: the disk will be full before the end: about (\d+) MB more", done.stdout)
        assert 90 < int(warning[1]) < 120
        assert done.returncode == 4


# --- What is left from before -----------------------------------------------------------------------------------------


def test_frames_of_other_options_are_told_and_never_mixed_in(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern()
    assert run("render", scene, *SMALL).returncode == 0
    again = run("render", scene, *SMALL, "--transparent-background")
    assert "warning: 6 images here are made with other options; rendered again" in again.stdout
    assert "6 rendered" in again.stdout
    other = run("render", pattern('{"frames": 6, "seconds": 0.001}'), *SMALL, "--transparent-background")
    assert "warning: 6 images here are made with other scene file; rendered again" in other.stdout


def test_a_size_of_the_same_name_with_other_sides_is_rendered_again(run: Run, pattern: Pattern) -> None:
    assert run("render", pattern(), "--size", "a=160x90").returncode == 0
    again = run("render", pattern(), "--size", "a=80x50")
    assert "6 rendered," in again.stdout
    assert run("render", pattern(), "--size", "a=80x50").stdout.count("0 rendered, 6 kept") == 1


def test_a_stray_file_under_a_frames_name_is_rendered_over(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    folder = tmp_path / "test_renders" / "160x90"
    folder.mkdir(parents=True)
    (folder / "frame_000002.png").write_bytes(b"not mine")
    done = run("render", pattern(), *SMALL)
    assert "6 rendered," in done.stdout
    assert (folder / "frame_000002.png").read_bytes().startswith(b"\x89PNG")


def test_records_say_what_an_image_took_and_where(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    assert run("render", pattern(), *SMALL).returncode == 0
    for record in records(tmp_path / "test_renders", "done"):
        assert record["memory"] > 1e7
        assert record["host"] == os.uname().nodename
        assert record["renderer"] == "test pattern, painted by numpy"
        assert record["pixels"] == [160, 90]
    (finish,) = records(tmp_path / "test_renders", "finish")
    assert finish["code"] == 0
    assert lock.read(tmp_path / "test_renders" / ".mpirender") is None


def test_without_a_launcher_one_rank_renders_and_its_death_is_its_own(
    pattern: Pattern, tmp_path: Path, run: Run
) -> None:
    done = run(
        "render", pattern('{"frames": 6, "kill": [3]}'), "--size", "80x50", "--launcher", "none", "-o", tmp_path / "o"
    )
    assert done.returncode == 4
    assert "frames 3: set aside after 2 deaths at it; the last: rank 0 on" in done.stderr
    assert done_frames(tmp_path / "o") == [0, 1, 2, 4, 5]
    assert "OMPI" not in (tmp_path / "o" / ".mpirender" / "launch.log").read_text()
    (launch, *_) = records(tmp_path / "o", "launch")
    assert (launch["launcher"], launch["ranks"]) == ("none", 1)
