"""Find ffmpeg and run it; its log decides whether it succeeded."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.movie.ffmpeg_args import PIP_LINE, RECIPES, no_encoder
from mpirender.system import child_process
from mpirender.system.child_process import Finished, ending

# For a truncated jpg ffmpeg only warns, and makes up the lower edge. The warning may have no prefix, if another thread
# is writing a line at the same time.
ERROR = re.compile(r"^(?:\[[^]]* @ [^]]*\] )*\[(?:error|fatal|panic)\] .+|EOI missing", re.MULTILINE)
FULL = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "quota exceeded"}  # ffmpeg's messages
SHORT = (errno.EAGAIN, errno.ENOMEM)
UNUSABLE = (126, 127)  # exit codes of the system's loader, as without a library
DEATHS = (*UNUSABLE, 128 + signal.SIGKILL, 128 + signal.SIGSEGV)  # the last ones of scripts that start ffmpeg
DIED = re.compile("|".join(["received signal", *map(os.strerror, SHORT)]))
RETRY_SECONDS = (1.0, 3.0)  # pauses after the first deaths
FIX = f"install the ffmpeg that comes with imageio-ffmpeg: {PIP_LINE}"

Result = TypeVar("Result")


class FfmpegDied(EncodeFailed):
    """ffmpeg was killed, or could not be started; the images are not the cause. ``again``: it may run later."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


def ffmpeg() -> str:
    """Return the ffmpeg program: ``IMAGEIO_FFMPEG_EXE``, that of imageio-ffmpeg, or the one on PATH.

    :raises ToolMissing: ffmpeg is not found.
    """
    named = os.environ.get("IMAGEIO_FFMPEG_EXE")
    if named:
        if found := shutil.which(named):
            return str(Path(found).absolute())  # ffmpeg runs in another folder
        raise ToolMissing(f"IMAGEIO_FFMPEG_EXE names {named}, which is not a program; correct it, or: {PIP_LINE}")
    with contextlib.suppress(ImportError):
        import imageio_ffmpeg

        # imageio-ffmpeg's own function starts the program, and takes one that is killed meanwhile for missing.
        for program in Path(imageio_ffmpeg.__file__).parent.glob("binaries/ffmpeg*"):
            if os.access(program, os.X_OK):
                return str(program)
    found = shutil.which("ffmpeg", path=os.pathsep.join([str(Path(sys.prefix, "bin")), os.environ.get("PATH", "")]))
    if not found:
        raise ToolMissing(f"ffmpeg is not found, so no movie can be made; install it: {PIP_LINE}")
    return found


@cache
def encoders(program: str) -> frozenset[str]:
    """Return the names of an ffmpeg's video encoders.

    :raises FfmpegDied: it cannot be started, or was killed.
    """
    done = retried(lambda: _run([program, "-hide_banner", "-encoders"], Path(program).name, Path(), ()))
    return frozenset(re.findall(r"^ V\S{5} (\S+)", done.output, re.MULTILINE))


def check(codec: str) -> None:
    """Raise ToolMissing unless there is an ffmpeg that runs and has an encoder for the codec."""
    program = ffmpeg()
    try:
        found = encoders(program)
    except FfmpegDied as error:
        raise ToolMissing(f"{program} does not run, so no movie can be made ({error}); {FIX}") from None
    if not (set(RECIPES[codec].encoders) & (found | {"copy"})):
        raise ToolMissing(no_encoder(program, codec))


def retried(work: Callable[[], Result]) -> Result:
    """Return the result of a function that runs ffmpeg; call it again if ffmpeg dies."""
    for pause in RETRY_SECONDS:
        try:
            return work()
        except FfmpegDied as error:
            if not error.again:
                raise
        time.sleep(pause)
    return work()


def run(command: list[str], name: str, folder: Path = Path(), images: Iterable[bytes] = ()) -> str:
    """Run ffmpeg and return its log; an error in the log is a failure, whatever the exit code.

    If it dies (someone kills it, or the machine has no memory or no process left), it is started again.

    :param images: the stream on its standard input, which can be read several times.

    :raises FfmpegDied: it died each time.
    :raises EncodeFailed: ffmpeg failed, with its own message.
    :raises OSError: the disk or the quota is full.
    """
    return retried(lambda: _run(command, name, folder, images)).errors


def _run(command: list[str], name: str, folder: Path, images: Iterable[bytes]) -> Finished:
    variables = {**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"}
    try:
        done = child_process.run_fed(command, images, folder=folder, environment=variables)
    except TimeoutError as error:
        raise FfmpegDied(f"{name}: ffmpeg {error}") from None
    except OSError as error:
        if error.errno in SHORT:  # of processes or memory; others are about files
            raise FfmpegDied(f"{name}: ffmpeg cannot be started: {error.strerror}") from None
        raise
    log = done.errors
    for number, message in FULL.items():
        if message in log.lower():
            raise OSError(number, os.strerror(number), str(folder / command[-1].removeprefix("file:")))
    lines = [line for line in log.splitlines() if line.strip() and "[info]" not in line]
    last = lines[-1] if lines else ""
    died = DIED.search(log)
    if done.code < 0 or done.code in DEATHS or died:
        reason = f"{name}: ffmpeg ended with {ending(done.code)}. {died[0] if died else last}".rstrip()
        raise FfmpegDied(reason, again=done.code not in UNUSABLE)
    # The first error is the cause; the lines after it are consequences.
    if found := ERROR.search(log):
        raise EncodeFailed(f"{name}: ffmpeg failed: {found[0].split('] ')[-1].strip()}")
    if done.code:
        raise EncodeFailed(f"{name}: ffmpeg ended with {ending(done.code)}. {last}".rstrip())
    if log.count("config in time_base") > 1:
        raise EncodeFailed(f"{name}: the size or the pixel format changes midway")
    return done
