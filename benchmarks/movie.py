"""Compare a movie that the ranks make in segments with the same movie by one encoder, side by side in one run.

python -m benchmarks.movie --frames 250 --size 4K --ranks 2 --repeats 3
python -m benchmarks.movie --summarise movie_renders/raw.json

All rows make the movie of the same pictures, as mpirender's ranks do after the last frame: encode, read back, rename.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import command, pictures
from benchmarks.command import positive
from benchmarks.measure import cpu_of_children
from benchmarks.movie_summary import draw, summary
from mpirender.errors import LaunchFailed, UsageError
from mpirender.job import frames as framesets
from mpirender.job.options import CODECS
from mpirender.job.render_job import RenderJob
from mpirender.launcher import exit_diagnosis
from mpirender.launcher.environment import MPI_SETTINGS, ROOT_SETTINGS
from mpirender.launcher.placement import cores
from mpirender.movie import encode, ffmpeg
from mpirender.movie.ffmpeg_args import Encoding, encode_command, even_filters, read_command, with_encoder
from mpirender.run_folder import journal

KINDS = ("mp4", "webm", "gif", "mkv")


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to make the movie: by how many ranks, and on how many of the cores; both given the ranks and cores."""

    name: str
    what: str
    ranks: Callable[[int], int]
    cores: Callable[[int, int], int]


