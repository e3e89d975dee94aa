"""The commands: arguments become a RenderJob, errors become exit codes."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup import option

from mpirender import __version__
from mpirender.cli.dry_run import command_line, dry_run_lines, inspection_lines
from mpirender.cli.job_from_options import checked_job_of, job_of, make_study
from mpirender.cli.options import DATA, FRAMES, MOVIE, OF_SBATCH, PROGRAMS, RENDERING, SAYS, SCENE, SLURM, VARY
from mpirender.errors import MpirenderError, UsageError

if TYPE_CHECKING:
    from mpirender.engines import Inspection
    from mpirender.job.render_job import RenderJob
    from mpirender.monitor.progress import Bar, Lines, Silent
    from mpirender.supervisor.result import RenderResult

SETTINGS = cloup.Context.settings(
    show_default=True,
    help_option_names=["-h", "--help"],
    formatter_settings=cloup.HelpFormatter.settings(max_width=100),
)

EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong use, 3 a tool is missing, 4 frames missing, 5 movie failed, 6 launch failed, "
    "75 stopped early on a signal (run again), 130 interrupted."
)


@cloup.group(context_settings=SETTINGS, epilog=EXIT_CODES)
@cloup.version_option(__version__, prog_name="mpirender", message="%(prog)s %(version)s")
def cli() -> None:
    """Turn a ParaView or Blender scene and its animation into a movie, with one MPI program."""


@cli.command(context_settings=SETTINGS)
@SCENE
@RENDERING
@SAYS
def render(dry_run: bool, quiet: bool, verbose: bool, **options: Any) -> None:  # noqa: ANN401
    """Render a scene's animation to frames and a movie.

    Running the same command again renders only what is missing or out of date.
    """
    from mpirender.monitor import image_table

    job, inspection = checked_job_of(options)
    carry_out(job, inspection, image_table.write_down, dry_run=dry_run, quiet=quiet, verbose=verbose)


@cli.command(context_settings=SETTINGS)
@SCENE
@VARY
@RENDERING
@SAYS
def study(at: int | None, dry_run: bool, quiet: bool, verbose: bool, **options: Any) -> None:  # noqa: ANN401
    """Render every combination of values that properties of a scene take in turn.

    Leaves a folder for each, a table of the values and the images (study.csv, study.json), a contact sheet with the
    values along both axes, and with more than one frame movies. The same command again goes on with what is left.
    """
    from mpirender.monitor import sweep_report as room

    wrong = make_study(options, at)
    try:
        job, inspection = checked_job_of(options)
    except UsageError as error:
        raise UsageError([*wrong, *error.mistakes]) from None
    if wrong:
        raise UsageError(wrong)
    carry_out(job, inspection, room.write_down, dry_run=dry_run, quiet=quiet, verbose=verbose)


@cli.command(context_settings=SETTINGS)
@SCENE
@cloup.argument("sbatch_options", nargs=-1, help="After --, any other options of sbatch.", required=False)
@SLURM
@VARY
@RENDERING
@option("--script", metavar="PATH", help="Batch script to start from. [default: MPIRENDER_SLURM_SCRIPT, else our own]")
@option("--print", "print_only", is_flag=True, help="Print the script that would be submitted; submit nothing.")
def submit(
    print_only: bool,
    script: str | None,
    sbatch_options: tuple[str, ...],
    at: int | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Check a scene here and render it in a Slurm job, or study it (--vary).

    The batch script is written into the output folder; the job goes back into the queue by itself until the movie is
    done.
    """
    from mpirender.batch import submit as room

    given = [f"--{name.replace('_', '-')}={value}" for name in OF_SBATCH if (value := options.pop(name)) is not None]
    words, template = [*given, *sbatch_options], Path(script).absolute() if script else room.template()
    others = [*room.wrong_options(sbatch_options), *room.wrong_script(template, study=bool(options["vary"]))]
    others += make_study(options, at) if options["vary"] or at is not None else []
    try:
        job, inspection = checked_job_of(options, tools=False)
        room.check(job, inspection)
    except UsageError as error:
        raise UsageError([*error.mistakes, *others]) from None
    if others:
        raise UsageError(others)
    text = room.script_for(job, words, template)
    if print_only:
        click.echo(text, nl=False)
        return
    number = room.submit(job, text)
    rows = [
        ("submitted", f"Slurm job {number}"),
        ("script", job.output / room.NAME),
        ("log", job.output / room.LOG.replace("%j", number)),
        ("watch", shlex.join(["mpirender", "status", str(job.output), "--watch"])),
        ("end", f"scancel {number}"),
    ]
    click.echo("\n".join(f"{name:>10}  {value}" for name, value in rows))


