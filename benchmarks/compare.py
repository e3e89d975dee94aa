"""Compare mpirender with the usual ways to render the same frames.

python -m benchmarks.compare --scene all --frames 0-99 --repeats 3 --plot compare.png
python -m benchmarks.compare --state orbit.pvsm --frames 0-23 --size HD 4K --ranks 2
python -m benchmarks.compare --state shot.blend --ranks 2
python -m benchmarks.compare --summarise compare_renders/raw.json --markdown

Every row of the table renders the same frames. Each repeat runs all rows in turn, so that other load on the machine
affects them all. The pixels are compared with those of ParaView's SaveAnimation or of Blender's animation. For
ParaView, each repeat also measures a lower bound of the time on the same number of cores (``limit.py``).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, limit, scenes
from benchmarks.command import Raw
from benchmarks.limit import Limit, measure_limit
from benchmarks.measure import Run, adopt_orphans, make_folders, make_reference, measure, needs_display, shared_display
from benchmarks.rows import PROGRAMS, Case, Row, call, program_of
from benchmarks.summary import animation, different, draw, summary
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import RankRequest, on_this_host
from mpirender.supervisor import preflight

FRAMES = 24  # default number of frames
SIZES = ("HD", "4K")  # default for a given scene that stores no image size
SCENE = "cone"


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Run the comparison, write the raw results and return them."""
    cases = prepare(arguments)
    rows = [row for row in cases[0].program.rows if row.name in (arguments.rows or [row.name])]
    told = {"frames": framesets.text(cases[0].frames), "repeats": arguments.repeats, "rows": [row.name for row in rows]}
    raw = command.new_raw("compare", cases[0].job, told)
    raw["comparisons"] = []
    adopt_orphans()
    for case in cases:
        runs: list[dict[str, Any]] = []
        limits: list[dict[str, Any]] = []
        raw["comparisons"].append({**facts(case), "runs": runs, "limits": limits})
        for found in compare(case, rows, arguments.repeats, arguments.limit):
            (runs if isinstance(found, Run) else limits).append(dataclasses.asdict(found))
            command.write(raw, arguments.output)
    return raw


def facts(case: Case) -> dict[str, object]:
    """Describe what is rendered, for the raw results."""
    return {
        "state": case.job.scene.name, "frames": framesets.text(case.frames), "sizes": case.sizes,
        "ranks": on_this_host(RankRequest.of(case.job)).ranks,
    }  # fmt: skip


def compare(case: Case, rows: Sequence[Row], repeats: int, ways: Sequence[str]) -> Iterator[Run | Limit]:
    """In each repeat, measure every row, then the limits of the rows that have one."""
    name = case.job.scene.stem
    expected = make_reference(case)
    print(f"{name}: rendered the frames to compare with", flush=True)
    for repeat in range(1, repeats + 1):
        told = f"{name}: repeat {repeat} of {repeats}"
        for row in rows:
            run = measure(row, case, expected, repeat)
            print(f"{told}  {row.name:<19}{run.wall:8.1f} s", flush=True)
            yield run
        for row, way in ((row, way) for row in rows if row.limited for way in ways):
            found = measure_limit(row, case, way, repeat)
            print(f"{told}  {row.name:<19}{found.seconds:8.1f} s at best ({way})", flush=True)
            yield found
        if repeat < repeats:  # keep the images of the last repeat for inspection
            shutil.rmtree(case.job.output / f"repeat-{repeat}")


def prepare(arguments: argparse.Namespace) -> list[Case]:
    """Check the arguments, create the benchmark's own scenes if no scene is given, and return the cases to render.

    :raises MpirenderError: the arguments are invalid, or a tool is missing.
    """
    cases = cases_of(arguments)
    program = cases[0].program
    mistakes = [*command.mistakes_of_output(arguments.output), *mistakes_of_frames(cases[0])]
    if any(case.program != program for case in cases):
        mistakes.append(f"--scene {' '.join(arguments.scene)}: are not all {program.name}'s; compare the others alone")
    missing = set(arguments.rows or ()) - {row.name for row in program.rows}
    mistakes += [f"--rows {name}: there is none of {program.name} with this mpirender" for name in sorted(missing)]
    if mistakes:
        raise UsageError(mistakes)
    if arguments.state is not None:
        seen = preflight.check(cases[0].job)
        if seen.order_dependent and not program.plays:
            named = ", ".join(seen.order_dependent)
            raise UsageError(
                f"{arguments.state}: {named}: not baked, and {program.animation} does not play it; bake it"
            )
    return [warmed_up(case, make_scene=arguments.state is None) for case in cases]


