"""The MPI program: every rank renders its share of the frames, then all gather them and make the movie.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json

``main`` is the program, ``mpi`` the communicator, ``schedule`` says which rank renders which frame, ``backends`` what
it renders with, ``log`` what it prints, and ``hello`` prints the hosts of the ranks for the launcher probe.
"""

__all__ = ["backends", "hello", "log", "main", "mpi", "schedule"]
