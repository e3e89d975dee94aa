"""Encode images into a movie, which is kept only if it decodes as requested."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.errors import EncodeFailed, NoSpace, out_of_space
from mpirender.job.options import CODECS, USUAL_FORMAT
from mpirender.job.origin import Origin
from mpirender.movie import ffmpeg_args, gif
from mpirender.movie.ffmpeg import FfmpegDied, check, encoders, ffmpeg, run
from mpirender.movie.ffmpeg_args import Encoding
from mpirender.movie.image_stream import ImageChanged, ImageDamaged, ImageStream
from mpirender.movie.verify import MovieInfo, decode, described, differences
from mpirender.system import files

FINEST = 100_000  # denominator of a frame rate; ffmpeg counts in 32 bits
GIF_FASTEST = 50  # frames a second; players slow down at delays below two hundredths of a second
BLOCK = 4096  # bytes; a disk with less space is full
NO_TRANSPARENCY = "av1 has no transparency in webm; use vp9"


Digests = Mapping[Path, str]
UNCHECKED: Digests = {}


def encode(
    images: Sequence[Path], movie: Path, *, rate: Fraction, codec: str = "", threads: int = 0,
    transparent: bool = False, pixel_format: str = USUAL_FORMAT, longest: int = 0, digests: Digests = UNCHECKED,
    origin: Origin | None = None, made: files.Made = lambda part, movie: None,
) -> MovieInfo:  # fmt: skip
    """Encode the images, in this order, into a movie of the kind that its suffix names.

    The movie is written beside its place, decoded from end to end and compared with the request. Only then does it
    replace an earlier movie. ffmpeg ends with the thread that calls this.

    :param images: png, jpg or tiff files, all of the same kind and size.
    :param movie: ``.mp4`` (odd sides grow by one pixel, which repeats the edge), ``.webm``, ``.gif`` (one palette) or
        ``.mkv`` (lossless).
    :param rate: frames a second; of a gif at most 50, and kept on average since its delays are hundredths of a second.
    :param codec: one of :data:`mpirender.job.options.CODECS` for this kind, by default the first. ``images`` stores the
        png or jpg files themselves in an mkv, and tiff as png.
    :param threads: threads of ffmpeg; 0 for all cores.
    :param transparent: keep the images' transparency; mp4 has none and shows them over black.
    :param pixel_format: one of :data:`mpirender.job.options.PIXEL_FORMATS`, for mp4 and webm without transparency.
    :param longest: limit of the longer side, to which larger images are scaled, not with the codec ``images``; 0 for
        none.
    :param digests: those of the images as they were recorded; a file with another one is not encoded.
    :param origin: is written into the movie.
    :param made: is called before the movie takes its place.
    :raises ImageChanged: an image is not the one that was recorded.
    :raises EncodeFailed: an image is missing, truncated or unlike the first, ffmpeg failed, or the movie has errors.
    :raises NoSpace: the disk or the quota is full.
    :raises ToolMissing: ffmpeg or its encoder is missing.
    """
    movie = movie.absolute()
    task = request(
        images, movie, rate=rate, codec=codec, threads=threads, transparent=transparent, pixel_format=pixel_format
    )
    with disk_errors(movie), files.replacing(movie, made=made) as part:
        info = write(replace(task, part=part, longest=longest, origin=origin), images, movie.name, digests)
    return replace(info, path=movie)


def request(
    images: Sequence[Path], movie: Path, *, rate: Fraction, codec: str = "", threads: int = 0,
    transparent: bool = False, pixel_format: str = USUAL_FORMAT,
) -> Encoding:  # fmt: skip
    """Check the arguments of :func:`encode` and return them as a task for ffmpeg.

    :raises EncodeFailed: they cannot work.
    :raises ToolMissing: ffmpeg is missing.
    """
    codec = codec or CODECS.get(movie.suffix.lower()[1:], ("",))[0]
    _check_request(images, movie, rate, codec, transparent)
    suffix = images[0].suffix.lower()
    return Encoding(
        ffmpeg(), suffix, movie, (0, 0), rate.limit_denominator(FINEST), codec, "", pixel_format, threads, transparent
    )


def check_encoder(codec: str, pixel_format: str, size: tuple[int, int], rate: Fraction) -> None:
    """Check that an encoder takes images of this size in pixels and this frame rate.

    :raises EncodeFailed: none does.
    :raises ToolMissing: ffmpeg is missing, does not run, or has no encoder for the codec.
    """
    check(codec)
    task = Encoding(ffmpeg(), ".png", Path(), size, rate, codec, pixel_format=pixel_format)
    ffmpeg_args.with_encoder(task, encoders(task.program))


@contextlib.contextmanager
def disk_errors(movie: Path) -> Iterator[None]:
    """Turn errors of the disk into errors of a movie."""
    try:
        yield
    except OSError as error:
        place = Path(error.filename2 or error.filename or movie)
        if out_of_space(error):
            raise NoSpace(place.parent, "no frame is lost, ") from error
        raise EncodeFailed(f"{movie.name} was not made: {error.strerror or error}: {place}") from error


def _check_request(images: Sequence[Path], movie: Path, rate: Fraction, codec: str, transparent: bool) -> None:
    """Refuse arguments that cannot work."""
    kind = movie.suffix.lower()
    codecs = CODECS.get(kind[1:], ())
    missing = [image.name for image in images if not image.is_file()]
    kinds = sorted({image.suffix.lower() for image in images})
    too_fast = f"gif players show at most {GIF_FASTEST} frames a second, not {float(rate):g}; ask for fewer, or for mp4"
    checks = {
        f"the name of a movie must end in one of: {', '.join(ffmpeg_args.MUXERS)}": kind in ffmpeg_args.MUXERS,
        f"{codec!r} is no codec for it; choose {' or '.join(codecs)}": codec in codecs,
        NO_TRANSPARENCY: not (transparent and kind == ".webm" and codec != "vp9"),
        too_fast: kind != ".gif" or rate <= GIF_FASTEST,
        "there are no images to encode": len(images) > 0,
        f"the images are of several kinds, {', '.join(kinds)}; give one kind": len(kinds) <= 1,
        f"the images are {', '.join(kinds)}; give png, jpg or tiff": {*kinds} <= {*ffmpeg_args.DECODERS},
        f"{len(missing)} of {len(images)} images are missing: {', '.join(missing[:5])}; render them": not missing,
    }
    for wrong, passed in checks.items():
        if not passed:
            raise EncodeFailed(f"{movie.name}: {wrong}")


def write(
    task: Encoding, images: Sequence[Path], name: str, digests: Digests, palette: Path | None = None
) -> MovieInfo:  # fmt: skip
    """Encode a movie or a segment and check it by decoding it from end to end.

    :param name: name of the movie in messages.
    :param digests: those of the images as they were recorded; a file with another one is not encoded.
    :param palette: palette of a gif; by default it is computed from these images.
    :raises ImageDamaged: an image is truncated or unlike the first.
    :raises ImageChanged: an image is not the one that was recorded.
    :raises EncodeFailed: ffmpeg failed, or the result is not as requested.
    :raises OSError: the disk is full or not writable.
    """
    with prepared(task, images, digests) as (ready, first, folder):
        if palette is not None:
            (folder / ffmpeg_args.PALETTE).symlink_to(palette)
        elif task.codec == "gif":
            write_palette(ready, images, name, digests, folder)
        run(ffmpeg_args.encode_command(ready), name, folder, ImageStream(images, task.rate, digests))
        if task.codec == "gif" and task.origin is not None:
            gif.comment(task.part, task.origin.record)
        info = decode(task.program, task.part, name, task.threads, task.codec)
        shown = replace(first, width=ready.shown[0], height=ready.shown[1])
    wrong = differences(
        info, shown, frames=len(images), rate=task.rate, codec=task.codec, transparent=task.transparent,
        pixel_format=task.pixel_format,
    )  # fmt: skip
    if wrong:
        raise EncodeFailed(f"{name} was not kept, since it did not decode as requested: {'; '.join(wrong)}")
    return info


def write_palette(task: Encoding, images: Sequence[Path], name: str, digests: Digests, folder: Path) -> None:
    """Compute one palette for all images, in ffmpeg's working folder."""
    run(ffmpeg_args.palette_command(task), name, folder, ImageStream(images, task.rate, digests))


