"""One run at a time in a folder: a lock that names its owner, and that another run takes over if the owner has died.

On the owner's machine the kernel says whether its process runs. On other machines its heartbeat does: it touches the
lock file every few seconds, and counts as dead after a minute without a touch, by the clock of the file system. Since
that clock may jump, a lock that seems to be old, or of the future, is watched before it is taken over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mpirender.errors import TakenOver, UsageError
from mpirender.system import files, slurm

LOCK = "lock"
ENCODE, DRY_RUN, RESULTS = NO_RUNS = "encode", "dry run", "results"  # owners of the lock that are not runs
BEAT_SECONDS = 5.0
DEAD_SECONDS = 60.0
WATCH_SECONDS = 12.0  # a living owner touches or repairs its lock in this time
LEAVE_SECONDS = 6.0  # the ranks of a run that lives nevertheless notice in this time that the lock has another owner
LARGEST_PID, END_OF_TIME = 2**22, 253_402_300_799
FIRST_NAMESPACE = "pid:[4026531836]"  # of process ids outside of all containers (PROC_PID_INIT_INO of Linux)

Pause = Callable[[float], object]


@dataclass(frozen=True)
class Owner:
    """The process that writes into a folder."""

    host: str  # name of its machine, for people
    space: str  # boot of the kernel and pid namespace, in which its pid is unique
    pid: int  # its process id
    born: int  # when the process was started, in clock ticks since boot: the kernel reuses pids
    run: str  # id of the run, or :data:`ENCODE` or :data:`DRY_RUN`
    since: float  # when it took the lock, seconds since the epoch
    job: str = ""  # number of its Slurm job

    @classmethod
    def this_process(cls, run: str) -> Owner:
        """Return this process as an owner."""
        pid = os.getpid()
        return cls(socket.gethostname(), _space(), pid, _born(pid), run, time.time(), slurm.job_number())

    @property
    def runs(self) -> bool | None:
        """Whether the process runs; None if that cannot be seen from here."""
        if self.space != _space():
            return None
        if born := _born(self.pid):
            return born == self.born
        try:
            os.kill(self.pid, 0)
        except PermissionError:  # /proc may hide the processes of other users
            return None
        except OSError:
            return False
        return False  # a zombie

    @property
    def advice(self) -> str:
        """How to end it; its process id is named only where it is certainly that of the owner."""
        if self.job:
            return f"scancel {self.job}"
        if self.space == _space():
            return f"kill {self.pid} on {self.host}"
        if self.space.endswith(FIRST_NAMESPACE) and self.host != socket.gethostname():
            return f"kill {self.pid} on {self.host}"
        return f"on {self.host}, where it was started"

    def __str__(self) -> str:
        where = "" if self.space.endswith(FIRST_NAMESPACE) or self.space == _space() else ", as its container counts"
        return f"pid {self.pid} on {self.host}{where}"


class Lock:
    """The lock of a folder, held by this process."""

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / LOCK
        self.me = Owner.this_process(run)
        self._beaten = time.monotonic()

    def acquire(self, pause: Pause = time.sleep) -> None:
        """Take the lock, also from an owner that has died.

        :param pause: called with seconds to wait, as long as it is not clear whether the owner has died.
        :raises UsageError: another run holds it; the message names its owner. Or something else has its name.
        """
        if os.path.lexists(self.path) and (self.path.is_symlink() or not self.path.is_file()):
            raise UsageError(f"{self.path}: not a file, but mpirender writes one there; remove it")
        for _ in range(3):
            if self._take(None):
                return
            if (state := _state(self.path)) is None:
                continue
            patience = patience_with(self.path.parent)
            if math.isinf(patience):
                raise UsageError(busy(self.path.parent, read(self.path.parent)))
            if self._is_unchanged(state, patience, pause) and self._take(state):
                if patience:
                    pause(LEAVE_SECONDS)
                return
        raise UsageError(f"{self.path.parent}: several runs were started here at once; start one of them again")

    def _take(self, state: object) -> bool:
        """Make the lock in the place of the one with this state, of a dead owner; return whether that was possible."""
        with _alone(self.path.parent), contextlib.suppress(FileExistsError):
            if state is not None and _state(self.path) == state:
                self._clear_away(_content(self.path))
            self._create()
            return True
        return False

    def _is_unchanged(self, state: object, seconds: float, pause: Pause) -> bool:
        """Watch the lock; return whether nobody has touched it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pause(min(seconds, 1.0))
            if _state(self.path) != state:
                return False
        return True

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
                self._restore()
            os.utime(self.path, follow_symlinks=False)

    def check(self) -> Owner | None:
        """Return the owner of the lock, None if it names none.

        :raises TakenOver: another run has taken the lock over, since this one did not refresh it for too long.
        """
        owner = read(self.path.parent)
        if owner is not None and owner != self.me:
            other = f"another run has taken over ({owner})"
            silent = f"this run did not respond for {DEAD_SECONDS:.0f} s"
            raise TakenOver(f"{silent}, so {other} and continues with the remaining images", continues=True)
        return owner

    def release(self) -> None:
        """Remove the lock, unless another run has taken it over."""
        if read(self.path.parent) == self.me:
            self.path.unlink(missing_ok=True)

    def _restore(self) -> None:
        """Write the lock again after it was deleted or damaged."""
        if self.path.exists():
            self._clear_away(_content(self.path))
        with contextlib.suppress(FileExistsError):
            self._create()

    def _create(self) -> None:
        """Make the lock, which is never seen without its content; FileExistsError: there is one."""
        part = self.path.with_name(f".part-{LOCK}-{uuid.uuid4().hex}")
        try:
            part.write_text(json.dumps(asdict(self.me)))
            os.link(part, self.path)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP):  # a file system without links
                raise
            with self.path.open("xb") as file:
                file.write(part.read_bytes())
        finally:
            part.unlink(missing_ok=True)

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
def held(
    folder: Path, run: str, refused: Callable[[UsageError], None] | None = None, pause: Pause = time.sleep
) -> Iterator[Lock]:  # fmt: skip
    """Hold the lock of a folder during the block.

    :param pause: called with seconds to wait, as long as it is not clear whether the owner of the lock has died.
    :raises UsageError: another run holds it; ``refused`` is called with the error, and may return for another attempt.
    """
    lock = Lock(folder, run)
    while True:
        try:
            lock.acquire(pause)
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
    """Return the owner that the lock names, whether it runs or not; None if there is no lock, or it is damaged."""
    try:
        owner = Owner(**json.loads(_content(folder / LOCK)))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (owner.host, owner.space, owner.run, owner.job)
    numbers = type(owner.pid) is type(owner.born) is int and isinstance(owner.since, (int, float))
    sound = all(isinstance(text, str) for text in texts) and numbers
    return owner if sound and 0 < owner.pid <= LARGEST_PID and 0 <= owner.since <= END_OF_TIME else None


