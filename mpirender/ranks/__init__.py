"""The MPI program: every rank renders its share of the frames, then all gather them and make the movie.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json

``main`` is the program, ``mpi`` the communicator, ``schedule`` says which rank renders which frame, ``backends`` what
it renders with, and ``log`` what it prints.
"""

__all__ = ["backends", "log", "main", "mpi", "schedule"]
