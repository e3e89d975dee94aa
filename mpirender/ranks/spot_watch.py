"""The first rank of each node asks whether the cloud is about to take the node away, and records the notice."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from mpirender.job.options import AUTO, ON
from mpirender.run_folder import events
from mpirender.run_folder.journal import Journal
from mpirender.system import background, instance_metadata
from mpirender.system.instance_metadata import InstanceMetadata

LOOK_SECONDS = 5.0  # as Amazon recommends; the notice comes two minutes before
SILENT_LOOKS = 6  # in a row without an answer, before the user is warned


def wanted(how: str) -> bool:
    """Return whether this machine is to be watched."""
    return how == ON or (
        how == AUTO and instance_metadata.on_ec2() and os.environ.get(instance_metadata.DISABLED, "").lower() != "true"
    )


@contextlib.contextmanager
def watching(folder: Path, run: str, how: str) -> Iterator[None]:
    """Record notices during the block, in a journal of this node."""
    if not wanted(how):
        yield
        return
    host = socket.gethostname()
    with Journal(folder, None, host, name=f"node-{host}.jsonl") as log:

        def watch(ended: threading.Event) -> None:
            watcher = SpotWatch(log, run)
            while not watcher.done and not ended.wait(0 if watcher.fresh else LOOK_SECONDS):
                watcher.look()

        with background.working(watch):
            yield


class SpotWatch:
    """Looks for notices, and records each once."""

    def __init__(self, log: Journal, run: str) -> None:
        self._log, self._run, self._service = log, run, InstanceMetadata()
        self._silent, self._recommended = 0, False
        self.fresh = True  # whether it has not looked yet
        self.done = False  # whether the node is to be taken away: there is nothing more to learn

    def look(self) -> None:
        """Ask once."""
        self.fresh = False
        try:
            found = self._service.interruption()
            recommended = found is None and not self._recommended and self._service.rebalance()
        except (OSError, ValueError) as problem:
            self._silent += 1
            if self._silent == SILENT_LOOKS:
                self._write(events.Warning(f"the notices of the cloud cannot be read: {problem} (--spot-notices off)"))
            return
        self._silent = 0
        if found is not None:
            self.done = self._write(events.Notice(self._run, found.at, found.action))
        elif recommended:
            self._recommended = self._write(events.Notice(self._run))

    def _write(self, event: events.Event) -> bool:
        """Record an event; return whether that was possible."""
        try:
            self._log.write(event)
        except OSError:  # a full disk; the next look tries again
            return False
        return True