def cases_of(arguments: argparse.Namespace) -> list[Case]:
    """Return the cases to render: the given state, or one for each chosen scene of the benchmark.

    :raises MpirenderError: the arguments are invalid, or the scene cannot be inspected.
    """
    output = arguments.output.absolute()
    frames, sizes = arguments.frames or f"0-{FRAMES - 1}", arguments.size
    if arguments.state is None:
        paraviews = [name for name, scene in scenes.SCENES.items() if scene.suffix == ".pvsm"]
        names = paraviews if "all" in arguments.scene else dict.fromkeys(arguments.scene)
        own = [scenes.SCENES[name] for name in names]
        return [
            case_of(arguments, output / scene.name / scene.file, output / scene.name, frames, sizes or scene.sizes)
            for scene in own
        ]
    program_of(arguments.state)
    seen = preflight.inspect(RenderJob(scene=arguments.state))
    frames = arguments.frames or framesets.text(seen.frames[:FRAMES]) or frames  # the scene's frames may be unknown
    sizes = sizes or ([Size.of(*seen.size).argument] if seen.size else SIZES)
    return [case_of(arguments, arguments.state, output / arguments.state.stem, frames, sizes)]


def case_of(arguments: argparse.Namespace, scene: Path, folder: Path, frames: str, sizes: Sequence[str]) -> Case:
    """Return the case for a scene."""
    job = RenderJob(scene, folder, sizes=sizes, frames=frames, ranks=arguments.ranks, movie="none")
    return Case(job, framesets.parse(frames))


def mistakes_of_frames(case: Case) -> list[str]:
    """Report frames that the program's own animation cannot render."""
    frames, animation = framesets.text(case.frames), case.program.animation
    if case.program.from_0 and case.frames[-1] + 1 != len(case.frames):
        # If the window does not start at 0, SaveAnimation of ParaView 5.11 omits the last frame.
        return [f"--frames {frames}: must be frames in a row from 0, such as 0-23, for {animation}"]
    if case.frames[-1] + 1 - case.frames[0] != len(case.frames):
        return [f"--frames {frames}: must be frames in a row, such as 1-24, for {animation}"]
    return []


def warmed_up(case: Case, *, make_scene: bool) -> Case:
    """Render one frame, so that programs and libraries are in the page cache before the first row is measured."""
    case.job.output.mkdir(parents=True, exist_ok=True)
    log = case.job.output / "prepare.log"
    case = dataclasses.replace(case, needs_display=needs_display(case, log))
    folder = case.job.output / "prepare"
    make_folders(case, folder)
    if make_scene:
        scenes.make(case, case.job.scene.stem, case.frames[-1] + 1)
        preflight.check(case.job)
    with shared_display(case.needs_display) as environment:
        call(case.inside("one-frame", case.job.scene, case.frames[0], folder, case.sizes[0]), environment, log)
    shutil.rmtree(folder)
    return case


def mismatches(raw: Raw) -> list[str]:
    """List the rows that must match the program's own animation pixel for pixel and do not."""
    return [
        f"{row.name}: {count} images of {one['state']} are not pixel for pixel those of {animation(raw)}"
        for one in raw["comparisons"]
        for row in PROGRAMS[raw["machine"]["engine"]].rows
        if row.must_match and (count := different(one, row.name))
    ]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    names = dict.fromkeys(row.name for program in PROGRAMS.values() for row in program.rows)
    rows = [
        "\n".join([f"rows of {program.name}:", *(f"  {row.name:<19}{row.what}" for row in program.rows)])
        for program in PROGRAMS.values()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Compare mpirender with what people do today, in one run.",
        epilog="\n\n".join([scenes.listed(), *rows]), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--state", metavar="FILE", type=Path, help="a ParaView state or a Blender file, instead of a scene of its own")
    add("--scene", metavar="NAME", nargs="+", choices=[*scenes.SCENES, "all"], default=[SCENE],
        help=f"its own scenes: {', '.join(scenes.SCENES)}, or all of ParaView's (default: {SCENE})")  # fmt: skip
    add("--frames", metavar="SET", help=f"frames, by their numbers in the scene (default: its first {FRAMES})")
    add("--size", metavar="S", nargs="+", action="extend",
        help=f"sizes (default: those of the scene; {' '.join(SIZES)} for a state that has none)")  # fmt: skip
    add("--ranks", metavar="N", type=int, help="ranks, and processes at a time (default: one per core)")
    add("--repeats", metavar="R", type=command.positive, default=1, help="times each row is run (default: %(default)s)")
    add("--rows", metavar="ROW", nargs="+", choices=names, help="rows to run (default: all)")
    add("--limit", metavar="HOW", nargs="*", choices=limit.WAYS, default=[limit.WAYS[0]],
        help="measure the limit by one process alone, or by as many together as there are ranks; nothing for not at "
        "all (default: alone); of ParaView's scenes")  # fmt: skip
    command.add_output(parser, "compare")
    return parser


COMMAND = command.Command(
    "compare", parser(), measure=benchmark, tell=lambda raw, markdown: summary(raw, markdown=markdown), draw=draw,
    wrong=mismatches,
)  # fmt: skip
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
