"""Batch jobs: submit a render to Slurm, and requeue it until its movie is complete.

``submit`` writes and submits the script of a job; ``requeue`` decides, at the end of each allocation, whether the job
goes back into the queue.
"""

__all__ = ["requeue", "submit"]
