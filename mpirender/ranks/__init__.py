"""The MPI program: every rank renders its share of the frames, then all gather them and make the movie.

mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json
"""
