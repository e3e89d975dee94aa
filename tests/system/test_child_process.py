"""Run child processes: time limit, isolation, process groups, and termination with the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpirender.system import child_process
from repository import REPOSITORY


def test_a_command_is_run_to_its_end_without_input() -> None:
    done = child_process.run(["sh", "-c", "cat; echo out; echo err >&2; exit 7"])
    assert done == (7, "out\n", "err\n")


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        child_process.run(["sleep", "60"], timeout=0.2)
    assert time.monotonic() - start < 30


def test_a_missing_command_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        child_process.run(["/nowhere/program"])


@pytest.mark.parametrize(("attempts", "code"), [(1, -signal.SIGKILL), (2, 3)])
def test_a_command_that_was_killed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int, code: int
) -> None:
    monkeypatch.setattr(child_process, "RETRY_SECONDS", 0)
    script = f"[ -e {tmp_path}/killed ] && exit 3; touch {tmp_path}/killed; kill -KILL $$"
    assert child_process.run(["sh", "-c", script], attempts=attempts).code == code


def test_an_isolated_command_ignores_the_stop_signals_of_a_run() -> None:
    script = "import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    assert child_process.run([sys.executable, "-c", script]).output == "0\n"
    assert child_process.run([sys.executable, "-c", script], isolated=True).output == "4\n"


def test_a_command_is_ended_with_its_whole_group(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; echo started; wait"
    code, output = child_process.run_until(
        ["sh", "-c", script], lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", timeout=30
    )
    assert (code, output) == (None, "started\n")
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_command_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from mpirender.system import child_process; import time\n"
        "print(child_process.start(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert ended(pid)


def ended(pid: int) -> bool:
    """Return whether a process ends or becomes a zombie within 30 s."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_host_program_gets_neither_mpi_nor_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "DISPLAY"):
        monkeypatch.setenv(name, "1")
    environment = child_process.environment(ADDED="2")
    assert not {"SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "DISPLAY"} & set(environment)
    assert environment["ADDED"] == "2"
    assert environment["PATH"] == os.environ["PATH"]
