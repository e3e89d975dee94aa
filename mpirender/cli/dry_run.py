"""What is shown of a job and of a scene before anything is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpirender.system.text import rank_or_group, ranks_or_groups

if TYPE_CHECKING:
    from mpirender.engines import Inspection
    from mpirender.job.render_job import RenderJob
    from mpirender.launcher.launch_plan import LaunchPlan


def command_line(job: RenderJob, plan: LaunchPlan) -> str:
    """Return the command that starts the ranks, ready to paste."""
    from mpirender.launcher import command_line

    return command_line.for_shell(plan.command(*command_line.rank_words(job)), plan.environment)


def dry_run_lines(job: RenderJob, inspection: Inspection) -> list[str]:
    """Check the job, write it where the command expects it, and say what would be done."""
    from mpirender.job import frames as framesets
    from mpirender.launcher import launch_plan
    from mpirender.monitor import summary
    from mpirender.ranks import schedule
    from mpirender.run_folder import folder
    from mpirender.supervisor import preflight, run

    preflight.check(job, inspection)
    folder.write_down(job)
    frames, combinations = preflight.frames_of(job, inspection), len(job.variants)
    images = preflight.images_of(job, inspection)
    plan = launch_plan.of_job(job, inspection, images)
    placement = plan.placement
    who = [summary.HANDED_OUT]
    if not placement.frame_server:
        shares = schedule.deal([frame for _ in job.variants for frame in frames], placement.groups, job.schedule)
        unit = rank_or_group(placement.group)
        alone = summary.schedule_lines(shares, unit)
        who = alone if combinations == 1 else [f"{unit} {one}: {len(mine)} of them" for one, mine in enumerate(shares)]
    count = f"{len(frames)} frames at {', '.join(map(str, job.outputs))}: {images} images"
    if combinations > 1:
        count = f"{combinations} combinations of values, frames {framesets.text(frames)} of each: {images} images"
    if not frames:
        count, who = "the frames are known when the script has run; they will be dealt out then; now", []
    return [
        *(f"warning: {warning}" for warning in inspection.warnings),
        f"{count} on {ranks_or_groups(placement.groups, placement.group)}",
        *filter(None, [run.leftover(placement)]),
        *who,
        "",
        command_line(job, plan),
    ]


def inspection_lines(inspection: Inspection, read_by: str) -> list[str]:
    """Write an inspection for people."""
    from mpirender.job import frames as framesets

    times = inspection.times
    span = f", times {times[0]:g} to {times[-1]:g}" if times else ""
    numbers = framesets.text(inspection.frames)
    frame_range = f"{numbers} ({len(times)}, {inspection.play_mode}{span})" if times else "none"
    if not inspection.frames_known:
        frame_range = "known when the script has run"
    rows = [
        ("written by", inspection.written_by),
        ("read by", read_by or "no program found; see mpirender doctor"),
        ("frames", frame_range),
        ("views", ", ".join(inspection.views)),
        *(("layout", f"{layout.name}: {', '.join(layout.views)}") for layout in inspection.layouts),
        *(("data file", f"{file.path} ({'found' if file.found else 'MISSING'}, {file.reader})")
          for file in inspection.data_files),
        *inspection.properties,
        ("objects", ", ".join(f"{name} ({kind})" for name, kind in inspection.objects)),
        *(("warning", warning) for warning in inspection.warnings),
        *(("advice", advice) for advice in inspection.advice),
        *(("MISTAKE", mistake) for mistake in inspection.mistakes),
    ]  # fmt: skip
    return [f"{name:>10}  {value}" for name, value in rows if value]
