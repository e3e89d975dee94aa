"""The commands ``cloud …``: a cluster of spot nodes that is made, used and deleted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from mpirender.cli import mistyped
from mpirender.cli import options as declared
from mpirender.cli.job_from_options import checked_job_of
from mpirender.cli.options import with_options
from mpirender.errors import FramesMissing, LaunchFailed, UsageError
from mpirender.system.text import plural, printable

if TYPE_CHECKING:
    from mpirender.cloud.fetch import Fetched
    from mpirender.cloud.programs import Programs
    from mpirender.cloud.render import CloudRequest

NOTHING = "no scene was copied to the cluster yet; use mpirender cloud upload"
STORAGE = ("efs", "fsx")
FARM = cloup.argument("farm", help="Configuration of the cluster, made by cloud init.")
SSH = cloup.option(
    "--ssh", default="ssh", metavar="COMMAND", help="How to reach the head node, such as 'ssh -i ~/.ssh/farm.pem'."
)
DRY_RUN = cloup.option("--dry-run", is_flag=True, help="Only show the commands.")
ALSO = cloup.option("--also", multiple=True, metavar="PATH", help="Copy this file or folder, too: what a script reads. "
                    "Can be repeated.")  # fmt: skip
NODES = cloup.option(
    "--nodes", metavar="MIN-MAX", help="Nodes to render on.  [default: 1 to all that the configuration allows]"
)
SBATCH = cloup.argument("sbatch_options", nargs=-1, help="Other options of sbatch, after --.", required=False)


@cloup.group(cls=mistyped.Commands, context_settings=declared.SETTINGS)
def cloud() -> None:
    """Render on spot nodes in the cloud, through AWS ParallelCluster.

    render does everything; the other commands are its steps. Needs an account at Amazon, pcluster, ssh and rsync.
    """


@cloud.command(context_settings=declared.SETTINGS)
@with_options(
    FARM,
    cloup.option("--region", required=True, metavar="NAME", help="Region of Amazon, such as eu-central-1."),
    cloup.option("--instances", required=True, metavar="TYPES", help="Types of instances with the same number of "
                 "cores, such as c7i.4xlarge,c7a.4xlarge; with the price per hour where known: c7i.4xlarge=0.31."),
    cloup.option("--max-nodes", type=click.IntRange(1, 1000), default=16, metavar="N", help="Most nodes at a time."),
    cloup.option("--subnet", metavar="ID", help="Public subnet of your account.  [default: to be filled in]"),
    cloup.option("--key", metavar="NAME", help="Your key pair for ssh.  [default: to be filled in]"),
    cloup.option("--head", default="t3.large", metavar="TYPE", help="Type of the head node."),
    cloup.option("--storage", type=click.Choice(STORAGE), default="efs",
                 help="Shared storage: efs costs by what is stored, fsx is faster and costs at least 1.2 TB."),
    cloup.option("--max-hours", type=click.FloatRange(0, 720, min_open=True), default=24.0, metavar="HOURS",
                 help="Hours after which the head node ends all jobs and stops itself."),
    cloup.option("--budget", type=click.FloatRange(0, min_open=True), metavar="DOLLARS",
                 help="Let Amazon send a mail when the account has spent 80 % of this in a month."),
    cloup.option("--mail", metavar="ADDRESS", help="Who gets that mail."),
)  # fmt: skip
def init(farm: str, region: str, instances: str, **values: Any) -> None:  # noqa: ANN401
    """Write a configuration of spot nodes, to read and edit."""
    from mpirender.cloud import configuration

    file = Path(farm)
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{farm}: name it {file.stem}.yaml")
    text = configuration.template(file.stem, region, configuration.instances_of(instances), **values)
    configuration.write(file, text)
    click.echo(
        f"{farm} is written; read it"
        + (f", and fill in every {configuration.TO_FILL_IN}" * (configuration.TO_FILL_IN in text))
    )


@cloud.command(context_settings=declared.SETTINGS)
@with_options(FARM, SSH, DRY_RUN)
def create(**options: Any) -> None:  # noqa: ANN401
    """Make the cluster, and put mpirender on its head node."""
    from mpirender.cloud import render as steps

    steps.make(programs_of(options))


@cloud.command(context_settings=declared.SETTINGS)
@with_options(FARM, declared.SCENE, ALSO, SSH, DRY_RUN, *declared.INSPECTION)
def upload(also: Sequence[str], **options: Any) -> None:  # noqa: ANN401
    """Copy a scene and every file it needs to the cluster; only what has changed."""
    from mpirender.batch import submit as batch
    from mpirender.cloud import cluster
    from mpirender.cloud import upload as step

    programs = programs_of(options)
    job, inspection = checked_job_of(options, check=batch.check)
    cluster.connect(programs)
    step.upload(programs, job, step.files_of(job, inspection, [Path(one) for one in also]))


@cloud.command(context_settings=declared.SETTINGS)
@with_options(FARM, declared.SCENE, SBATCH, NODES, SSH, DRY_RUN, *declared.RENDERING)
def submit(nodes: str | None, sbatch_options: Sequence[str], **options: Any) -> None:  # noqa: ANN401
    """Render a scene that was uploaded, in a Slurm job on the cluster."""
    from mpirender.cloud import cluster, jobs, upload

    programs = programs_of(options)
    request = request_of(programs, options, nodes, sbatch_options)
    cluster.connect(programs)
    cluster.install(programs, request.job.scene)
    place = upload.place_of(programs, request.job.scene)
    digest = request.digest(upload.files_of(request.job, request.inspection))
    number = jobs.submit(programs, request.job, place, digest, nodes=request.nodes, sbatch=request.sbatch)
    if not programs.dry_run:
        click.echo(f"Slurm job {number}; see: mpirender cloud status {programs.farm.file}")


@cloud.command(context_settings=declared.SETTINGS)
@with_options(FARM, SSH, DRY_RUN)
def status(**options: Any) -> None:  # noqa: ANN401
    """Show what the jobs on the cluster do."""
    from mpirender.cloud import cluster, jobs

    programs = programs_of(options)
    cluster.connect(programs)
    states = jobs.look(programs)
    if not states and not programs.dry_run:
        click.echo(NOTHING)
    for state in states:
        click.echo(f"{state['name']}: Slurm job {state['number']}, {state['queue'].lower() or 'not in the queue'}"
                   f"; {plural(state['unfetched'], 'image')} not fetched")  # fmt: skip
        click.echo(printable(state["text"]), nl=False)


@cloud.command(context_settings=declared.SETTINGS)
@with_options(
    FARM,
    cloup.option("--job", metavar="NAME", help="Fetch only this job.  [default: all]"),
    cloup.option("--output", metavar="FOLDER", help="Where to, for one job.  [default: NAME_renders]"),
    SSH, DRY_RUN,
)  # fmt: skip
def fetch(job: str | None, output: str | None, **options: Any) -> None:  # noqa: ANN401
    """Copy the images and movies that are complete; also while the cluster renders.

    The exit code is 4 if something is still missing here.
    """
    from mpirender.cloud import cluster, jobs
    from mpirender.cloud import fetch as step

    programs = programs_of(options)
    cluster.connect(programs)
    names = ["NAME"] if programs.dry_run else [state["name"] for state in jobs.look(programs)]
    if job is not None and job not in names and not programs.dry_run:
        raise UsageError(f"--job {job}: the cluster has no such job; it has: {', '.join(names) or 'none'}")
    chosen = [job] if job is not None else names
    if not chosen:
        click.echo(NOTHING)
    if output is not None and len(chosen) > 1:
        raise UsageError(f"--output is for one job; choose with --job: {', '.join(chosen)}")
    found = [step.fetch(programs, name, Path(output or f"{name}_renders").absolute()) for name in chosen]
    if programs.dry_run:
        return
    for one in found:
        click.echo(printable(report(one)))
    if any(not one.complete for one in found):
        raise FramesMissing("not everything is here yet; run the same command again later")


@cloud.command(context_settings=declared.SETTINGS)
@with_options(
    FARM,
    cloup.option("--discard", is_flag=True, help="Delete also what was not fetched, and end all jobs."),
    SSH,
    DRY_RUN,
)
def delete(discard: bool, **options: Any) -> None:  # noqa: ANN401
    """Delete the cluster, its storage, and whatever else has its tag."""
    from mpirender.cloud import render as steps

    programs = programs_of(options)
    if left := steps.delete(programs, discard=discard):
        raise LaunchFailed(f"still there, delete it by hand: {', '.join(one.arn for one in left)}")
    if not programs.dry_run:
        click.echo(f"the cluster {programs.farm.name} and its storage are deleted")


@cloud.command(name="list", context_settings=declared.SETTINGS)
@with_options(cloup.option("--region", multiple=True, metavar="NAME",
                           help="Look only here. Can be repeated.  [default: all regions of the account]"))  # fmt: skip
def list_all(region: Sequence[str]) -> None:
    """List everything that mpirender made in the cloud and that still costs money."""
    from mpirender.cloud import resources

    found = [one for name in region or resources.regions() for one in resources.found(name)]
    for one in found:
        click.echo(f"{one.cluster}  {one.region}  {one.kind}  {one.id}")
    if not found:
        click.echo("nothing of mpirender costs money")


@cloud.command(context_settings=declared.SETTINGS)
@with_options(
    declared.SCENE, SBATCH,
    cloup.option("--cluster", "farm", required=True, metavar="FILE", help="Configuration of the cluster."),
    NODES, ALSO,
    cloup.option("--start-within", type=click.FloatRange(0, min_open=True), default=30.0, metavar="MINUTES",
                 help="Give up, and delete the cluster, if no node comes within this time."),
    cloup.option("--keep", is_flag=True, help="Keep the cluster at the end."),
    SSH, DRY_RUN, *declared.RENDERING,
)  # fmt: skip
def render(
    nodes: str | None, sbatch_options: Sequence[str], also: Sequence[str], start_within: float, keep: bool,
    **options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Make a cluster, render a scene on it, fetch everything, and delete the cluster.

    If you run the same command again, it goes on where it was interrupted.
    """
    import dataclasses

    from mpirender.cloud import render as steps

    programs = programs_of(options)
    request = request_of(programs, options, nodes, sbatch_options)
    paths = tuple(Path(one).absolute() for one in also)
    request = dataclasses.replace(request, also=paths, start_seconds=60 * start_within, keep=keep)
    if (found := steps.render(programs, request)) is not None:
        click.echo(printable(report(found)))


