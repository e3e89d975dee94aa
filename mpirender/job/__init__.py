"""The job: what to render and how, its options, outputs, frames and sweeps. Imports nothing of mpirender but errors."""
