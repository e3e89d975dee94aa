"""Make new movies from the frames of a finished run, without ParaView or MPI."""
