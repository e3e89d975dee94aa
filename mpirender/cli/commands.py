"""The commands: arguments become a RenderJob, errors become exit codes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from mpirender import __version__
from mpirender.cli import estimate_command, mistyped, pages, standard_streams
from mpirender.cli import options as declared
from mpirender.cli.cloud_commands import cloud
from mpirender.cli.end_notice import end_notice
from mpirender.cli.job_from_options import checked_job_of, job_of, make_study
from mpirender.cli.options import OF_SBATCH, with_options
from mpirender.errors import Interrupted, MpirenderError, ToolMissing, UsageError
from mpirender.system.text import printable

if TYPE_CHECKING:
    from mpirender.job.render_job import RenderJob
    from mpirender.run_folder.events import Event
    from mpirender.supervisor.result import RenderResult

EXIT_CODES = (
    "Exit codes: 0 done, 2 usage or configuration error, 3 a tool is missing, 4 frames are missing, 5 encoding failed, "
    "6 launch failed, 7 price limit reached, 75 stopped early by a signal (run the command again), 130 interrupted."
)
# The commands that do more than print.
RUNNING = ("render", "study", "submit", "estimate", "report", "encode", "serve", "cloud")


@cloup.group(cls=mistyped.Commands, context_settings=declared.SETTINGS, epilog=EXIT_CODES)
@cloup.version_option(__version__, prog_name="mpirender", message="%(prog)s %(version)s")
def cli() -> None:
    """Render the animation of a ParaView or Blender scene to a movie, with one MPI program."""


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.SCENE, declared.ARGUMENTS, *declared.RENDERING, declared.PRINTING)
def render(**options: Any) -> None:  # noqa: ANN401
    """Render the animation of a scene to images and a movie.

    If you run the same command again, only images that are missing or out of date are rendered.
    """
    from mpirender.monitor import image_table

    carry_out(options, image_table.write_down)


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.SCENE, declared.ARGUMENTS, *declared.STUDY, declared.PRINTING)
def study(at: int | None, **options: Any) -> None:  # noqa: ANN401
    """Render a scene with several values of its properties.

    Renders every combination of the values. Writes a folder of images for each combination, a table of values and
    images (study.csv, study.json) and a contact sheet with the values along both axes; with more than one frame, also
    movies. If you run the same command again, only images that are missing or out of date are rendered.
    """
    from mpirender.monitor import sweep_report

    carry_out(options, sweep_report.write_down, make_study(options, at))


@cli.command(context_settings=declared.SETTINGS)
@with_options(
    declared.SCENE,
    cloup.argument("sbatch_options", nargs=-1, help="Any other options of sbatch, after --.", required=False),
    declared.SUBMISSION, declared.SLURM, *declared.STUDY,
)  # fmt: skip
def submit(
    script: str | None, cores: int | None, estimate: str | None, sbatch_options: tuple[str, ...], **options: Any  # noqa: ANN401
) -> None:  # fmt: skip
    """Check a scene, then render it in a Slurm job.

    With --vary, the job renders a parameter study. The batch script is written into the output folder. The job
    requeues itself until the movie is complete.
    """
    from mpirender.batch import submit as batch

    print_only, at = options.pop("print_only"), options.pop("at")
    of_sbatch = {name: value for name in OF_SBATCH if (value := options.pop(name)) is not None}
    given = [f"--{name.replace('_', '-')}={value}" for name, value in of_sbatch.items()]
    template = Path(script).absolute() if script else batch.template()
    mistakes = [
        *batch.wrong_options(sbatch_options),
        *batch.wrong_script(template, study=bool(options["vary"]) or estimate == "job"),
    ]
    if cores:
        more, wrong = batch.part_of_node(cores, of_sbatch)
        given, mistakes = [*given, *more], [*mistakes, *wrong]
    mistakes += make_study(options, at) if options["vary"] or at is not None else []
    if estimate and options["vary"]:
        mistakes.append("--estimate does not apply to a study; leave it out")
    job, inspection = checked_job_of(options, mistakes, check=batch.check)
    if estimate:
        ready = (template, [*given, *sbatch_options]) if estimate == "job" else None
        shown = partial(progress, quiet=print_only)
        given += estimate_command.size_of_job(job, inspection, of_sbatch, cores=cores, in_job=ready, progress=shown)
    text = batch.script_for(job, [*given, *sbatch_options], template, shares_node=cores is not None)
    if print_only:
        click.echo(text, nl=False)
        return
    number = batch.submit(job, text)
    rows = {
        "submitted": f"Slurm job {number}",
        "script": job.output / batch.NAME,
        "log": job.output / batch.LOG.replace("%j", number),
        "watch": shlex.join(["mpirender", "status", str(job.output), "--watch"]),
        "cancel": f"scancel {number}",
    }
    click.echo("\n".join(f"{name:>10}  {value}" for name, value in rows.items()))


@cli.command(context_settings=declared.SETTINGS)
@with_options(
    declared.SCENE, declared.ARGUMENTS, *declared.RENDERING, estimate_command.OPTIONS, declared.QUIET, declared.JSON
)
def estimate(**options: Any) -> None:  # noqa: ANN401
    """Render a few frames, and say what the whole run will take.

    Prints the time on several numbers of nodes, and memory, disk, core-hours and cost. The frames count: render
    with the same options keeps them.
    """
    estimate_command.run(options, progress)


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.SCENE, *declared.INSPECTION, declared.JSON)
def inspect(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show what a scene contains and what would prevent its rendering. Renders nothing.

    The exit code is 2 if the scene cannot be rendered as it is.
    """
    from mpirender.cli.inspection_text import inspection_lines
    from mpirender.engines import for_scene
    from mpirender.supervisor import memory_estimate, preflight

    job = job_of(options)
    preflight.inspect(job)  # a wrong file is reported at once; asking for the version takes a second
    read_by = for_scene(job.scene).version(job.programs)
    inspection = preflight.inspect(job, read_by)
    advice = (*inspection.advice, *memory_estimate.advice(inspection), *preflight.short_movie(job, inspection))
    inspection = dataclasses.replace(inspection, advice=advice)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(inspection), "read_by": read_by}, indent=2))
    else:
        click.echo(printable("\n".join(inspection_lines(inspection, read_by))))
    if inspection.mistakes:
        sys.exit(UsageError.exit_code)