@cli.command(context_settings=SETTINGS)
@SCENE
@DATA
@option(
    "-s",
    "--size",
    "sizes",
    multiple=True,
    metavar="SIZE",
    help="Say what this image resolution would cost; give it again for more than one. [default: HD and 4K]",
)
@option("--scene", "scene_name", metavar="NAME", help="Which of a Blender file's scenes. [default: the one it shows]")
@option("--pvbatch", metavar="PATH", help="ParaView's pvbatch, asked for its version.")
@option("--blender", metavar="PATH", help="A Blender, or a Python that has bpy, which reads Blender files.")
@option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def inspect(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show what is in a scene and what would go wrong, before anything is rendered.

    Ends with 2 when it could not be rendered as it is.
    """
    from mpirender.engines import for_scene
    from mpirender.supervisor import memory_estimate, preflight

    job = job_of(options)
    preflight.inspect(job)  # a wrong file is told at once; the version takes a second
    read_by = for_scene(job.scene).version(job.programs)
    inspection = preflight.inspect(job, read_by)
    inspection = dataclasses.replace(inspection, advice=(*inspection.advice, *memory_estimate.advice(inspection)))
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(inspection), "read_by": read_by}, indent=2))
    else:
        click.echo("\n".join(inspection_lines(inspection, read_by)))
    if inspection.mistakes:
        sys.exit(UsageError.exit_code)


@cli.command(context_settings=SETTINGS)
@PROGRAMS
def doctor(**options: Any) -> None:  # noqa: ANN401
    """Show what is installed, what is missing and the line that installs it; ends with a real two-rank run."""
    from mpirender import doctor as room
    from mpirender.errors import ToolMissing
    from mpirender.job.programs import Programs

    programs = {name: value for name, value in options.items() if name != "launcher"}
    missing = False
    for check in room.checks(Programs(**programs)):
        state = "ok" if check.ok else ("MISSING" if check.required else "absent")
        click.echo(f"{state:>8}  {check.what:<12}  {check.found}")
        if not check.ok:
            missing = missing or check.required
            click.echo(f"{'':>24}fix: {check.fix}")
    if missing:
        sys.exit(ToolMissing.exit_code)


@cli.command(context_settings=SETTINGS)
@cloup.argument("output", help="The folder that render writes to.")
@option("-w", "--watch", is_flag=True, help="Show it again every two seconds, until the run has ended.")
@option("--json", "as_json", is_flag=True, help="Print JSON instead of text; with --watch a line whenever it changes.")
def status(output: str, watch: bool, as_json: bool) -> None:
    """Show what a run is doing or has done, from any machine that sees its output folder.

    Frames done, failed and left, the end as estimated, and what each rank does. It only reads.
    """
    from mpirender.monitor.status import follow

    follower = follow.Follower(Path(output))
    if watch:
        follow.watch(follower, sys.stdout, json_lines=as_json)
    else:
        click.echo((follow.as_json if as_json else follow.as_text)(follower.look()), nl=False)


@cli.command(context_settings=SETTINGS)
@cloup.argument("output", help="The folder that render writes to.")
@MOVIE
@FRAMES
@option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def encode(output: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """Make the movies of a run again from its frames, with another rate, kind or codec.

    A movie that is there stays until the new one is whole. Needs neither ParaView nor MPI.
    """
    from mpirender.reencode import reencode as room

    made = room.reencode(
        room.EncodeRequest(Path(output), **options), room.silent if quiet else room.telling(sys.stdout)
    )
    if not quiet:
        click.echo(room.summary(made))


def carry_out(
    job: RenderJob,
    inspection: Inspection,
    look: Callable[[RenderJob, RenderResult], Path],
    *,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Render a job, and say what is done.

    Args:
        look: makes what a person looks at first.
    """
    from mpirender.batch import requeue
    from mpirender.launcher import launch_plan
    from mpirender.monitor import summary
    from mpirender.supervisor import preflight

    if dry_run:
        click.echo("\n".join(dry_run_lines(job, inspection)))
        return
    if verbose:
        images = preflight.images_of(job, preflight.check(job, inspection))
        click.echo(command_line(job, launch_plan.of_job(job, inspection, images)))
    with progress(quiet=quiet) as watch:
        result = requeue.render(job, watch, inspection)
    sheet = None
    try:
        sheet = look(job, result)
    except OSError as error:  # frames and movies are there
        click.echo(f"warning: no contact sheet was made: {error.strerror or error}", err=True)
    if not quiet:
        click.echo(summary.summary(job, result, sheet))


def progress(*, quiet: bool) -> Bar | Lines | Silent:
    """Return the kind of progress that fits where the output goes."""
    from mpirender.monitor.progress import Bar, Lines, Silent

    if quiet:
        return Silent()
    return Bar(sys.stdout) if sys.stdout.isatty() else Lines(sys.stdout)


def main() -> None:
    """Run the command line; an error becomes its lines and its exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except MpirenderError as error:
        for line in str(error).splitlines():
            click.echo(f"mpirender: error: {line}", err=True)
        sys.exit(error.exit_code)
