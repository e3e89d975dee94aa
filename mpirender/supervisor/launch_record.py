"""What a run records of each launch of its ranks."""

from __future__ import annotations

import os
from dataclasses import replace

from mpirender.launcher.placement import Placement
from mpirender.run_folder import events
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.system.slurm import Allocation


def launch_event(placement: Placement, plan: RestartPlan, allocation: Allocation | None) -> events.Launch:
    """Return what to record of a launch: what the ranks are to do, and where they run."""
    launch = events.Launch(
        plan.run, plan.launch, placement.groups, os.getpid(), tuple(plan.set_aside.items()),
        tuple(sorted(plan.suspects)), ranks_per_frame=placement.group, launcher=str(placement.launcher),
    )  # fmt: skip
    if allocation is None:
        return launch
    whole = len(placement.nodes) in (0, len(allocation.nodes))
    nodes = allocation.node_list if whole else ",".join(placement.nodes)
    return replace(launch, nodes=nodes, job=allocation.job, cluster=allocation.cluster, allocation=allocation.run)