@cli.command(context_settings=declared.SETTINGS)
@with_options(
    cloup.argument("sbatch_options", nargs=-1, help="Any other options of sbatch, after --.", required=False),
    declared.SESSION, declared.SESSION_JOB, declared.SESSIONS, declared.SERVER, declared.DRY_RUN, declared.JSON,
)  # fmt: skip
def serve(**options: Any) -> None:  # noqa: ANN401
    """Start a ParaView server to work with from the ParaView window on another machine.

    On a login node of a cluster, submits a Slurm job and waits for it. In a Slurm job, or with --launcher mpiexec, the
    server runs where this command runs. Prints the commands that connect ParaView with it when it is ready. Nobody gets
    in without the connection id in these commands.
    """
    from mpirender.cli import serve_command

    serve_command.run(options)


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.PROGRAMS)
def doctor(**options: Any) -> None:  # noqa: ANN401
    """Check what is installed, and how to install what is missing.

    Finally renders a test pattern with two ranks.
    """
    from mpirender import doctor as checks
    from mpirender.job.programs import Programs

    missing = False
    for check in checks.checks(Programs(**options)):
        state = "ok" if check.ok else ("MISSING" if check.required else "absent")
        click.echo(f"{state:>8}  {check.what:<12}  {check.found}")
        missing |= check.required and not check.ok
        if not check.ok:
            click.echo(f"{'':>24}fix: {check.fix}")
    if missing:
        sys.exit(ToolMissing.exit_code)


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.RUN_FOLDER, declared.WATCH, declared.JSON, declared.HTML)
def status(output: str, watch: bool, as_json: bool, html: str | None) -> None:
    """Show the state of a run.

    Shows the frames done, failed and left, the estimated end, and what each rank does. Works on every machine that can
    read the output folder, and writes nothing into it.
    """
    from mpirender.monitor.status import follow

    follower = follow.Follower(Path(output)) if html is None else pages.follower(Path(output), Path(html))
    if watch:
        follow.watch(follower, sys.stdout, json_lines=as_json, unread=standard_streams.unread)
    else:
        click.echo((follow.as_json if as_json else follow.as_text)(follower.look()), nl=False)


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.RUN_FOLDER)
def report(output: str) -> None:
    """Write the page of a run, report.html, again.

    Every run writes it at its end. It is made from the journals alone, also on another machine; without the frames it
    has no pictures. For a run in progress, use mpirender status OUTPUT --html FILE.
    """
    click.echo(printable(pages.again(Path(output))))


