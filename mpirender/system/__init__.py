"""The machine: signals, child processes, files, limits, variables, Slurm, X servers, containers; also in pvbatch."""

__all__ = ["apptainer", "child_process", "comm", "files", "host", "signals", "site", "slurm", "text", "xvfb"]
