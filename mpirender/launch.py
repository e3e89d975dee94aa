"""Start the launcher with all its ranks, hear what it says, and leave nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import IO

from mpirender import launcher
from mpirender.errors import LaunchFailed
from mpirender.job import RenderJob
from mpirender.launcher import Placement
from mpirender.processes import end_with_parent

END_SECONDS = 10.0  # for mpiexec to end ranks on other nodes, too
SWEPT_SECONDS = 2.0
READ_SECONDS = 5.0  # for the last of what it said
LINES_KEPT = 5000
LAUNCH_LOG = "launch.log"


class Launch:
    """One mpiexec or srun with its ranks; a context manager, after which none of them runs any more."""

    def __init__(self, job: RenderJob, placement: Placement, run: str) -> None:
        """Start the ranks.

        Raises:
            LaunchFailed: the launcher cannot be started.
        """
        self.job = job
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        command = [*launcher.command(job, placement), run]
        try:
            # In a session of their own, so that Ctrl-C reaches them through this process, once and in order.
            self._process = subprocess.Popen(
                command, env={**os.environ, **launcher.settings_here(placement)},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls the kernel alone
            )  # fmt: skip
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
        if self.code is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        sweep(self.job)
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
                log = stack.enter_context((self.job.folder / LAUNCH_LOG).open("ab", buffering=0))
            for line in stream:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                with contextlib.suppress(OSError):
                    if log is not None:
                        log.write(line)


def sweep(job: RenderJob) -> None:
    """Kill what runs ranks of this job on this machine, also what an earlier run has left behind.

    The ranks' X server and ffmpeg end with them.
    """
    for pid in ranks_here(job):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def ranks_here(job: RenderJob) -> list[int]:
    """Return the processes on this machine that run, or start, ranks of this job."""
    words = b"\0".join([b"-m", b"mpirender.rank", os.fsencode(job.folder / "job.json"), b""])
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if words in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
