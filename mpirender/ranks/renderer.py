"""The renderer process of a rank, as the rank uses it: orders, time limits, how it died, and the one that follows.

The engine runs in a child process, so that its libraries never meet MPI, a crash costs one reload instead of all ranks,
and the rank can answer, write and watch meanwhile. See docs/explanation/way-of-a-frame.md.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpirender import engines
from mpirender.ranks.log import last_log_lines
from mpirender.ranks.renderer_process import serve
from mpirender.system import current_file, host
from mpirender.system.channel import Channel
from mpirender.system.child_process import ending
from mpirender.system.fork_server import Child, ForkServer
from mpirender.system.stall import Problem, StallWatch

POLL_SECONDS = 1.0  # at most, between two looks at a renderer that works
RENDERER = "--renderer"  # instead of a job: the program is a renderer that could not be forked
# Signals by which someone else ends a process.
FOREIGN = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Duties = Callable[[], float]


class RendererLost(Exception):
    """The renderer died or was ended; ``blameless``: not because of what it was working on."""

    def __init__(self, problem: Problem, log: Sequence[str]) -> None:
        """``log``: the last lines that it printed."""
        super().__init__(problem.reason)
        self.reason, self.blameless, self.log = problem.reason, problem.blameless, tuple(log)


class Renderer:
    """The renderer of this rank: one process at a time."""

    def __init__(
        self, target: Callable[..., object], kept: Sequence[int] = (), *, module: str = "mpirender.ranks"
    ) -> None:
        """Fork its fork server and start it; call this before threads, connections and MPI exist.

        :param target: called in the child with the descriptors ``kept``; its public methods are the orders.
        :param module: the module to run where the host program cannot be forked.
        """
        self.duties: Duties = lambda: POLL_SECONDS  # called while it works; returns when to call it again, in seconds
        self.peak = 0  # most memory that any renderer of this rank has used, in bytes
        self.log: Path | None = None  # what it prints goes there, once it has been told to
        self._environ = dict(os.environ)
        self._early_output = os.memfd_create("mpirender output")
        self._current_file = current_file.create()
        program = engines.unforkable_program()
        again = [*program, "-m", module, RENDERER, *map(str, kept)] if program else []

        def main(channel: Channel) -> None:
            current_file.keep(self._current_file)
            serve(channel, target(*kept))

        kept_open = [*kept, self._current_file]
        self._server = ForkServer(main, output=self._early_output, kept=kept_open, again=again)
        self._start()

    def _start(self) -> None:
        self._oom_kills = host.oom_kills()
        self._child: Child = self._server.start()

    @property
    def pid(self) -> int:
        """The process id of the renderer."""
        return self._child.pid

    @property
    def environment(self) -> dict[str, str | None]:
        """The environment variables that this process has changed since it started the first; None: removed."""
        removed: dict[str, str | None] = dict.fromkeys(set(self._environ) - set(os.environ))
        return {**removed, **{name: value for name, value in os.environ.items() if self._environ.get(name) != value}}

    def begin(self, name: str, *arguments: object) -> None:
        """Give an order that has no answer; an error appears with the next order."""
        try:
            self._child.channel.post((name, arguments, False))
        except EOFError:
            return

    def call(self, name: str, *arguments: object, limit: float | None = None, idle: bool = True) -> Any:  # noqa: ANN401
        """Give an order, do the rank's duties until it is carried out, and return the result.

        :param limit: seconds after which the renderer is ended, None for none.
        :param idle: whether it is ended when it does nothing at all for long.
        :raises RendererLost: it died, or exceeded a limit and was ended.
        """
        channel, watch = self._child.channel, StallWatch(self._child.pid, limit, idle=idle)
        try:
            channel.post((name, arguments, True))
            while not channel.poll(min(self.duties(), POLL_SECONDS)):
                if self._child.has_ended() and not channel.poll(0):
                    raise EOFError
                if problem := watch.problem():
                    raise self._lost(problem)
            answer = channel.receive()
        except EOFError:
            raise self._lost(None) from None
        self.peak = max(self.peak, answer.peak)
        if answer.error is not None:
            raise answer.error
        return answer.result

    def replace(self) -> None:
        """End the renderer, if it has not ended, and start another."""
        self._end()
        self._start()

    def close(self) -> None:
        """End the renderer for good."""
        self._end()
        self._server.close()

    def memory(self) -> int:
        """Return the bytes of memory that the renderer holds now."""
        return host.memory_of(self._child.pid)

    def _lost(self, problem: Problem | None) -> RendererLost:
        """Return why the renderer is lost; without a problem it has died."""
        code = self._child.wait() if problem is None else 0
        early = self._end()
        if problem is None:
            foreign = -code in FOREIGN
            problem = Problem(f"died ({ending(code)})", blameless=foreign)
            if code == -signal.SIGKILL and host.oom_kills() > self._oom_kills:
                problem = Problem(host.OUT_OF_MEMORY)
        if not problem.blameless and (path := current_file.noted(self._current_file)):
            problem = problem._replace(reason=f"{problem.reason} while it read {path}")
        return RendererLost(problem, last_log_lines(self.log) if self.log else early)

    def _end(self) -> list[str]:
        """End the process; print what it printed before it had a log, and return the last lines of that."""
        self._child.kill()
        self._child.wait()
        early = os.pread(self._early_output, os.fstat(self._early_output).st_size, 0)
        os.ftruncate(self._early_output, 0)
        os.lseek(self._early_output, 0, os.SEEK_SET)
        if early:
            os.write(2, early)
        return early.decode(errors="replace").splitlines()[-5:]
