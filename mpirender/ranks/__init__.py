"""The MPI program: every rank renders its share of the frames, then all gather them and make the movie.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json

``main`` is the program, ``mpi`` the communicator, ``schedule`` says which rank renders which frame, ``backends`` what
it renders with, ``log`` what it prints, ``image_metadata`` what images carry, ``renderer`` and ``reloading`` the child
process in which the engine runs, ``renderer_process`` what that process does, ``stall`` how long it may take, and
``retries`` what is tried again.
"""

__all__ = [
    "backends", "image_metadata", "log", "main", "mpi", "reloading", "renderer", "renderer_process", "retries",
    "schedule", "stall",
]  # fmt: skip
