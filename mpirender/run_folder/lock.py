"""One run at a time in a folder: a lock that names its owner, and that another run takes over if the owner has died.

On the owner's machine the kernel says whether its process runs. On other machines its heartbeat does: it touches the
lock file every few seconds, and counts as dead after a minute without a touch, by the clock of the file system.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mpirender.errors import TakenOver, UsageError

LOCK = "lock"
ENCODE, DRY_RUN, RESULTS = NO_RUNS = "encode", "dry run", "results"  # owners of the lock that are not runs
BEAT_SECONDS = 5.0
DEAD_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that writes into a folder."""

    host: str  # name of its machine, for people
    space: str  # boot of the kernel and pid namespace, in which its pid is unique
    pid: int  # its process id
    born: int  # when the process was started, in clock ticks since boot: the kernel reuses pids
    run: str  # id of the run, or :data:`ENCODE` or :data:`DRY_RUN`
    since: float  # when it took the lock, seconds since the epoch

    @classmethod
    def this_process(cls, run: str) -> Owner:
        """Return this process as an owner."""
        return cls(socket.gethostname(), _space(), os.getpid(), _born(os.getpid()), run, time.time())


class Lock:
    """The lock of a folder, held by this process."""

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / LOCK
        self.me = Owner.this_process(run)
        self._beaten = time.monotonic()

    def acquire(self) -> None:
        """Take the lock, also from an owner that has died.

        :raises UsageError: another run holds it; the message names its host and pid.
        """
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # where the file system has none, _clear_away alone must do
                fcntl.flock(folder, fcntl.LOCK_EX)  # a third run could take the place of a lock that is set aside
            self._acquire()
        finally:
            os.close(folder)

    def _acquire(self) -> None:
        for _ in range(3):
            with contextlib.suppress(FileExistsError):
                return self._create()
            content = _content(self.path)
            if other := living_owner(self.path.parent):
                raise UsageError(busy(self.path.parent, other))
            self._clear_away(content)
        raise UsageError(f"{self.path.parent}: several runs were started here at once; start one of them again")

    def beat(self) -> None:
        """Refresh the lock; call it often, it does something every few seconds only.

        :raises TakenOver: another run has taken the lock over, since this one did not refresh it for too long.
        """
        if time.monotonic() - self._beaten < BEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        owner = self.check()
        with contextlib.suppress(OSError):  # the file system may be unavailable for a moment
            if owner is None:
                self._create()
            os.utime(self.path, follow_symlinks=False)

    def check(self) -> Owner | None:
        """Return the owner of the lock, None if it names none.

        :raises TakenOver: another run has taken the lock over, since this one did not refresh it for too long.
        """
        owner = read(self.path.parent)
        if owner is not None and owner != self.me:
            other = f"another run has taken over (pid {owner.pid} on {owner.host})"
            silent = f"this run did not respond for {DEAD_SECONDS:.0f} s"
            raise TakenOver(f"{silent}, so {other} and continues with the remaining images")
        return owner

    def release(self) -> None:
        """Remove the lock, unless another run has taken it over."""
        if read(self.path.parent) == self.me:
            self.path.unlink(missing_ok=True)

    def _create(self) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(file, json.dumps(asdict(self.me)).encode())
        except OSError:  # a full disk
            self.path.unlink()
            raise
        finally:
            os.close(file)

    def _clear_away(self, content: bytes) -> None:
        """Remove the lock of a dead owner; a lock that another run has made meanwhile stays."""
        aside = self.path.with_name(f".part-{LOCK}-{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(aside)
            if _content(aside) != content:
                with contextlib.suppress(OSError):
                    os.link(aside, self.path)
            aside.unlink()


@contextlib.contextmanager
def held(folder: Path, run: str, refused: Callable[[UsageError], None] | None = None) -> Iterator[Lock]:
    """Hold the lock of a folder during the block.

    :raises UsageError: another run holds it; ``refused`` is called with the error, and may return for another attempt.
    """
    lock = Lock(folder, run)
    while True:
        try:
            lock.acquire()
            break
        except UsageError as error:
            if refused is None:
                raise
            refused(error)
    try:
        yield lock
    finally:
        lock.release()


def read(folder: Path) -> Owner | None:
    """Return the owner that the lock names, whether it runs or not; None if no lock can be read."""
    try:
        return Owner(**json.loads(_content(folder / LOCK)))
    except (ValueError, TypeError):
        return None


def living_owner(folder: Path) -> Owner | None:
    """Return the owner of the lock if it runs; its name is unknown if it has not written it yet."""
    owner = read(folder)
    if owner is not None and owner.space == _space():
        return owner if _born(owner.pid) == owner.born else None
    with contextlib.suppress(OSError):
        if _now(folder) - (folder / LOCK).stat().st_mtime <= DEAD_SECONDS:
            return owner or Owner("an unknown host", "", 0, 0, "", time.time())
    return None


def busy(folder: Path, owner: Owner) -> str:
    """Return the message that another run writes into the folder."""
    since = time.strftime("%H:%M on %Y-%m-%d", time.localtime(owner.since))
    return (
        f"{folder.parent}: another run writes here: pid {owner.pid} on {owner.host}, since {since}; wait for it "
        f"(mpirender status {folder.parent}), end it (kill {owner.pid} on {owner.host}), or choose another --output"
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system, which may differ from that of this machine."""
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime
    return time.time()


def _space() -> str:
    boot = _content(Path("/proc/sys/kernel/random/boot_id")).decode().strip()
    with contextlib.suppress(OSError):
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return boot


def _born(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if it does not run or is a zombie."""
    fields = _content(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()  # the name before it may contain anything
    return int(fields[19]) if len(fields) > 19 and fields[0] not in (b"Z", b"X") else 0