@contextlib.contextmanager
def prepared(task: Encoding, images: Sequence[Path], digests: Digests) -> Iterator[tuple[Encoding, MovieInfo, Path]]:
    """Give the task with size and encoder for these images, the first image's properties, and a temporary folder.

    If ffmpeg fails in the block, a damaged image is named.
    """
    with TemporaryDirectory(prefix="mpirender-") as temporary:
        first = _decode_image(task, images[0], digests)
        task = ffmpeg_args.with_encoder(replace(task, size=(first.width, first.height)), encoders(task.program))
        try:
            yield task, first, Path(temporary)
        except (ImageChanged, FfmpegDied):
            raise
        except EncodeFailed:
            _check_images(task, images, digests, first)
            for place in (Path(temporary), task.part.parent):  # ffmpeg 4 does not always report a full disk
                if shutil.disk_usage(place).free < BLOCK:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place / "part")) from None
            raise


def _decode_image(task: Encoding, image: Path, digests: Digests) -> MovieInfo:
    """Decode one image."""
    command = ffmpeg_args.read_images_command(replace(task, threads=1))
    try:
        return described(run(command, image.name, images=ImageStream([image], task.rate, digests)), image, image.name)
    except (ImageChanged, FfmpegDied):
        raise
    except EncodeFailed as error:
        reason = str(error).split(": ")[-1]
        raise ImageDamaged(f"{image.name} is damaged ({reason}); delete it and render it again") from None


def _check_images(task: Encoding, images: Sequence[Path], digests: Digests, first: MovieInfo) -> None:
    """Raise ImageDamaged for the first image that is broken or unlike the first one, if there is one."""
    for image in images:
        info = _decode_image(task, image, digests)
        kind, expected = (f"{one.width}x{one.height} {one.pixel_format}" for one in (info, first))
        if kind != expected:
            raise ImageDamaged(f"{image.name} is {kind}, unlike {images[0].name}, {expected}; render it again")
