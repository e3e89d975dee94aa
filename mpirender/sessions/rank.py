"""What each rank of a session runs inside pvbatch: find the backend of all ranks, or become pvserver.

    mpiexec -n 2 pvbatch --no-mpi -m mpirender.sessions.rank --devices PROGRAMS
    mpiexec -n 2 pvbatch --no-mpi -m mpirender.sessions.rank SESSION.start.json

These are two launches, because a process can start MPI only once: the ranks of the first agree on a backend, those of
the second leave MPI to pvserver.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

DEVICES = "--devices"
FOUND = "mpirender: devices of the ranks: "  # what the line of the first launch begins with
MODULE = "mpirender.sessions.rank"
# The number of a rank, as Open MPI, MPICH with its derivatives, PMIx and srun give it.
RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")


def main() -> None:
    """Run one of the two launches."""
    if sys.argv[1] == DEVICES:
        find_devices(json.loads(sys.argv[2]))
    else:
        become_server(json.loads(Path(sys.argv[1]).read_text()))


def find_devices(options: dict[str, Any]) -> None:
    """Agree on a backend with the other ranks; rank 0 prints the device of each rank as a line of JSON."""
    from mpirender import engines
    from mpirender.job.programs import Programs
    from mpirender.ranks import backends, mpi
    from mpirender.ranks.log import write_line

    world = mpi.start_mpi()
    try:
        mpi.check_world(world)
        engine = engines.get("paraview")
        with backends.chosen(world, engine, Programs(**options)) as device:
            assert device is not None  # ParaView opens windows
            mine = {
                "host": socket.gethostname(), "backend": device.backend, "renderer": device.renderer,
                "environment": dict(engine.environment(device)),
            }  # fmt: skip
            found = world.gather(mine, root=0)
        if found is not None:
            write_line(1, FOUND + json.dumps(found))
    except BaseException as error:  # the other ranks must not wait for this one
        mpi.abort_all(world, error)
    mpi.finalize(world, 0)


def become_server(start: dict[str, Any]) -> None:
    """Replace this process by pvserver, with the device of this rank and, for GLX, a private X server.

    The X server ends with the process that has started it, and so with pvserver.
    """
    from mpirender.errors import ToolMissing
    from mpirender.ranks.log import log_error
    from mpirender.system import host, xvfb

    device = start["devices"][int(next((os.environ[name] for name in RANKS if name in os.environ), "0"))]
    host.limit_threads()
    environment = {**os.environ, **device["environment"]}
    environment.update(start["environment"])
    environment.pop("DISPLAY", None)
    if device["backend"] != "glx":
        os.execvpe(start["server"][0], start["server"], environment)
    if start["display"]:
        environment["DISPLAY"] = start["display"]
        os.execvpe(start["server"][0], start["server"], environment)
    cookie = os.urandom(xvfb.COOKIE_BYTES)
    try:
        with xvfb.running(cookie) as number, xvfb.authority(cookie) as file:
            os.set_inheritable(file.fileno(), True)
            environment.update(DISPLAY=f":{number}", XAUTHORITY=xvfb.path_of(file))
            os.execvpe(start["server"][0], start["server"], environment)
    except ToolMissing as error:
        log_error(error.message)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    from mpirender.system import site

    site.extend_module_path()
    main()
