"""A renderer that is replaced when it is lost: the next one gets the orders again that made the last one ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpirender.errors import RendererFailed
from mpirender.ranks.renderer import Renderer, RendererLost
from mpirender.system.stall import FIRST_SECONDS
from mpirender.system.text import plural

# Renderers lost in a row, after which a rank gives up: while they were made ready, and at work that may be the cause.
MAX_LOSSES = 3
MAX_LOSSES_AT_WORK = 10

Order = tuple[Any, ...]  # a method of the renderer process, and its arguments
Record = Callable[[RendererLost, object], object]


class ReloadingRenderer:
    """Gives orders to the renderer of this rank, and to the next one if that is lost."""

    def __init__(self, renderer: Renderer, record: Record, *, idle: bool = True) -> None:
        """Give orders to this renderer.

        :param record: called with each loss, and the work that was lost with it (None while it was made ready).
        :param idle: whether a renderer is ended when it does nothing at all for long.
        """
        self.renderer, self._idle = renderer, idle
        self._record = record
        self._setup: list[Order] = []  # what makes a renderer ready
        self.results: list[Any] = []  # of those that this renderer has carried out
        self._losses = self._losses_at_work = 0  # in a row
        self._last_reason = ""

    @property
    def is_ready(self) -> bool:
        """Whether the renderer has carried out all orders that make it ready."""
        return len(self.results) == len(self._setup)

    @property
    def hopeless(self) -> str:
        """Why no further renderer is started, empty as long as one is."""
        if self._losses < MAX_LOSSES and self._losses_at_work < MAX_LOSSES_AT_WORK:
            return ""
        count = plural(max(self._losses, self._losses_at_work), "renderer")
        return f"{count} in a row were lost; the last one {self._last_reason}"

    def make_ready(self, *order: Any) -> Any:  # noqa: ANN401
        """Add an order to those that make a renderer ready, if one is given; return the result of the last of them.

        :raises RendererFailed: too many renderers in a row were lost.
        """
        self._setup += [order] if order else []
        self._repeat(lambda: None)
        return self.results[-1]

    def ask(self, *order: Any) -> Any:  # noqa: ANN401
        """Give an order, and give it again to the next renderer if this one is lost; return its result.

        :raises RendererFailed: too many renderers in a row were lost.
        """
        return self._repeat(lambda: self._call(order))

    def _repeat(self, last: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Make the renderer ready and do the last step; both again with the next renderer if this one is lost."""
        while True:
            try:
                while not self.is_ready:
                    self.results.append(self._call(self._setup[len(self.results)]))
                result = last()
            except RendererLost as lost:
                self._lose(lost, None)
            else:
                self._losses = 0
                return result

    def _call(self, order: Order) -> Any:  # noqa: ANN401
        if self.hopeless:
            raise RendererFailed(f"{self.hopeless}; see {self.renderer.log}")
        return self.renderer.call(*order, limit=FIRST_SECONDS, idle=self._idle)

    def _lose(self, lost: RendererLost, work: object) -> None:
        if work is None:
            self._losses += 1
        else:
            self._losses_at_work += 1
        self._last_reason = lost.reason
        self._record(lost, work)
        self.replace()

    def attempt(self, work: object, *order: Any, limit: float | None) -> Any:  # noqa: ANN401
        """Give an order to a renderer that is ready; return its result, or raise RendererLost."""
        try:
            result = self.renderer.call(*order, limit=limit, idle=self._idle)
        except RendererLost as lost:
            self._lose(lost, work)
            raise
        self._losses_at_work = 0
        return result

    def replace(self) -> None:
        """Start another renderer, which is not ready yet."""
        self.renderer.replace()
        self.results = []
