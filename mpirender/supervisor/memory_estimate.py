"""Whether the memory of each machine will hold its ranks, from what the first images took."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mpirender import engines
from mpirender.engines import Inspection
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder.journal import Record
from mpirender.supervisor.disk_estimate import amount
from mpirender.system import host
from mpirender.system.text import plural

_SHARE = "ranks_per_frame"  # the option by which ranks share frames, which not every engine takes
USABLE = 0.9  # of a machine's memory: the system, an X server and encoders need some


class Estimate:
    """What the ranks of each machine will take, from the first image on that one of them has rendered."""

    def __init__(self, job: RenderJob) -> None:
        shares = OPTIONS[_SHARE].applies_to(engines.name_for(job.scene))
        self._instead = f", or let ranks share frames (--ranks-per-frame {job.ranks_per_frame + 1})" if shares else ""
        self._memory: dict[str, int] = {}  # of each machine
        self._hosts: dict[int, list[str]] = {}  # by rank of the journals, of all processes that share its frames
        self._peaks: dict[int, int] = {}

    def add(self, records: Sequence[Record]) -> None:
        """Count these records in."""
        for record in records:
            if record["event"] == "launch":  # those of the start before are gone, perhaps with their nodes
                self._hosts.clear()
            elif record["event"] == "phase" and record.get("node_memory"):
                self._memory[record["host"]] = record["node_memory"]
                self._hosts[record["rank"]] = [record["host"], *record["with"]]
            elif record["event"] == "done":
                self._peaks[record["rank"]] = max(record["memory"], self._peaks.get(record["rank"], 0))

    def shortage(self) -> str:
        """Say that the memory of a machine will not hold its ranks, and how many it holds; empty where it will."""
        most = max(self._peaks.values(), default=0)
        seats: dict[str, list[int]] = defaultdict(list)
        for rank, hosts in self._hosts.items():
            for name in hosts:
                seats[name].append(rank)
        for name, ranks in seats.items():
            needed = sum(self._peaks.get(rank, most) for rank in ranks)
            has = self._memory.get(name, 0)
            if has and needed > USABLE * has and len(ranks) > 1:
                return self._told(name, len(ranks), needed, most)
        return ""

    def _told(self, name: str, count: int, needed: int, most: int) -> str:
        has = self._memory[name]
        fitting = max(int(USABLE * has / most), 1)
        return (
            f"memory will be short: {count} ranks on {name} take about {amount(needed)} (up to {amount(most)} each), "
            f"it has {amount(has)}; take {plural(fitting, 'rank')} there (--ranks){self._instead}"
        )


def advice(inspection: Inspection) -> list[str]:
    """Say how the data of a frame compare with what a rank has on this machine; nothing where they are small."""
    largest: dict[str, int] = defaultdict(int)  # of each reader: of a series one file is in memory at a time
    for file in inspection.data_files:
        with contextlib.suppress(OSError):  # it is not there, which is told elsewhere
            largest[file.reader] = max(largest[file.reader], Path(file.path).stat().st_size)
    needed, has, ranks = sum(largest.values()), host.memory(), cores()
    share = USABLE * has / ranks
    if needed <= share:
        return []
    files = f"the data of a frame take {amount(needed)} as files"
    shares = OPTIONS[_SHARE].applies_to(inspection.engine)
    cure = f"give --ranks-per-frame {-(-needed // int(share))}, or fewer --ranks" if shares else "give fewer --ranks"
    return [f"{files} and each of {ranks} ranks has {amount(share)} of memory here: {cure}"]
