"""What benchmarks.movie starts with mpiexec: ranks that make a movie as after the last frame."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

from mpi4py import MPI

from mpirender.job.render_job import RenderJob
from mpirender.ranks import gather
from mpirender.run_folder.journal import Journal


def main() -> None:
    """Make the movie of the job and print the seconds between the last rank's start and the first one's end."""
    comm, job = MPI.COMM_WORLD, RenderJob.from_json(Path(sys.argv[1]).read_text())
    frames = range(int(sys.argv[2]))
    with Journal(job.folder, comm.rank, socket.gethostname()) as log:
        comm.Barrier()
        started = time.perf_counter()
        gather.make_movies(comm, log, job, frames)
        if comm.rank == 0:
            print(json.dumps({"wall": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
