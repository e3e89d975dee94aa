"""Allow one writer per folder, and take over the lock of a dead owner."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from disks import disk
from mpirender.errors import TakenOver, UsageError
from mpirender.run_folder import lock
from mpirender.run_folder.lock import DEAD_SECONDS, Lock, Owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "out" / ".mpirender"
    place.mkdir(parents=True)
    return place


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch a doubtful lock only for a moment."""
    monkeypatch.setattr(lock, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(lock, "LEAVE_SECONDS", 0.1)


def left_by(folder: Path, *, silent: float = 0, **changed: object) -> Owner:
    """Create the lock of another process, last touched the given number of seconds ago."""
    owner = dataclasses.replace(Owner.this_process("other"), **changed)
    path = folder / lock.LOCK
    path.write_text(json.dumps(dataclasses.asdict(owner)))
    os.utime(path, (time.time() - silent, time.time() - silent))
    return owner


def test_a_lock_that_is_held_is_refused_and_names_its_owner(folder: Path) -> None:
    with lock.held(folder, "first"), pytest.raises(UsageError, match=rf"pid {os.getpid()} on {os.uname().nodename}"):
        Lock(folder, "second").acquire()
    with lock.held(folder, "second") as held:
        assert lock.read(folder) == held.me
    assert not (folder / lock.LOCK).exists()


def test_it_is_given_back_when_the_run_fails(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.held(folder, "first"):
        raise ZeroDivisionError
    assert lock.living_owner(folder) is None


def test_the_lock_of_a_process_that_was_killed_is_taken_over_at_once(folder: Path) -> None:
    script = "import sys, time; from pathlib import Path; from mpirender.run_folder.lock import Lock; "
    script += "Lock(Path(sys.argv[1]), 'x').acquire(); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert lock.living_owner(folder).pid == process.pid
        with pytest.raises(UsageError):
            Lock(folder, "second").acquire()
        process.kill()
        process.wait()
    with lock.held(folder, "second"):
        assert lock.living_owner(folder).run == "second"


def test_a_process_id_that_was_given_out_again_is_not_taken_for_the_owner(folder: Path) -> None:
    left_by(folder, born=1)
    assert lock.living_owner(folder) is None


def test_an_owner_on_another_machine_counts_while_it_touches_the_lock(folder: Path) -> None:
    left_by(folder, space="another kernel", host="n7", silent=DEAD_SECONDS - 20)
    with pytest.raises(UsageError, match="on n7"):
        Lock(folder, "second").acquire()
    left_by(folder, space="another kernel", host="n7", silent=DEAD_SECONDS + 5)
    with lock.held(folder, "second"):
        assert lock.read(folder).run == "second"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 0}', "[" * 9999, json.dumps({"pid": "1"})])
def test_a_damaged_lock_is_dead_unless_its_owner_repairs_it(folder: Path, content: str) -> None:
    (folder / lock.LOCK).write_text(content)
    with lock.held(folder, "second") as held:
        (folder / lock.LOCK).write_text(content)
        with pytest.raises(UsageError, match="another run writes here"):
            Lock(folder, "third").acquire(lambda seconds: beat(held))
        assert lock.read(folder) == held.me


def beat(held: Lock) -> None:
    """Let the owner of a lock refresh it now."""
    held._beaten = -math.inf
    held.beat()


@pytest.mark.parametrize("silent", [-3600, 3600], ids=["the clock was set back", "the clock was set ahead"])
def test_a_clock_that_jumps_decides_nothing(folder: Path, silent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DEAD_SECONDS", 0.3)
    owner = left_by(folder, space="another kernel", host="n7", silent=silent)
    with pytest.raises(UsageError, match="on n7"):
        Lock(folder, "second").acquire(lambda seconds: os.utime(folder / lock.LOCK))
    assert lock.read(folder) == owner, "it was touched meanwhile, so its owner lives"
    left_by(folder, space="another kernel", host="n7", silent=silent)
    with lock.held(folder, "second"):
        assert lock.read(folder).run == "second"


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"job": "17", "space": "boot pid:[1]"}, r"\(scancel 17\)"),
        ({"host": "n7", "space": f"boot {lock.FIRST_NAMESPACE}"}, r"\(kill 77 on n7\)"),
        ({"host": "n7", "space": "boot pid:[1]"}, r"pid 77 on n7, as its container counts.*\(on n7, where it was"),
        ({"space": f"earlier-boot {lock.FIRST_NAMESPACE}"}, rf"\(on {os.uname().nodename}, where it was started\)"),
    ],
    ids=["Slurm", "another machine", "container", "this machine before its restart"],
)
def test_the_advice_names_a_process_only_if_it_is_the_owner(folder: Path, changed: dict[str, str], advice: str) -> None:
    left_by(folder, pid=77, **changed)
    with pytest.raises(UsageError, match=advice):
        Lock(folder, "second").acquire()


def test_on_a_full_disk_no_empty_lock_is_left_that_would_keep_the_next_run_waiting(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=4k") as folder:
        (folder / "filler").write_bytes(b"0" * 4096)
        with pytest.raises(OSError, match="No space left"):
            Lock(folder, "first").acquire()
        assert not (folder / lock.LOCK).exists()


def test_the_heart_beats_every_few_seconds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock.held(folder, "first") as held:
        os.utime(folder / lock.LOCK, (0, 0))
        held.beat()
        assert (folder / lock.LOCK).stat().st_mtime == 0, "the lock is touched only every few seconds"
        monkeypatch.setattr(lock, "BEAT_SECONDS", 0)
        held.beat()
        assert time.time() - (folder / lock.LOCK).stat().st_mtime < 5
        (folder / lock.LOCK).unlink()
        held.beat()
        assert lock.read(folder) == held.me, "a deleted lock is created again"


def test_an_owner_that_was_taken_for_dead_notices_and_leaves_the_others_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0)
    with pytest.raises(TakenOver, match="another run has taken over"), lock.held(folder, "first") as held:
        other = left_by(folder, pid=1)
        held.beat()
    assert lock.read(folder) == other


def test_of_many_that_want_a_dead_owners_lock_exactly_one_gets_it(folder: Path) -> None:
    left_by(folder, born=1)
    script = "import sys, time; from pathlib import Path; from mpirender.run_folder.lock import Lock\n"
    script += "time.sleep(max(float(sys.argv[2]) - time.time(), 0)); Lock(Path(sys.argv[1]), 'x').acquire()\n"
    script += "print('got it', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", script, str(folder), str(time.time() + 1.5)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    many = [subprocess.Popen(command, **pipes) for _ in range(8)]
    time.sleep(3)
    ended = [process for process in many if process.poll() is not None]
    for process in many:
        process.kill()
    said = [process.communicate() for process in many]
    assert sum("got it" in out for out, _ in said) == 1
    assert len(ended) == 7
    assert sum("Error: " in err for _, err in said) == 7


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda place: place.symlink_to("gone")])
def test_what_is_no_file_in_its_place_is_refused_at_once_and_stays(
    folder: Path, make: Callable[[Path], None]
) -> None:  # fmt: skip
    place = folder / lock.LOCK
    make(place)
    with pytest.raises(UsageError, match=f"{place}: not a file, but mpirender writes one there; remove it"):
        Lock(folder, "run").acquire(pytest.fail)
    assert os.path.lexists(place)
