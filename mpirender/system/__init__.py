"""The machine: signals, child processes, files, limits, variables, Slurm, X servers, containers; also in pvbatch."""

__all__ = [
    "apptainer", "background", "channel", "child_process", "comm", "current_file", "files", "fork_server", "host",
    "inotify", "instance_metadata", "mail", "signals", "site", "slurm", "slurm_queue", "stall", "stopped_processes",
    "text", "xvfb",
]  # fmt: skip
