"""Measure a GPU: whether its pixels are ParaView's, how fast it renders, and how many ranks it is good for.

bash tests/gpu.sh                                             # sets up what is missing, then runs this; 5 minutes
python -m benchmarks.gpu --size HD 4K --ranks 1 2 4 8
python -m benchmarks.gpu --summarise gpu_renders/raw.json --markdown

Everything runs on the first NVIDIA GPU, then on the processor with a rank per core. Without a GPU only the processor is
measured. The raw results hold the output of doctor as well.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import command, plotting, scenes
from benchmarks.command import Raw
from benchmarks.measure import count_different, make_reference, needs_display
from benchmarks.rows import Case, call, log_of, plain_environment, render_command
from mpirender.engines.base import is_software
from mpirender.errors import LaunchFailed, MpirenderError, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder import events, journal
from mpirender.system.text import plural

SIZES = ("HD", "4K", "8K=7680x4320")
RANKS = (1, 2, 4, 8)
FRAMES = 48
CPU_FRAMES = 8  # at most; the processor is slow at large sizes
CYCLES_SIZE, CYCLES_FRAMES = "640x360", "1-4"
SECONDS_BETWEEN_LOOKS = 0.2  # at the memory of the GPU
ENOUGH = 0.95  # of the best rate: fewer ranks that reach it are better
HELD_BACK = 0.8  # of the rate without writing: less means that the PNG is the bottleneck
FULL = 0.9  # of the memory of the GPU
QUERY = ("name", "driver_version", "memory.total", "memory.used")
GPU, CPU = "gpu", "cpu"
OPTIONS = {GPU: ("--gpus", "0"), CPU: ("--gpus", "none")}
CYCLES = {GPU: ("--device", "gpu"), CPU: ("--device", "cpu")}


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Measure as asked for, and return the raw results.

    :raises MpirenderError: a tool is missing, or a render failed.
    """
    if mistakes := command.mistakes_of_output(arguments.output):
        raise UsageError(mistakes)
    output = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    scene = scenes.chosen(arguments, arguments.frames)
    job = RenderJob(scene=scene, output=output, sizes=tuple(arguments.size[:1]), movie="none")
    told = {"scene": scene.name, "frames": arguments.frames, "sizes": [size.argument for size in sizes_of(arguments)]}
    gpu = first_gpu()
    raw = {**command.new_raw("gpu", job, told), GPU: gpu, "doctor": doctor(), "pixels": [], "runs": [], "cycles": []}
    devices = [GPU, CPU] if gpu else [CPU]
    few = ("--frames", f"0-{min(arguments.frames, CPU_FRAMES) - 1}")
    options = {GPU: OPTIONS[GPU], CPU: (*OPTIONS[CPU], *few)}
    ranks = {GPU: arguments.ranks, CPU: [cores()]}
    frames = tuple(range(arguments.frames))
    case = Case(job, frames, needs_display(Case(job, frames), output / "prepare.log"))
    for found in pixels(case, ranks[devices[0]], devices[0]):
        raw["pixels"].append(found)
        command.write(raw, output)
    for device, size in itertools.product(devices, told["sizes"]):
        for count in ranks[device]:
            folder = output / f"{device}-{size.partition('=')[0]}-{count}"
            raw["runs"].append({"device": device, **measure(scene, folder, size, count, *options[device])})
            command.write(raw, output)
    raw["cycles"] = cycles(output, devices)
    command.write(raw, output)
    return raw


