"""Where an image or a movie comes from: the text that is written into its file, and read from it again.

It is the same for the same image, whichever rank renders it and when: there is no date, host, user or folder in it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mpirender.job import frames as framesets
from mpirender.job.outputs import Output
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.version import __version__

# Of an absolute path, the folders: other users need not know them. km/h and 30000/1001 are no paths.
FOLDERS = re.compile(r"(?<![\w.~/])~?/(?:[^/\s'\",:;()\[\]]+/)*(?=[^/\s])")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
LONGEST_COMMAND = 16_384  # characters; longer ones are left out: a segment of a jpg file holds 64 KiB
MOVIE_OPTIONS = ("movie", "frame_rate", "codec", "pixel_format")
MARK = "mpirender"  # the key of the version, by which a record is recognized


@dataclass(frozen=True)
class Origin:
    """Where an image comes from, or a movie, which has no ``time``."""

    version: str  # of mpirender
    program: str  # with its version, such as ParaView 5.11.0
    scene: str  # name of the file, without its folder
    output: str  # view, size or combination of values: the folder of the images
    frames: str  # a frame set; of an image, its frame
    fingerprint: str
    command: str = ""  # that makes it again, without folders; empty if it is too long
    time: float | None = None  # animation time of an image, if the engine has times

    @property
    def title(self) -> str:
        """The title of the image or movie."""
        noun = "frame" if re.fullmatch(r"-?\d+", self.frames) else "frames"
        return f"{self.scene}, {self.output}, {noun} {self.frames}"

    @property
    def software(self) -> str:
        """The programs that made it, with their versions."""
        return f"mpirender {self.version}, {self.program}"

    @property
    def record(self) -> str:
        """Everything as one line of ASCII characters, which every file format can hold: a JSON object."""
        known = {MARK: self.version, **{name: getattr(self, name) for name in FIELDS}, "time": self.time}
        return json.dumps({name: value for name, value in known.items() if value is not None})

    @classmethod
    def read(cls, record: str) -> Origin | None:
        """Return what :attr:`record` wrote; None for any other text."""
        try:
            known = json.loads(record)
        except (ValueError, RecursionError):
            return None
        if not isinstance(known, Mapping):
            return None
        values: Mapping[str, Any] = {"version": known.get(MARK), "command": "", **known}
        time = known.get("time")
        if not all(isinstance(values.get(name), str) for name in ("version", *FIELDS)):
            return None
        number = float(time) if isinstance(time, (int, float)) else None
        return cls(values["version"], **{name: values[name] for name in FIELDS}, time=number)


FIELDS = ("program", "scene", "output", "frames", "fingerprint", "command")  # in a record, beside version and time


def printable(text: str) -> str:
    """Return a name as one line."""
    return UNPRINTABLE.sub(" ", text)


@dataclass(frozen=True)
class Source:
    """What the images and the movie of an output have in common."""

    job: RenderJob
    output: Output
    program: str
    fingerprint: str

    def image(self, frame: int, time: float | None = None) -> Origin:
        """Return the origin of an image."""
        return replace(self._origin(str(frame), self._image_options), time=time)

    def movie(self, frames: Iterable[int]) -> Origin:
        """Return the origin of a movie of these frames."""
        return self._origin(framesets.text(sorted(set(frames))), options_of(self.job, self.output, MOVIE_OPTIONS))

    @cached_property
    def _image_options(self) -> list[str]:
        images = replace(self.job, frames=None, movie="none", codec=None, pixel_format=OPTIONS["pixel_format"].default)
        return options_of(images, self.output, ("movie",))

    def _origin(self, frames: str, options: Sequence[str]) -> Origin:
        scene = printable(self.job.scene.name)
        command = shlex.join(["mpirender", "render", scene, "--frames", frames, *options])
        command = command if len(command) <= LONGEST_COMMAND else ""
        names = (self.program, self.output.name, frames, self.fingerprint)
        program, output, frames, fingerprint = map(printable, names)
        return Origin(__version__, program, scene, output, frames, fingerprint, command)


def sources(job: RenderJob, renderer: str, fingerprint: str) -> dict[str, Source]:
    """Return what each output of a job has in common, by its name; none if its files are to carry no metadata.

    :param renderer: the description of program and hardware, which begins with the name of the program.
    """
    if job.no_metadata:
        return {}
    program = renderer.split(",", maxsplit=1)[0]
    return {output.name: Source(job, output, program, fingerprint) for output in job.outputs}


def options_of(job: RenderJob, output: Output, more: Sequence[str] = ()) -> list[str]:
    """Return the options that change the pixels of an output, and ``more``, without folders."""
    one = replace(
        job,
        frames=None,  # to check a frame set, every rank would import a library with many files
        sizes=(output.asked_size,),
        views=(output.view,) if output.view and job.views else (),
        layouts=(output.layout,) if output.layout and job.layouts else (),
        vary=(),
        overrides=(*job.overrides, *output.overrides),
    )
    pixels = [name for name, option in OPTIONS.items() if option.pixels]
    words = one.arguments(["sizes", "views", "layouts", *pixels, *more])[1:]
    return [printable(FOLDERS.sub("", word)) for word in words]
