"""The launcher as a running process: start it with its ranks, collect its output, and leave no process behind."""

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
from mpirender.system import child_process, files

END_SECONDS = 10.0  # for mpiexec to end the ranks on other nodes, too
NOW_SECONDS = 3.0  # the same where the time of the ranks is over
SWEPT_SECONDS = 2.0
READ_SECONDS = 5.0  # for the last of the output
LINES_KEPT = 5000
LAUNCH_LOG = "launch.log"


class Launch:
    """One mpiexec or srun with its ranks; a context manager that ends all of them."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, rank_words: Sequence[str], log: Path
    ) -> None:
        """Start the ranks; raise LaunchFailed if the launcher cannot be started.

        :param environment: variables to add for them.
        :param rank_words: consecutive words of the command that no other process is started with.
        :param log: file to which the output is appended.
        """
        self._rank_words, self._log = rank_words, log
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._unread: deque[str] = deque(maxlen=LINES_KEPT)
        try:
            self._process = child_process.start(command, output=subprocess.PIPE, added=environment)
        except OSError as error:
            raise LaunchFailed(f"{command[0]} cannot be started: {error.strerror}") from None
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *error: object) -> None:
        self.end(END_SECONDS)

    @property
    def pid(self) -> int:
        """The process id of the launcher."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code of the launcher, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> list[str]:
        """The lines that the launcher and the ranks have printed; complete after the end."""
        return list(self._lines)

    def new_lines(self) -> list[str]:
        """Return the lines printed since the last call."""
        return [self._unread.popleft() for _ in range(len(self._unread))]

    def ask_to_stop(self) -> None:
        """Ask the ranks to finish their images in progress and exit; the launcher passes the signal on."""
        if self.code is None:
            self._process.send_signal(signal.SIGUSR1)

    def end(self, patience: float = NOW_SECONDS) -> None:
        """End the launcher and all its ranks if they still run; it passes SIGTERM on to ranks on every node.

        After ``patience`` seconds it is killed.
        """
        child_process.terminate(self._process, patience)
        sweep(self._rank_words)
        with contextlib.suppress(subprocess.TimeoutExpired):  # without its ranks here, it ends the others
            self._process.wait(SWEPT_SECONDS)
        if self.code is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(READ_SECONDS)

    def _read(self, stream: IO[bytes]) -> None:
        """Keep the output in memory as well as in the log, which a full disk would lose."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(stream)
            log = None
            with contextlib.suppress(OSError):
                log = stack.enter_context(open(self._log, "ab", buffering=0, opener=files.no_follow))
            for line in stream:
                text = line.decode(errors="replace").rstrip("\n")
                self._lines.append(text)
                self._unread.append(text)
                with contextlib.suppress(OSError):
                    if log is not None:
                        log.write(line)


def sweep(rank_words: Sequence[str], folder: Path | None = None) -> None:
    """Kill the ranks on this machine with these consecutive words on their command line, also those of an earlier run.

    Their X server and ffmpeg end with them.

    :param folder: the ranks must see the same folder at this path; in a container it may be another one.
    """
    words = b"\0".join([*map(os.fsencode, rank_words), b""])
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words in (process / "cmdline").read_bytes() and (
                folder is None or folder.samefile(f"{process}/root{folder}")
            ):
                os.kill(int(process.name), signal.SIGKILL)
