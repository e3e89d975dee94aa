"""Rendering on rented spot nodes, through AWS ParallelCluster: a Slurm cluster that is made, used and deleted.

It runs ``pcluster``, ``ssh`` and ``rsync``; the run on the cluster is a usual Slurm job of mpirender.
"""

__all__ = ["cluster", "configuration", "fetch", "head_node", "jobs", "programs", "render", "resources", "upload"]
