"""Run the command line: ``python -m mpirender``."""

from mpirender.cli.commands import main

main()