@cli.command(context_settings=declared.SETTINGS)
@with_options(declared.RUN_FOLDER, declared.ENCODING, declared.QUIET)
def encode(output: str, quiet: bool, watch: bool, **options: Any) -> None:  # noqa: ANN401
    """Make new movies from the frames of a run.

    They can have another frame rate, format or codec. An existing movie is kept until the new one is complete. Needs
    neither ParaView nor MPI. While a run still renders, makes a small preview of the movie from the frames that are
    done, SCENE_SIZE_preview.mp4, and leaves the run alone.
    """
    from mpirender.reencode import preview, reencode

    def say(text: str) -> None:
        if not quiet:
            click.echo(printable(text))

    busy = contextlib.nullcontext if quiet else reencode.on_stream(sys.stdout)
    request = reencode.EncodeRequest(Path(output), **options)
    if watch:
        preview.watch(request, say)
    elif preview.renders_now(request.output):
        say(preview.once(request, busy))
    else:
        say(reencode.summary(reencode.reencode(request, busy)))


@cli.command(context_settings=declared.SETTINGS)
@with_options(cloup.argument("file", help="Image or movie."))
def whence(file: str) -> None:
    """Show where an image or a movie comes from, and the command that makes it again.

    Reads what mpirender wrote into the file and, if the file is in the folder of its run, the records of the run: by
    which command, when and where it was written, and whether it was changed since.
    """
    from mpirender.monitor import whence as origins

    click.echo(printable("\n".join(origins.lines(Path(file)))))


cli.add_command(cloud)


def carry_out(
    options: dict[str, Any], write_sheet: Callable[[RenderJob, RenderResult], Path], mistakes: Sequence[str] = ()
) -> None:
    """Render the job of the options and print a summary; ``write_sheet`` writes the contact sheet and the tables."""
    from mpirender.batch import requeue
    from mpirender.cli.dry_run import dry_run_lines, plan_of, shown
    from mpirender.monitor import summary

    dry_run, quiet, verbose = (options.pop(name) for name in ("dry_run", "quiet", "verbose"))
    with end_notice({} if dry_run else options, report_error, quiet=quiet) as notice:
        job, inspection = checked_job_of(options, mistakes)
        if dry_run:
            click.echo(printable("\n".join(dry_run_lines(job, inspection))))
            return
        plan = plan_of(job, inspection, click.echo) if verbose else None
        if plan is not None:
            click.echo(shown(job, plan))
        began = time.time()
        try:
            with progress(quiet=quiet) as watch:
                result = requeue.render(job, notice.following(job, watch), inspection, plan)
        except MpirenderError as error:
            code = report_error(error.message, error.exit_code)  # at once: Slurm may soon end this process
            notice.ended(error, pages.write(job, began, error))
            sys.exit(code)
        sheet = None
        try:
            sheet = write_sheet(job, result)
        except (OSError, UsageError) as error:  # the frames and movies are complete
            why = getattr(error, "strerror", None) or error
            click.echo(printable(f"mpirender: warning: the contact sheet could not be written: {why}"), err=True)
        page = pages.write(job, began)
        if not quiet:
            click.echo(printable(summary.summary(job, result, sheet, page)))
        notice.finished(result, sheet, page)


def progress(*, quiet: bool) -> contextlib.AbstractContextManager[Callable[[Sequence[Event]], None]]:
    """Return the kind of progress that suits the output."""
    from mpirender.monitor.progress import RunTally, shown

    return contextlib.nullcontext(lambda new: None) if quiet else shown(sys.stdout, RunTally())


def main() -> None:
    """Run the command line, and end with its exit code, which does not depend on who reads the output of a run."""
    output = standard_streams.install()
    code = exit_code()
    output.flush()
    if output.problem:
        click.echo(f"mpirender: warning: standard output cannot be written ({output.problem})", err=True)
        code = code or (0 if sys.argv[1:2] and sys.argv[1] in RUNNING else UsageError.exit_code)
    sys.exit(code)


def exit_code() -> int:
    """Run the command line; print the message of an error, and return its exit code."""
    try:
        cli.main(standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except click.exceptions.Abort:
        return Interrupted.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_code
    except click.ClickException as error:
        return report_error(mistyped.line(error), UsageError.exit_code)
    except MpirenderError as error:
        return report_error(error.message, error.exit_code)
    return 0


def report_error(message: str, code: int) -> int:
    """Print an error, and return its exit code."""
    for line in message.splitlines():
        click.echo(f"mpirender: error: {printable(line)}", err=True)
    return code
