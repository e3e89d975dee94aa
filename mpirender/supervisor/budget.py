"""The price of the nodes of a run, and the limit of what they may cost."""

from __future__ import annotations

import time
from collections.abc import Collection

from mpirender.errors import PriceLimitReached
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal
from mpirender.run_folder.cost import cost_of_all, dollars, own_cost
from mpirender.run_folder.event_values import Cost
from mpirender.run_folder.events import Nodes
from mpirender.run_folder.run_state import RunHistory, RunState, progress
from mpirender.system.text import rounded

PAUSE_SECONDS = 1.0  # between two looks at what the run has cost


class Budget:
    """What the nodes of a run cost, what they may cost, and what the runs before it in the folder have cost."""

    def __init__(self, price: float, limit: float | None, nodes: Collection[str], earlier: list[RunState]) -> None:
        """Begin to count now; ``price`` is that of a node-hour, in dollars as is ``limit``."""
        self.price, self.limit, self.nodes = price, limit, list(nodes)
        self.earlier = cost_of_all(earlier)
        self._counted_from, self._next = time.time(), 0.0

    @classmethod
    def of(cls, job: RenderJob, nodes: Collection[str]) -> Budget | None:
        """Return the budget of a job, None for a job without a price. The journals must be those of earlier runs."""
        if job.price is None:
            return None
        earlier = RunHistory(journal.read(job.folder)).runs.values()
        return cls(job.price, job.price_limit, nodes, list(earlier))

    def forget(self, lost: Collection[str]) -> None:
        """Leave out nodes that are lost."""
        self.nodes = [node for node in self.nodes if node not in lost]

    def record(self) -> Nodes:
        """Return what to record with a launch."""
        now = time.time()
        since, self._counted_from = max(now - self._counted_from, 0.0), now
        return Nodes(tuple(self.nodes), self.price, self.limit or 0.0, since, self.earlier)

    def exceeded(self, run: RunState) -> bool:
        """Return whether the limit is reached while images are missing; looks once a second."""
        now = time.monotonic()
        if self.limit is None or now < self._next:
            return False
        self._next = now + PAUSE_SECONDS
        images = progress(run)
        return self._spent(run).dollars >= self.limit and (images is None or images.left > 0)

    def error(self, run: RunState) -> PriceLimitReached:
        """Return the error that the limit is reached."""
        spent, images = self._spent(run), progress(run)
        before = f", {dollars(self.earlier.dollars)} of it in earlier runs" if self.earlier.dollars else ""
        so_far = f"; {images.done} of {images.total} images are done" if images else ""
        return PriceLimitReached(
            f"--price-limit {self.limit:g} is reached: {dollars(spent.dollars)} for {rounded(spent.hours)} node-hours"
            f"{before}{so_far}; run the same command again with a higher limit to continue"
        )

    def _spent(self, run: RunState) -> Cost:
        return own_cost(run, time.time()).plus(self.earlier)
