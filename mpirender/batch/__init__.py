"""Batch jobs: submit a render to Slurm, and requeue it until its movie is complete."""
