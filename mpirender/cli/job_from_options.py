"""The options of a command become a job, with every mistake in them told along with those of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.errors import MpirenderError, UsageError

if TYPE_CHECKING:
    from mpirender.engines import Inspection
    from mpirender.job.render_job import RenderJob


def job_of(options: dict[str, Any]) -> RenderJob:
    """Turn the options of a command into a job.

    Raises:
        UsageError: with every mistake in them.
    """
    from mpirender.job.render_job import RenderJob

    given = {name: value for name, value in options.items() if value is not None}
    pairs = [text.partition("=") for text in given.pop("files", ())]
    mistakes = [f"--file {reader!r}: write READER=PATH" for reader, equals, path in pairs if not (equals and path)]
    try:
        job = RenderJob(**given, files=tuple((reader, path) for reader, _, path in pairs))
    except UsageError as error:
        raise UsageError([*mistakes, *error.mistakes]) from None
    if mistakes:
        raise UsageError(mistakes)
    return job


def checked_job_of(options: dict[str, Any], *, tools: bool = True) -> tuple[RenderJob, Inspection]:
    """Turn the options into a job, and inspect its scene, so that mistakes of both are reported together.

    Raises:
        UsageError: with every mistake in the options, and then in the scene, the output folder and the tools.
    """
    from mpirender.job.options import ASSIGNMENT, COLOR_RANGE, MEASURE
    from mpirender.supervisor import preflight

    try:
        job = job_of(options)
        inspection = preflight.inspect(job)
        return preflight.resolved(job, inspection), inspection
    except UsageError as error:
        mistakes = list(error.mistakes)
    names = ["scene", "output", "data_dir", "pvbatch", "blender", "mpiexec", "views", "layouts", "scene_name",
             "view_layer", "camera", "allow_scripts"]  # fmt: skip
    names += [] if any(mistake.startswith("--frames") for mistake in mistakes) else ["frames"]
    sound = {name: options[name] for name in names}
    sound["overrides"] = [text for text in options["overrides"] if ASSIGNMENT.match(text)]
    sound["color_range"] = [text for text in options["color_range"] if COLOR_RANGE.fullmatch(text)]
    sound["measure"] = [text for text in options["measure"] if MEASURE.fullmatch(text)]
    sound["vary"] = [text for text in options.get("vary", ()) if not wrong_values(text)]
    sound["files"] = [pair for pair in options["files"] if all(pair.partition("="))]
    try:
        preflight.check(job_of(sound), tools=tools)
    except MpirenderError as error:
        mistakes += str(error).splitlines()
    raise UsageError(list(dict.fromkeys(mistakes)))


def make_study(options: dict[str, Any], at: int | None) -> list[str]:
    """Turn options of a study into those of a job, with its own defaults; return what is wrong with them.

    Args:
        at: the frame that is asked for alone.
    """
    wrong = []
    if not options["vary"]:
        wrong.append("--vary NAME.PROPERTY=VALUES is missing: what is to be studied?")
    if at is not None and options["frames"] is not None:
        wrong.append("--at and --frames exclude each other; give one of them")
    options["frames"] = options["frames"] or str(at or 0)
    options["output"] = options["output"] or f"{Path(options['scene']).stem}_study"
    options["movie"] = options["movie"] if len(only_frames(options["frames"])) > 1 else "none"
    return wrong


def only_frames(text: str) -> Sequence[int]:
    """Return the frames of a set, none where it is not one, which is told later."""
    from mpirender.job import frames as framesets

    try:
        return framesets.parse(text)
    except ValueError:
        return ()


def wrong_values(text: str) -> str:
    """Say what is wrong with the values of a study, empty for nothing."""
    from mpirender.job import sweep

    try:
        sweep.parse(text)
    except ValueError as error:
        return str(error)
    return ""