def sizes_of(arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    """Return the sizes of the command line."""
    return RenderJob(scene=Path("any.pvsm"), sizes=tuple(arguments.size)).sizes


def first_gpu() -> dict[str, Any] | None:
    """Return name, driver and memory (MiB) of the first NVIDIA GPU, None if there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    words = ["nvidia-smi", "--id=0", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    values = [value.strip() for value in done.stdout.partition("\n")[0].split(",")]
    if done.returncode or len(values) != len(QUERY):
        return None
    name, driver, total, used = values
    return {"name": name, "driver": driver, "total": number(total), "used": number(used)}


def number(text: str) -> int:
    """Return a number of nvidia-smi; 0 for one that the GPU does not tell."""
    return int(text) if text.isdigit() else 0


def doctor() -> str:
    """Return what ``mpirender doctor`` prints."""
    words = [sys.executable, "-m", "mpirender", "doctor"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def pixels(case: Case, ranks: list[int], device: str) -> Iterator[dict[str, Any]]:
    """Compare the images of so many ranks with those of ParaView's SaveAnimation, rendered beside them."""
    expected = make_reference(case)
    for count in ranks:
        folder = case.job.output / f"pixels-{count}"
        options = ("--ranks", count, "--oversubscribe", *OPTIONS[device])
        call(render_command(case.job.scene, folder, case.sizes, *options), plain_environment(), log_of(folder))
        different = count_different(case, folder, expected)
        yield {"device": device, "ranks": count, "images": len(case.frames), "different": different}


def measure(scene: Path, folder: Path, size: str, ranks: int, *options: str) -> dict[str, Any]:
    """Render a scene, and return what its images took.

    ``rate``: images a second, from the beginning of the first to the end of the last; ``rendering`` and ``writing``:
    seconds of an image, the median; ``renderer``: what rendered; ``memory``: of the GPU for each rank, in MiB.
    """
    before = first_gpu()
    with peak_memory() as peak:
        words = render_command(scene, folder, [size], "--ranks", ranks, "--oversubscribe", *options)
        call(words, plain_environment(), log_of(folder))
    found = journal.read(folder / FOLDER)
    takes = [one.time for one in found if isinstance(one, events.Take)]
    dones = [one for one in found if isinstance(one, events.Done)]
    if not dones:
        raise LaunchFailed(f"{folder.name}: no image is recorded; see {log_of(folder)}")
    return {
        "size": size, "ranks": ranks, "images": len(dones), "renderer": dones[0].renderer,
        "rate": len(dones) / (max(one.time for one in dones) - min(takes)),
        "rendering": statistics.median(one.rendering for one in dones),
        "writing": statistics.median(one.written for one in dones),
        "memory": max(peak() - before["used"], 0) / ranks if before else 0, "peak": peak(),
    }  # fmt: skip


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Watch how much memory of the GPU is used, and yield a function that returns the most so far, in MiB."""
    seen, end = [0], threading.Event()

    def look() -> None:
        while not end.wait(SECONDS_BETWEEN_LOOKS) and (gpu := first_gpu()):
            seen[0] = max(seen[0], gpu["used"])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: seen[0]
    finally:
        end.set()
        watcher.join()


def cycles(output: Path, devices: list[str]) -> list[dict[str, Any]]:
    """Render a scene with Cycles on each device, if there is a Blender; else say why not."""
    folder, found = output / "cycles", []
    chosen = argparse.Namespace(state=None, scene="balls", output=folder)
    try:
        scene = scenes.chosen(chosen, FRAMES)
        for device in devices:
            options = ("--frames", CYCLES_FRAMES, *CYCLES[device])
            found.append({"device": device, **measure(scene, folder / device, CYCLES_SIZE, 1, *options)})
    except MpirenderError as error:
        found.append({"device": devices[len(found)], "problem": error.message.splitlines()[0]})
    return found


def best_ranks(raw: Raw, size: str) -> int:
    """Return the fewest ranks on one GPU that reach nearly the best rate at a size; 0 if none ran there."""
    rates = {run["ranks"]: run["rate"] for run in raw["runs"] if (run["device"], run["size"]) == (GPU, size)}
    return min((count for count, rate in rates.items() if rate >= ENOUGH * max(rates.values())), default=0)


def unwritten(run: dict[str, Any]) -> float:
    """Return how many images a second the ranks of a run render, without the writing."""
    return float(run["ranks"] / run["rendering"])


def ranks_of(run: dict[str, Any]) -> str:
    """Name a run by its ranks and its size."""
    return f"{plural(run['ranks'], 'rank')} at {run['size'].partition('=')[0]}"


def summary(raw: Raw, markdown: bool) -> str:
    """Format the tables: pixels, speeds, Cycles."""
    gpu = raw[GPU]
    card = f"{gpu['name']}, driver {gpu['driver']}, {gpu['total']} MiB" if gpu else "no NVIDIA GPU: only the processor"
    head = ("device", "size", "ranks", "rendering (s)", "writing (s)", "images/s", "without PNG", "GPU MiB a rank")
    speeds = [
        (run["device"], run["size"].partition("=")[0], str(run["ranks"]), f"{run['rendering']:.3f}",
         f"{run['writing']:.3f}", f"{run['rate']:.2f}", f"{unwritten(run):.2f}", f"{run['memory']:.0f}")
        for run in raw["runs"]
    ]  # fmt: skip
    lines = [command.told(raw["machine"]), card, ""]
    lines += [
        f"{plural(one['ranks'], 'rank')} on the {one['device']}: {one['images'] - one['different']} of {one['images']} "
        "images have the pixels of SaveAnimation" for one in raw["pixels"]
    ]  # fmt: skip
    lines += ["", *command.table([head, *speeds], markdown=markdown), ""]
    for size in raw["arguments"]["sizes"]:
        if count := best_ranks(raw, size):
            lines.append(f"at {size.partition('=')[0]} the best number of ranks on this GPU is {count}")
    for one in raw["cycles"]:
        told = one.get("problem") or f"{one['rendering']:.2f} s a frame of {CYCLES_SIZE} ({one['renderer']})"
        lines.append(f"Cycles on the {one['device']}: {told}")
    return "\n".join([*lines, *(f"warning: {text}" for text in warnings(raw))])


def warnings(raw: Raw) -> list[str]:
    """Say where the PNG or the memory of the GPU holds the ranks back."""
    found = [
        f"{ranks_of(run)} write {run['rate']:.1f} images a second, of the "
        f"{unwritten(run):.1f} that they render"
        for run in raw["runs"] if run["device"] == GPU and run["rate"] < HELD_BACK * unwritten(run)
    ]  # fmt: skip
    total = raw[GPU]["total"] if raw[GPU] else 0
    return found + [
        f"{ranks_of(run)} used {run['peak']} of the {total} MiB of the GPU"
        for run in raw["runs"] if total and run["device"] == GPU and run["peak"] > FULL * total
    ]  # fmt: skip


def wrong(raw: Raw) -> list[str]:
    """List the numbers of ranks whose pixels differ, and runs on the GPU that rendered elsewhere."""
    return [
        f"{plural(one['ranks'], 'rank')} on the {one['device']}: {one['different']} images differ from SaveAnimation's"
        for one in raw["pixels"] if one["different"]
    ] + [
        f"{ranks_of(run)}: rendered with {run['renderer']}, not on the GPU"
        for run in raw["runs"] if run["device"] == GPU and is_software(run["renderer"])
    ]  # fmt: skip


def draw(raw: Raw, picture: Path) -> None:
    """Plot images a second over the ranks, a line for each device and size."""
    figure, (axes,) = plotting.panels(1, width=6, height=3.2)
    for device, size in dict.fromkeys((run["device"], run["size"]) for run in raw["runs"]):
        runs = [run for run in raw["runs"] if (run["device"], run["size"]) == (device, size)]
        name = f"{device}, {size.partition('=')[0]}"
        axes.plot([run["ranks"] for run in runs], [run["rate"] for run in runs], "o-", label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("ranks")
    axes.set_ylabel("images a second")
    axes.legend()
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Measure the first NVIDIA GPU of this machine, and its processor.",
        epilog=scenes.listed(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    scenes.add_choice(parser)
    parser.set_defaults(scene="isosurfaces")
    add("--frames", metavar="N", type=command.positive, default=FRAMES, help="of the scene (default: %(default)s)")
    add("--size", metavar="S", nargs="+", default=SIZES, help="image resolutions (default: HD 4K 8K)")
    add("--ranks", metavar="N", nargs="+", type=command.positive, default=RANKS,
        help="numbers of ranks on the GPU (default: 1 2 4 8)")  # fmt: skip
    command.add_output(parser, "gpu")
    return parser


COMMAND = command.Command("gpu", parser(), measure=benchmark, tell=summary, draw=draw, wrong=wrong)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
