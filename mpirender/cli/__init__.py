"""The command line: the commands and the options that `mpirender --help` shows."""
