"""The command line: the commands and the options that ``mpirender --help`` shows.

``commands.main`` is the program. ``options`` holds the options, ``job_from_options`` makes a job of them.
"""

__all__ = ["commands"]