def programs_of(options: dict[str, Any]) -> Programs:
    """Take the options of the cluster out of those of a command, and return what runs its programs.

    :raises UsageError: the configuration is wrong, with every mistake.
    """
    from mpirender.cloud import configuration
    from mpirender.cloud.programs import Programs

    farm = configuration.read(Path(options.pop("farm")))
    return Programs(
        farm, lambda line: click.echo(printable(line)), dry_run=options.pop("dry_run", False), ssh=options.pop("ssh")
    )


def request_of(programs: Programs, options: dict[str, Any], nodes: str | None, sbatch: Sequence[str]) -> CloudRequest:
    """Return what to render, after checking the scene and the options here."""
    from mpirender.batch import submit as batch
    from mpirender.cloud.render import CloudRequest

    mistakes = batch.wrong_options(sbatch)
    if nodes is not None and not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)?", nodes):
        mistakes.append(f"--nodes {nodes}: write a number of nodes, or the least and the most, such as 2-8")
    options["price"] = options["price"] or programs.farm.price
    job, inspection = checked_job_of(options, mistakes, check=batch.check)
    return CloudRequest(job, inspection, nodes or f"1-{programs.farm.max_nodes}", sbatch=tuple(sbatch))


def report(found: Fetched) -> str:
    """Return what is here now, for people."""
    total = "an unknown number of images" if found.total is None else plural(found.total, "image")
    lines = [f"{found.images} of {total} are in {shlex.quote(str(found.output))}"]
    lines += [f"{found.output / path}" for path in found.results]
    lines += [f"not what was rendered: {found.output / path}" for path in found.wrong]
    return "\n".join(lines)
