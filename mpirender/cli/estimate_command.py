"""The command ``mpirender estimate``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import cloup

from mpirender.cli.job_from_options import checked_job_of
from mpirender.system.text import printable, whole_number

if TYPE_CHECKING:
    from pathlib import Path

    from mpirender.engines.base import Inspection
    from mpirender.job.render_job import RenderJob
    from mpirender.supervisor.run import Watch
    from mpirender.supervisor.sample import Sample

    Progress = Callable[..., AbstractContextManager[Watch]]

OPTIONS = cloup.option_group(
    "Estimate",
    cloup.option(
        "--alternatives",
        is_flag=True,
        help="Also measure whether half as many ranks with twice the threads, or --one-pass, are faster. Each takes a "
        "start-up and a few frames.",
    ),
    cloup.option(
        "--dry-run", is_flag=True, help="Check everything, and print which frames would be rendered; render nothing."
    ),
    cloup.option("--sample-frames", type=click.IntRange(min=1), metavar="N", help="Number of frames to render for the "
           "estimate. [default: 1 in 20, from 6 to 20, and at least 2 for each rank]"),
    cloup.option("--on-nodes", metavar="LIST", help="Numbers of nodes to estimate the time for, such as "
           "1,4,16. [default: 1,2,4,8 if each rank has a frame]"),
    cloup.option("--ranks-per-node", type=click.IntRange(min=1), metavar="N", help="Ranks on each of these nodes. "
           "[default: as many as there are here]"),
)  # fmt: skip


def run(options: dict[str, Any], progress: Progress) -> None:
    """Render some frames, and print the estimate; ``progress`` shows what the ranks do."""
    from mpirender.job import frames as framesets
    from mpirender.monitor import estimate_text
    from mpirender.supervisor import alternatives, estimate_report, sample

    as_json, quiet, dry_run = (options.pop(name) for name in ("as_json", "quiet", "dry_run"))
    wanted, listed, each, tried = (
        options.pop(name) for name in ("sample_frames", "on_nodes", "ranks_per_node", "alternatives")
    )
    mistakes: list[str] = []
    nodes = _numbers(listed, mistakes)
    job, inspection = checked_job_of(options, mistakes)
    if dry_run:
        chosen = framesets.named(sample.chosen_frames(job, inspection, wanted))
        click.echo(f"renders {chosen} at {', '.join(map(str, job.outputs))} into {job.output}")
        return
    shown = partial(progress, quiet=quiet or as_json)
    sampled = _sampled(job, inspection, wanted, shown)
    advice = alternatives.measure(job, inspection, sampled, shown) if tried else []
    found = estimate_report.of(job, sampled, nodes, each, advice)
    estimate_report.write(job, found)
    if as_json:
        click.echo(estimate_report.to_json(found))
    else:
        click.echo(printable(estimate_text.text(job, found)))


def _sampled(job: RenderJob, inspection: Inspection, wanted: int | None, progress: Progress) -> Sample:
    """Render some frames and measure them, with the contact sheet and the page that render makes at the end."""
    from mpirender.supervisor import sample

    with progress() as watch:
        found = sample.render(job, inspection, wanted, watch)
    started = time.perf_counter()
    from mpirender.monitor import contact_sheet  # which render imports, too; that takes a while
    from mpirender.monitor.report import writing

    contact_sheet.trial(job, found.frames, found.measured.frames)
    writing.trial(job.output)
    return sample.with_end(found, time.perf_counter() - started)


def _numbers(text: str | None, mistakes: list[str]) -> list[int]:
    """Return the numbers of a list such as ``1,4,16``; add the mistake in it."""
    try:
        numbers = [int(part) for part in text.split(",")] if text is not None else []
        if any(number < 1 for number in numbers):
            raise ValueError(text)
    except ValueError:
        mistakes.append(f"--on-nodes {text!r} is no list of numbers of nodes; write it like 1,4,16")
        return []
    return numbers


def size_of_job(
    job: RenderJob, inspection: Inspection, of_sbatch: Mapping[str, str], *, cores: int | None,
    in_job: tuple[Path, Sequence[str]] | None, progress: Progress,
) -> list[str]:  # fmt: skip
    """Estimate a run, print for how long it takes which nodes, and return the options of sbatch for that.

    :param of_sbatch: options of sbatch that the user gave, by name.
    :param cores: of one node, for a job on a part of it.
    :param in_job: batch script and options of sbatch, to make the estimate in a short job; None to make it here.
    """
    from mpirender.batch import job_size
    from mpirender.supervisor import estimate_report

    nodes = [1] if cores else job_size.counts(of_sbatch)
    per_node = whole_number(of_sbatch.get("ntasks_per_node", "")) or cores
    if in_job is not None:
        words = ["--on-nodes", ",".join(map(str, nodes)), *(["--ranks-per-node", str(per_node)] if per_node else [])]
        template, given = in_job
        rows = job_size.estimate_in_job(job, given, template, words, lambda line: click.echo(line, err=True))
    else:
        sampled = _sampled(job, inspection, None, progress)
        found = estimate_report.of(job, sampled, nodes, per_node)
        estimate_report.write(job, found)
        rows = list(found.rows)
    size = job_size.choose(rows, of_sbatch)
    click.echo(f"{'estimate':>10}  {size.text}", err=True)
    own = {"nodes": str(size.nodes), "time": size.limit}
    if cores:
        own.pop("nodes")
    return [f"--{name}={value}" for name, value in own.items() if name not in of_sbatch]
