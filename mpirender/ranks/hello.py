"""The hello program, with which the launcher probe finds out whether a launcher connects the ranks.

mpiexec -n 2 pvbatch --no-mpi -m mpirender.ranks --hello
"""

from __future__ import annotations

import socket
from typing import NoReturn

from mpirender.ranks.log import write_line
from mpirender.ranks.mpi import finalize, start_mpi

HELLO = "--hello"
HOSTS = "mpirender: hosts of the ranks: "  # what the line with the hosts begins with


def main() -> NoReturn:
    """Print the hosts of all ranks on rank 0."""
    world = start_mpi()
    hosts = world.gather(socket.gethostname(), root=0)
    if hosts is not None:
        write_line(1, HOSTS + " ".join(hosts))
    finalize(world, 0)
