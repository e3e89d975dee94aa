"""Batch jobs: submit a render to Slurm, and requeue it until its movie is complete.

``submit`` writes and submits the script of a job; ``requeue`` decides, at the end of each allocation, whether the job
goes back into the queue; ``job_size`` takes nodes and time limit from an estimate.
"""

__all__ = ["job_size", "requeue", "submit"]
