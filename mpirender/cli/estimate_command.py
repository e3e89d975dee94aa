"""The command ``mpirender estimate``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click
import cloup

from mpirender.cli.job_from_options import checked_job_of
from mpirender.system.text import printable

if TYPE_CHECKING:
    from mpirender.supervisor.run import Watch

OPTIONS = cloup.option_group(
    "Estimate",
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


def run(options: dict[str, Any], progress: Callable[..., AbstractContextManager[Watch]]) -> None:
    """Render some frames, and print the estimate; ``progress`` shows what the ranks do."""
    from mpirender.job import frames as framesets
    from mpirender.monitor import estimate_text
    from mpirender.supervisor import estimate_report, sample

    as_json, quiet, dry_run = (options.pop(name) for name in ("as_json", "quiet", "dry_run"))
    wanted, listed, each = (options.pop(name) for name in ("sample_frames", "on_nodes", "ranks_per_node"))
    mistakes: list[str] = []
    nodes = _numbers(listed, mistakes)
    job, inspection = checked_job_of(options, mistakes)
    if dry_run:
        chosen = framesets.named(sample.chosen_frames(job, inspection, wanted))
        click.echo(f"renders {chosen} at {', '.join(map(str, job.outputs))} into {job.output}")
        return
    with progress(quiet=quiet or as_json) as watch:
        sampled = sample.render(job, inspection, wanted, watch)
    found = estimate_report.of(job, sampled, nodes, each)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        click.echo(printable(estimate_text.text(job, found)))


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
