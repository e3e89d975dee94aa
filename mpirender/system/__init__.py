"""The machine: signals, child processes, files, host limits, Slurm, X servers, containers and text helpers."""
