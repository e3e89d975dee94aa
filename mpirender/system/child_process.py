"""Start and run child processes: with time limit, environment and process group; each ends with this process."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from mpirender.system import signals
from mpirender.system.stall import LOOK_SECONDS, StallWatch

HOSTED = Path(__file__).resolve().parents[1] / "hosted"
# With these variables a child process would take itself for one of the ranks.
OF_MPI = re.compile(r"(OMPI|PMIX|PMI|PRTE|HYDI?|MPI)_|SLURM_")
RETRY_SECONDS = 1.0  # after a child process was killed, until everything that was to be killed is
END_SECONDS = 5.0  # between SIGTERM and SIGKILL
PAUSE_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None)


class Finished(NamedTuple):
    """A child process that has ended: exit code (negative for a signal), standard output and standard error."""

    code: int
    output: str
    errors: str


def run(
    command: Sequence[str],
    *,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    isolated: bool = False,
    attempts: int = 1,
    given: bytes = b"",
) -> Finished:
    """Run a command to its end; it is killed if this process dies.

    :param timeout: seconds.
    :param environment: all variables of the command; by default those of this process.
    :param isolated: for a program that may crash: it leaves no core file and ignores the stop signals of this process.
    :param attempts: how often the command is started while it is killed: other programs may have been the target.
    :param given: its standard input.
    :raises OSError: the command cannot be started; TimeoutError if it does not end in time.
    """
    prepare = isolate if isolated else partial(end_with_parent, signal.SIGKILL)
    for attempt in range(attempts):
        time.sleep(RETRY_SECONDS if attempt else 0)
        try:
            done = subprocess.run(
                command, env=environment, cwd=folder, input=given, capture_output=True, timeout=timeout, check=False,
                preexec_fn=prepare,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"no answer within {timeout:.0f} s") from None
        if done.returncode != -signal.SIGKILL:
            break
    return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def run_fed(
    command: Sequence[str],
    parts: Iterable[bytes],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Finished:
    """Run a command to its end, and write parts of its standard input as it reads them.

    It is killed if this process dies, or if the next part cannot be made.

    :param environment: all variables of the command; by default those of this process.
    :raises TimeoutError: it was stopped by a signal, or did nothing for long, and was killed.
    :raises OSError: the command cannot be started.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(2) as pool, tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE,
            preexec_fn=partial(end_with_parent, signal.SIGKILL),  # noqa: PLW1509 - it only makes system calls
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        with process.stderr:
            try:
                errors = pool.submit(process.stderr.read)
                stalled = pool.submit(_end_if_stalled, process, ended)
                _feed(process.stdin, parts)
                process.wait()
            except RuntimeError:  # there is no thread left
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            finally:
                process.kill()
                process.wait()
                ended.set()
            if reason := stalled.result():
                raise TimeoutError(reason)
            output.seek(0)
            printed = output.read().decode(errors="replace")
            return Finished(process.returncode, printed, errors.result().decode(errors="replace"))


def _feed(given: IO[bytes], parts: Iterable[bytes]) -> None:
    """Write the standard input of a process, whose exit code says why if it ends before it has read all."""
    try:
        with contextlib.suppress(BrokenPipeError):
            for part in parts:
                given.write(part)
    finally:
        with contextlib.suppress(BrokenPipeError):
            given.close()


def _end_if_stalled(process: subprocess.Popen[bytes], ended: threading.Event) -> str:
    """Kill a process that does nothing for long; return why, empty once it has ended by itself."""
    watch = StallWatch(process.pid, limit=None)
    while not ended.wait(LOOK_SECONDS):
        if process.returncode is None and (problem := watch.problem()):
            process.kill()
            return problem.reason
    return ""


def start(
    command: Sequence[str],
    *,
    given: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] = subprocess.DEVNULL,
    errors: int | IO[bytes] = subprocess.STDOUT,
    added: Mapping[str, str] | None = None,
    end_signal: signal.Signals = signal.SIGTERM,
    only_end_signal: bool = False,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that Ctrl-C in the terminal does not reach it.

    :param given: its standard input.
    :param added: variables added to the environment of this process.
    :param end_signal: the signal that the command gets when the thread that calls this dies.
    :param only_end_signal: whether the command ignores the other stop signals.
    :raises OSError: the command cannot be started.
    """

    def prepare() -> None:
        end_with_parent(end_signal)
        if only_end_signal:
            signals.ignore_signals(but=(end_signal,))

    return subprocess.Popen(
        command, env={**os.environ, **(added or {})}, stdin=given, stdout=output, stderr=errors,
        start_new_session=True, pass_fds=pass_fds, preexec_fn=prepare,  # noqa: PLW1509 - it only makes system calls
    )  # fmt: skip


def run_until(
    command: Sequence[str],
    stop: Callable[[], bool],
    *,
    timeout: float,
    errors: int = subprocess.STDOUT,
    added: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> tuple[int | None, str]:
    """Run a command, at most until ``stop`` or the time limit; then end it and every process of its group.

    Return its exit code, None if it was ended, and its output.

    :param stop: called every 0.05 s.
    :param timeout: seconds.
    :param errors: where its standard error goes; by default to the output.
    :param given: its standard input.
    """
    deadline = time.monotonic() + timeout
    # No pipes: a process that the command leaves would keep them open.
    with tempfile.TemporaryFile() as content, tempfile.TemporaryFile() as output:
        content.write(given)
        content.seek(0)
        process = start(command, given=content, output=output, errors=errors, added=added)
        while process.poll() is None and time.monotonic() < deadline and not stop():
            time.sleep(PAUSE_SECONDS)
        code = process.poll()
        terminate(process, END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def terminate(process: subprocess.Popen[bytes], patience: float) -> None:
    """Send SIGTERM to a process (a launcher passes it on to other nodes) and wait at most ``patience`` seconds."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def ending(code: int) -> str:
    """Describe how a process ended: by which signal (negative, or 128 and more), or with which exit code."""
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(number).name}"
    return f"exit code {code}"


def end_with_parent(number: int = signal.SIGTERM, parent: int | None = None) -> None:
    """Ask the kernel to send this process a signal when its parent dies, even by kill -9; for ``preexec_fn``.

    If the process id of the parent is given, and it has died already, end now. The parent is the thread that started
    the child, so a child process must be started from a thread that outlives it. The kernel does not do this for setuid
    programs.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the parent of the processes that children of this process leave behind (prctl(2))."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> None:
    """Kill all children of this process, the adopted ones and theirs included, except for setuid programs."""
    own, left = Path(f"/proc/self/task/{os.getpid()}/children"), set[int]()
    while pids := set(map(int, own.read_text().split())) - left if own.exists() else ():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                left.add(pid)


def environment(**added: str) -> dict[str, str]:
    """Return the environment for a host program that is no rank: without MPI and display, with mpirender's package."""
    kept = {name: value for name, value in os.environ.items() if not OF_MPI.match(name) and name != "DISPLAY"}
    return {**kept, "PYTHONPATH": str(HOSTED), "HWLOC_COMPONENTS": "-gl", **added}


def isolate() -> None:
    """Make this child process leave no core file, end with its parent and ignore stop signals; for ``preexec_fn``."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent(signal.SIGKILL)
    signals.ignore_signals()
