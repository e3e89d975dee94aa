"""Start the launcher with all its ranks, hear what it says, and leave nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mpirender.errors import LaunchFailed
from mpirender.system import child_process

END_SECONDS = 10.0  # for mpiexec to end ranks on other nodes, too

SWEPT_SECONDS = 2.0

READ_SECONDS = 5.0  # for the last of what it said

LINES_KEPT = 5000

LAUNCH_LOG = "launch.log"

MARK = "mpirender: error: "


class Launch:
    """One mpiexec or srun with its ranks; a context manager, after which none of them runs any more."""

    def __init__(
        self, command: Sequence[str], settings: Mapping[str, str], *, known_by: Sequence[str], log: Path
    ) -> None:
        """Start the ranks.

        Args:
            settings: environment variables to add for them.
            known_by: those words of the command that nothing else is started with.
            log: file to which what they print is added.

        Raises:
            LaunchFailed: the launcher cannot be started.
        """
        self._known_by, self._log = known_by, log
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        try:
            self._process = child_process.start(command, output=subprocess.PIPE, added=settings)
        except OSError as error:
            raise LaunchFailed(f"{command[0]} cannot be started: {error.strerror}") from None
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *error: object) -> None:
        self.end(END_SECONDS)

    @property
    def code(self) -> int | None:
        """The exit code of the launcher, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def said(self) -> list[str]:
        """What the launcher and the ranks have printed; complete after the end."""
        return list(self._lines)

    def ask_to_stop(self) -> None:
        """Ask the ranks to end their images in flight and leave; the launcher passes the signal on."""
        if self.code is None:
            self._process.send_signal(signal.SIGUSR1)

    def end(self, patience: float) -> None:
        """End the launcher and all its ranks if they still run; it passes SIGTERM on to ranks on every node.

        Args:
            patience: seconds to wait before it is killed.
        """
        child_process.terminate(self._process, patience)
        sweep(self._known_by)
        with contextlib.suppress(subprocess.TimeoutExpired):  # with its ranks here the launcher ends those elsewhere
            self._process.wait(SWEPT_SECONDS)
        if self.code is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(READ_SECONDS)

    def _listen(self, stream: IO[bytes]) -> None:
        """Keep what is said in memory and in a file; the file alone would be lost on a full disk."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(stream)
            log = None
            with contextlib.suppress(OSError):
                log = stack.enter_context(self._log.open("ab", buffering=0))
            for line in stream:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                with contextlib.suppress(OSError):
                    if log is not None:
                        log.write(line)


def sweep(known_by: Sequence[str]) -> None:
    """Kill what runs these ranks on this machine, also what an earlier run has left behind.

    Their X server and ffmpeg end with them.

    Args:
        known_by: words of the command line that nothing else is started with.
    """
    for pid in ranks_here(known_by):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def ranks_here(known_by: Sequence[str]) -> list[int]:
    """Return the processes on this machine that run, or start, ranks with these words."""
    words = b"\0".join([*map(os.fsencode, known_by), b""])
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if words in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
