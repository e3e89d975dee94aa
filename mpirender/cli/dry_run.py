"""The text of ``--dry-run`` and ``--verbose``: what a run would do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpirender.engines.base import Inspection
from mpirender.job import frames as framesets
from mpirender.job.options import DYNAMIC
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, launch_plan
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import Placement, notes
from mpirender.monitor import summary
from mpirender.ranks import schedule
from mpirender.run_folder import folder
from mpirender.supervisor import preflight
from mpirender.system.text import rank_or_group, ranks_or_groups


def plan_of(job: RenderJob, inspection: Inspection, note: Callable[[str], object]) -> LaunchPlan:
    """Check a job and return its launch plan; MpirenderError if it cannot run. ``note`` is that of ``of_job``."""
    images = preflight.images_of(job, preflight.check(job, inspection))
    return launch_plan.of_job(job, inspection, images, note=note)


def shown(job: RenderJob, plan: LaunchPlan) -> str:
    """Return the command that starts the ranks of a job, ready to paste."""
    return command_line.for_shell(plan.command(*command_line.rank_words(job)), plan.environment)


def dry_run_lines(job: RenderJob, inspection: Inspection) -> list[str]:
    """Check a job, write it into its folder, where the command expects it, and return what would be rendered.

    :raises MpirenderError: the job cannot be rendered.
    """
    preflight.check(job, inspection)
    folder.write_down(job)
    frames, images = preflight.frames_of(job, inspection), preflight.images_of(job, inspection)
    plan = launch_plan.of_job(job, inspection, images)
    placement = plan.placement
    if not frames:
        count = "the frames are known after the script has run"
    elif len(job.variants) > 1:
        count = f"{len(job.variants)} combinations of values, frames {framesets.text(frames)} of each: {images} images"
    else:
        count = f"{len(frames)} frames at {', '.join(map(str, job.outputs))}: {images} images"
    return [
        *filter(None, [preflight.script_note(inspection)]),
        *(f"warning: {warning}" for warning in inspection.warnings),
        *(f"advice: {advice}" for advice in preflight.short_movie(job, inspection)),
        f"{count} on {ranks_or_groups(placement.groups, placement.group)}",
        *notes(placement),
        *(_distribution(job, frames, placement) if frames else []),
        "",
        shown(job, plan),
    ]


def _distribution(job: RenderJob, frames: Sequence[int], placement: Placement) -> list[str]:
    """Return which ranks render which frames."""
    if job.schedule == DYNAMIC and placement.groups > 1:
        return [summary.HANDED_OUT]
    shares = schedule.deal([frame for _ in job.variants for frame in frames], placement.groups, job.schedule)
    unit = rank_or_group(placement.group)
    if len(job.variants) == 1:
        return summary.schedule_lines(shares, unit)
    return [f"{unit} {number}: {len(share)} frames" for number, share in enumerate(shares)]
