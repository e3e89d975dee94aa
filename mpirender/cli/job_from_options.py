"""The options of a command become a job. All mistakes in the options, the scene and the tools are reported together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from mpirender.errors import MpirenderError, UsageError

if TYPE_CHECKING:
    from mpirender.engines.base import Inspection
    from mpirender.job.render_job import RenderJob

    Check = Callable[[RenderJob, Optional[Inspection]], object]


def job_of(options: dict[str, Any]) -> RenderJob:
    """Make a job of the options of a command; raise UsageError with every mistake in them."""
    from mpirender.job.render_job import RenderJob

    return RenderJob(**{name: value for name, value in options.items() if value is not None})


def checked_job_of(
    options: dict[str, Any], mistakes: Sequence[str] = (), *, check: Check | None = None
) -> tuple[RenderJob, Inspection]:
    """Make a job of the options, and inspect its scene, so that mistakes of both are reported together.

    :param mistakes: already found by the command.
    :param check: that every job must pass; by default only the options are checked, and rendering checks the rest.
    :raises UsageError: with every mistake in the options, the scene, the output folder and the tools.
    """
    from mpirender.supervisor import preflight

    found: list[str] = []
    try:
        given = job_of(options)
        inspection = preflight.inspect(given)
        job = preflight.resolved(given, inspection)
        if check:
            check(job, inspection)
    except UsageError as error:
        found += error.mistakes
        try:
            (check or preflight.check)(valid_part(options), None)
        except MpirenderError as others:
            found += others.message.splitlines()
    if found or mistakes:
        raise UsageError(list(dict.fromkeys([*found, *mistakes])))
    return job, inspection


def valid_part(options: dict[str, Any]) -> RenderJob:
    """Return a job of the options without those that are wrong, or that contradict the ones before them."""
    valid = {"scene": options["scene"]}
    for name, value in options.items():
        for item in value if isinstance(value, tuple) else (value,):
            longer = {**valid, name: (*valid.get(name, ()), item) if isinstance(value, tuple) else item}
            try:
                job_of(longer)
            except UsageError:
                continue
            valid = longer
    return job_of(valid)


def make_study(options: dict[str, Any], at: int | None) -> list[str]:
    """Turn the options of a study, and its single frame, into those of a job; return the mistakes in them."""
    from mpirender.job import frames as framesets

    mistakes = []
    if not options["vary"]:
        mistakes.append("--vary NAME.PROPERTY=VALUES is missing: name a property and its values")
    if at is not None and options["frames"] is not None:
        mistakes.append("--at and --frames exclude each other; give one of them")
    options["frames"] = options["frames"] or str(at or 0)
    options["output"] = options["output"] or f"{Path(options['scene']).stem}_study"
    try:
        several_frames = len(framesets.parse(options["frames"])) > 1
    except ValueError:  # the job reports it
        several_frames = False
    options["movie"] = options["movie"] if several_frames else "none"
    return mistakes
