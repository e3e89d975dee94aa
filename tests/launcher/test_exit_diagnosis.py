"""Find the rank that died first in the output of launchers."""

from __future__ import annotations

import pytest

from mpirender.launcher import exit_diagnosis
from mpirender.launcher.exit_diagnosis import Death
from mpirender.system.child_process import ending

OPEN_MPI_KILLED = """\
--------------------------------------------------------------------------
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
--------------------------------------------------------------------------
mpiexec noticed that process rank 1 with PID 0 on node n1 exited on signal 9 (Killed).
"""


OPEN_MPI_EXIT = """\
mpiexec detected that one or more processes exited with non-zero status, thus causing
the job to be terminated. The first process to do so was:
  Process name: [[26388,1],12]
  Exit code:    3
"""


OPEN_MPI_5_EXIT = """\
prterun detected that one or more processes exited with non-zero status,
thus causing the job to be terminated. The first process to do so was:

   Process name: [prterun-n1-12345@1,2] Exit code:    7
"""


OPEN_MPI_IMPROPER = """\
mpiexec has exited due to process rank 2 with PID 0 on
node n1 exiting improperly. There are three reasons this could occur:
"""


MPICH = """\
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 4711 RUNNING AT n1
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
"""


SRUN = """\
srun: error: n2: task 3: Segmentation fault
srun: error: n1: tasks 0-2: Terminated
"""


ITSELF = """\
mpirender: error: rank 1 of 4 on n1: MemoryError: no more
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD
"""


@pytest.mark.parametrize(
    ("said", "death"),
    [
        (OPEN_MPI_KILLED, Death(1, None, "signal SIGKILL")),
        (OPEN_MPI_EXIT, Death(12, None, "exit code 3")),
        (OPEN_MPI_5_EXIT, Death(2, None, "exit code 7")),
        (OPEN_MPI_IMPROPER, Death(2, None, "improperly")),
        (MPICH, Death(None, 4711, "signal SIGKILL")),
        (SRUN, Death(3, None, "Segmentation fault")),
        (ITSELF, Death(1, None, "MemoryError: no more")),
        ("slurmstepd: something else", Death()),
    ],
)  # fmt: skip
def test_the_rank_that_died_first_is_found_in_what_launchers_say(said: str, death: Death) -> None:
    assert exit_diagnosis.first_death(said.splitlines()) == death


@pytest.mark.parametrize(("code", "text"), [(-9, "signal SIGKILL"), (139, "signal SIGSEGV"), (3, "exit code 3")])
def test_an_exit_code_of_a_killed_process_names_the_signal(code: int, text: str) -> None:
    assert ending(code) == text
