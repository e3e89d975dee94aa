"""Whether the memory of each machine will hold its ranks, estimated from its first images."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path

from mpirender import engines
from mpirender.engines.base import Inspection
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder.run_state import RunState
from mpirender.supervisor.disk_estimate import amount
from mpirender.system import host
from mpirender.system.text import plural

_SHARE = "ranks_per_frame"  # the option by which ranks share frames, which not every engine takes
USABLE = 0.9  # of a machine's memory: the system, an X server and encoders need some


def shortage(job: RenderJob, state: RunState) -> str:
    """Return the warning that the memory of a machine will not hold its ranks, and how many it holds; empty if it will.

    The estimate begins with the first image that a rank of the machine has rendered.
    """
    peaks: dict[int, int] = defaultdict(int)  # by rank of the journals, also from earlier launches
    for session in state.sessions:
        peaks[session.start.rank] = max(session.memory, peaks[session.start.rank])
    most = max(peaks.values(), default=0)
    memory: dict[str, int] = {}  # of each machine
    ranks_on: dict[str, list[int]] = defaultdict(list)
    for rank, session in state.now.sessions.items():
        if session.opened is not None and session.opened.node_memory:
            memory[session.start.host] = session.opened.node_memory
            for name in (session.start.host, *session.opened.hosts):
                ranks_on[name].append(rank)
    for name, ranks in ranks_on.items():
        needed, available = sum(peaks[rank] or most for rank in ranks), memory.get(name, 0)
        if available and needed > USABLE * available and len(ranks) > 1:
            return warning(job, name, len(ranks), needed=needed, most=most, available=available)
    return ""


def warning(job: RenderJob, name: str, count: int, *, needed: int, most: int, available: int) -> str:
    """Return the warning for a machine; ``most`` is the largest peak of a rank, in bytes."""
    fitting = max(int(USABLE * available / most), 1)
    shares = OPTIONS[_SHARE].applies_to(engines.name_for(job.scene))
    instead = f", or let ranks share frames (--ranks-per-frame {job.ranks_per_frame + 1})" if shares else ""
    return (
        f"memory will be short: {count} ranks on {name} take about {amount(needed)} (up to {amount(most)} each), "
        f"it has {amount(available)}; take {plural(fitting, 'rank')} there (--ranks){instead}"
    )


def advice(inspection: Inspection) -> list[str]:
    """Compare the data of a frame with the memory of a rank on this machine; return a warning if they are larger."""
    largest: dict[str, int] = defaultdict(int)  # by reader, which holds one file of a series in memory at a time
    for file in inspection.data_files:
        with contextlib.suppress(OSError):  # missing files are reported elsewhere
            largest[file.reader] = max(largest[file.reader], Path(file.path).stat().st_size)
    needed, available, ranks = sum(largest.values()), host.memory(), cores()
    share = USABLE * available / ranks
    if needed <= share:
        return []
    files = f"the data of a frame take {amount(needed)} as files"
    shares = OPTIONS[_SHARE].applies_to(inspection.engine)
    fix = f"give --ranks-per-frame {-(-needed // int(share))}, or fewer --ranks" if shares else "give fewer --ranks"
    return [f"{files} and each of {ranks} ranks has {amount(share)} of memory here: {fix}"]
