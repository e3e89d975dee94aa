"""What a rank watches beside its work: the lock of its run, and processes that were stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mpirender.run_folder import lock
from mpirender.system.stopped_processes import state_of
from waiting import wait_for

AS_ROOT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
RANK = """
import sys, time
from pathlib import Path
from mpi4py import MPI
from mpirender.ranks import watch
watch.LOOK_SECONDS = 0.1
with watch.watching(MPI.COMM_WORLD, Path(sys.argv[1]), "mine"):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("left", ["", "garbled"])
def test_a_rank_ends_when_another_run_has_taken_its_folder_over_and_not_before(tmp_path: Path, left: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with lock.held(tmp_path, "mine"), subprocess.Popen([sys.executable, "-c", RANK, str(tmp_path)], **pipes) as rank:
        rank.stdout.readline()
        if left:
            (tmp_path / lock.LOCK).write_text(left)
        with pytest.raises(subprocess.TimeoutExpired):
            rank.wait(0.5)
        (tmp_path / lock.LOCK).unlink()
        with pytest.raises(subprocess.TimeoutExpired):
            rank.wait(0.5)
        with lock.held(tmp_path, "another"):
            assert rank.wait(20) == 75
        assert "another run has taken over" in rank.stderr.read()


def test_the_first_rank_of_a_node_ends_all_when_the_folder_was_taken_over_even_if_mpiexec_was_stopped(
    tmp_path: Path,
) -> None:
    with lock.held(tmp_path, "mine"):
        launcher = ["mpiexec", "--oversubscribe", "-n", "3", sys.executable, "-c", RANK, str(tmp_path)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(launcher, env=AS_ROOT, **pipes) as mpiexec:
            for _ in range(3):
                mpiexec.stdout.readline()
            ranks = subprocess.run(
                ["pgrep", "-P", str(mpiexec.pid)], capture_output=True, text=True, check=True
            ).stdout.split()
            mpiexec.send_signal(signal.SIGSTOP)
            (tmp_path / lock.LOCK).unlink()
            with lock.held(tmp_path, "another"):
                wait_for(lambda: {state_of(int(pid)).state for pid in ranks} == {"Z"})
            mpiexec.send_signal(signal.SIGCONT)
            assert mpiexec.wait(20)


STOPPED = """
import os, signal, sys, time
from pathlib import Path
from mpi4py import MPI
from mpirender.ranks import watch
from mpirender.system import stopped_processes
watch.LOOK_SECONDS = stopped_processes.LOOK_SECONDS = stopped_processes.ENDED_SECONDS = watch.LATER_SECONDS = 0.1
with watch.watching(MPI.COMM_WORLD, Path(sys.argv[1]), "mine"):
    if MPI.COMM_WORLD.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)
"""


def test_a_rank_ends_the_next_one_on_its_node_if_that_stays_stopped(tmp_path: Path) -> None:
    launcher = ["mpiexec", "--oversubscribe", "-n", "3", sys.executable, "-c", STOPPED, str(tmp_path)]
    done = subprocess.run(launcher, capture_output=True, text=True, check=False, timeout=50, env=AS_ROOT)
    assert "rank 1" in done.stdout + done.stderr
    assert "signal 9" in done.stdout + done.stderr