def patience_with(folder: Path) -> float:
    """Return for how many seconds the lock must stay untouched before it is taken over.

    That is 0 if its owner has died, and infinite if it lives.
    """
    owner = read(folder)
    runs = owner.runs if owner is not None else None
    if runs is not None:
        return math.inf if runs else 0.0
    age = _age(folder)
    if owner is None or age > DEAD_SECONDS:
        return WATCH_SECONDS
    return math.inf if age >= -BEAT_SECONDS else DEAD_SECONDS


def living_owner(folder: Path) -> Owner | None:
    """Return the owner of the lock if it runs, or seems to: nobody watches the lock for this."""
    owner = read(folder)
    if owner is None or owner.runs is False or (owner.runs is None and _age(folder) > DEAD_SECONDS):
        return None
    return owner


def busy(folder: Path, owner: Owner | None) -> str:
    """Return the message that another run writes into the folder."""
    if owner is None:
        return f"{folder.parent}: another run has just started here; choose another --output, or wait for it"
    since = time.strftime("%H:%M on %Y-%m-%d", time.localtime(owner.since))
    return (
        f"{folder.parent}: another run writes here: {owner}, since {since}; wait for it "
        f"(mpirender status {folder.parent}), end it ({owner.advice}), or choose another --output"
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs from changing the lock meanwhile: a third one could take the place of one that is set aside."""
    file = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # where the file system has no locks, Lock._clear_away alone must do
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _state(path: Path) -> object:
    """Return what changes when the owner of a lock touches or replaces it."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, _content(path)
    return None


def _age(folder: Path) -> float:
    """Return the seconds since the lock was touched, by the clock of its file system; infinite if there is none."""
    with contextlib.suppress(OSError):
        return _now(folder) - (folder / LOCK).stat().st_mtime
    return math.inf


def _content(path: Path) -> bytes:
    try:
        return files.content(path)
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
