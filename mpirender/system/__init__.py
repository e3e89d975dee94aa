"""The machine: signals, child processes, files, host limits, variables, Slurm, X servers, containers and text helpers.

Each module is the one place for its subject; all run inside pvbatch and Blender, too.
"""

__all__ = ["apptainer", "child_process", "comm", "files", "host", "signals", "site", "slurm", "text", "xvfb"]