ROWS = (
    Row("one-share", "one rank, on its share of the cores", lambda _: 1, lambda ranks, cores: max(cores // ranks, 1)),
    Row("one-encoder", "one rank, on all cores", lambda _: 1, lambda _, cores: cores),
    Row("segments", "all ranks, each a segment", lambda ranks: ranks, lambda _, cores: cores),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """What was measured of one row in one repeat.

    Args:
        wall: seconds from the last frame to the movie in its place, encoded, joined and checked.
        cpu: seconds of CPU of all its processes, mpiexec's start and Python's among them.
        load: load average of the machine just before.
        segments: of how many the movie was joined.
        psnr: against the pictures, in the colours that the movie stores, dB.
    """

    row: str
    repeat: int
    wall: float
    cpu: float
    load: float
    frames: int
    bytes: int
    segments: int
    psnr: float


def compare(job: RenderJob, frames: int, repeats: int) -> Iterator[Run]:
    """Measure every row so many times, the rows taking turns."""
    for repeat in range(1, repeats + 1):
        for row in ROWS:
            run = measure(row, job, frames, repeat)
            print(f"repeat {repeat} of {repeats}  {row.name:<12}{run.wall:8.1f} s", flush=True)
            yield run


def measure(row: Row, job: RenderJob, frames: int, repeat: int) -> Run:
    """Make the movie with one row, in a folder of its own, and look at it.

    Raises:
        MpirenderError: it failed.
    """
    here = dataclasses.replace(job, output=job.output / f"repeat-{repeat}" / row.name)
    here.folder.mkdir(parents=True)
    (here.output / here.outputs[0].name).symlink_to(job.output / job.outputs[0].name)
    (here.folder / "job.json").write_text(here.to_json())
    ranks, available = job.ranks or 1, cores()
    load, cpu = os.getloadavg()[0], cpu_of_children()
    wall = launch(here, row.ranks(ranks), row.cores(ranks, available), frames)
    cpu = cpu_of_children() - cpu
    made = here.movie_path(here.outputs[0])
    records = journal.read(here.folder)
    (segments,) = [record["segments"] for record in records if record["event"] == "movie"]
    info = encode.read_back(made)
    return Run(row.name, repeat, wall, cpu, load, info.frames, info.bytes, segments, psnr(here, made))


def launch(job: RenderJob, ranks: int, cores: int, frames: int) -> float:
    """Start the ranks on so many cores; return the seconds that they say it took.

    Raises:
        LaunchFailed: they failed.
    """
    settings = {**MPI_SETTINGS, **(ROOT_SETTINGS if os.geteuid() == 0 else {})}
    program = [sys.executable, "-m", "benchmarks.in_ranks", str(job.folder / "job.json"), str(frames)]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    log = job.folder / "mpiexec.log"
    with log.open("wb") as errors:
        done = subprocess.run(
            [shutil.which(job.mpiexec or "mpiexec") or "mpiexec", "-n", str(ranks), *program],
            env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed), check=False,
        )  # fmt: skip
    if done.returncode:
        raise LaunchFailed(f"{job.output.name}: {exit_diagnosis.ending(done.returncode)}; what was said is in {log}")
    return float(json.loads(done.stdout.splitlines()[-1])["wall"])


def task_of(job: RenderJob, part: Path) -> Encoding:
    """Return what ffmpeg is asked to make of the pictures, beside which it is to be started."""
    codec, size = CODECS[job.movie][0], job.outputs[0]
    pattern = re.sub(r"\d+", "%06d", framesets.file_name(0, "png"))
    task = Encoding(ffmpeg.ffmpeg(), pattern, part, (size.width, size.height), job.rate, codec, "")
    return with_encoder(task, ffmpeg.encoders(task.program))


def psnr(job: RenderJob, made: Path) -> float:
    """Return how near a movie is to its pictures, over all planes; both are compared as 4:2:0 in BT.709."""
    size = job.outputs[0]
    filters = even_filters((size.width, size.height), transparent=False)
    graph = f"[1:v]{filters}[sent];[0:v]format=yuv420p[got];[got][sent]psnr=shortest=1"
    inputs = ["-i", f"file:{made}", "-framerate", str(job.rate), "-i", task_of(job, made).pattern]
    done = subprocess.run(
        [ffmpeg.ffmpeg(), "-hide_banner", "-nostdin", *inputs, "-lavfi", graph, "-f", "null", "-"],
        cwd=job.output / size.name, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"PSNR .*average:(\S+)", done.stderr)
    if not found:
        raise LaunchFailed(f"{made.name}: ffmpeg did not say its PSNR: {done.stderr[-200:]}")
    return float(found[1])


def parts_of(job: RenderJob) -> dict[str, float]:
    """Return the CPU seconds of what the movie's making consists of, by one encoder on all cores."""
    made = job.output / f"parts.{job.movie}"
    task, folder = task_of(job, made), job.output / job.outputs[0].name
    whole = encode_command(task)
    source = whole[: whole.index(task.pattern) + 1]
    filters = whole[whole.index("-vf") : whole.index("-vf") + 2] if "-vf" in whole else []
    nowhere = ["-f", "null", "-"]
    read_pictures = cpu_of(source + nowhere, folder)
    filtered = cpu_of(source + filters + nowhere, folder)
    encoded = cpu_of(whole, folder)
    back = cpu_of(read_command(task.program, made, codec=task.codec, threads=0), folder)
    made.unlink()
    steps = {"read the pictures": read_pictures, "filter": filtered - read_pictures, "encode": encoded - filtered}
    return {**steps, "read back": back}


def cpu_of(command: Sequence[str], folder: Path) -> float:
    """Run ffmpeg and return its CPU seconds."""
    before = cpu_of_children()
    subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return cpu_of_children() - before


def prepare(arguments: argparse.Namespace) -> RenderJob:
    """Check the arguments, make the pictures if none are given, and return what is to be encoded.

    Raises:
        UsageError: something is wrong with the arguments.
    """
    output = Path(arguments.output).absolute()
    job = RenderJob(
        scene=output / "spheres.pattern", output=output, sizes=(arguments.size,), movie=arguments.movie,
        ranks=arguments.ranks or cores(),
    )  # fmt: skip
    size = job.outputs[0]
    mistakes = command.mistakes_of_output(output)
    folder = Path(arguments.images).absolute() if arguments.images else None
    if folder is not None and not all(
        (folder / framesets.file_name(n, "png")).exists() for n in range(arguments.frames)
    ):
        last = framesets.file_name(arguments.frames - 1, "png")
        mistakes.append(f"--images {folder}: must hold {framesets.file_name(0, 'png')} to {last}")
    if mistakes:
        raise UsageError(mistakes)
    output.mkdir(parents=True, exist_ok=True)
    if folder is not None:
        (output / size.name).symlink_to(folder)
    else:
        pictures.make(output / size.name, arguments.frames, (size.width, size.height))
        print(f"made {arguments.frames} pictures", flush=True)
    return job


def benchmark(arguments: argparse.Namespace) -> command.Raw:
    """Run the comparison; return the raw results, which are in their file by then."""
    job = prepare(arguments)
    version = subprocess.run([ffmpeg.ffmpeg(), "-version"], capture_output=True, text=True, check=True).stdout
    told = {
        "frames": arguments.frames, "size": job.sizes[0].argument, "movie": job.movie, "ranks": job.ranks,
        "repeats": arguments.repeats, "images": arguments.images or "spheres", "ffmpeg": version.split()[2],
    }  # fmt: skip
    parts = {} if job.movie == "gif" else parts_of(job)
    raw = {"benchmark": "movie", "arguments": told, "machine": command.machine(), "parts": parts, "runs": []}
    for run in compare(job, arguments.frames, arguments.repeats):
        raw["runs"].append(dataclasses.asdict(run))
        command.write(raw, job.output)
    return raw


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.movie", description="Compare a movie in segments with one encoder, in one run.",
        epilog="\n".join(["rows:", *(f"  {row.name:<14}{row.what}" for row in ROWS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--frames", metavar="N", type=positive, default=250, help="frames of the movie (default: %(default)s)")
    add("--size", metavar="S", default="4K", help="size of the pictures (default: %(default)s)")
    add("--movie", choices=KINDS, default="mp4", help="kind of movie (default: %(default)s)")
    add("--images", metavar="FOLDER", help="frame_000000.png and so on, of that size (default: spheres, made here)")
    add("--ranks", metavar="N", type=positive, help="ranks that encode segments (default: one per core)")
    add("--repeats", metavar="R", type=positive, default=1, help="times each row is run (default: %(default)s)")
    command.add_output(parser, "movie")
    return parser


COMMAND = command.Command(
    "movie", parser(), measure=benchmark, tell=lambda raw, markdown: summary(raw, markdown=markdown), draw=draw
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
