"""How a run has ended, as a notice tells it: to a program as JSON and variables, to people as a mail."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mpirender.errors import Interrupted, MpirenderError, Stopped, one_line
from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob
from mpirender.run_folder.cost import total_cost
from mpirender.run_folder.event_values import Cost
from mpirender.run_folder.run_state import RunState, progress
from mpirender.supervisor.result import RenderResult
from mpirender.system import site, slurm

FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"


@dataclass(frozen=True)
class FailedFrames:
    """Frames of an output that failed for the same reason; ``frames`` is a frame set."""

    output: str
    frames: str
    reason: str


@dataclass(frozen=True)
class Ending:
    """The end of a run; the fields are the keys of the JSON object, except the job."""

    job: RenderJob
    outcome: str  # finished, failed or stopped
    exit_code: int
    message: str  # of the error, empty without one
    seconds: float  # wall-clock time of this run
    images: dict[str, int]  # total, done, failed
    failed: tuple[FailedFrames, ...] = ()
    movies: tuple[str, ...] = ()
    contact_sheet: str = ""
    report: str = ""  # the page about the run
    warnings: tuple[str, ...] = ()
    cost: Cost | None = None  # of all runs in the folder, None without a price
    slurm_job: str = ""
    command: str = ""  # that made this run, or continues it
    try_command: str = ""  # that renders the failed frames only, empty without any
    frames: dict[str, str] = field(default_factory=dict)  # folder of each output, by its name

    def to_json(self) -> str:
        """Return everything as a JSON object."""
        facts: dict[str, Any] = {name: value for name, value in vars(self).items() if name != "job"}
        facts["failed"] = [asdict(one) for one in self.failed]
        facts["cost"] = None if self.cost is None else {"node_hours": self.cost.hours, "dollars": self.cost.dollars}
        return json.dumps({"scene": str(self.job.scene), "output": str(self.job.output), **facts}, indent=1) + "\n"

    def variables(self) -> dict[str, str]:
        """Return what a short script needs, as environment variables."""
        movie = self.movies[0] if self.movies else ""
        values = {
            site.OUTCOME: self.outcome, site.EXIT_CODE: str(self.exit_code), site.MESSAGE: self.message,
            site.SCENE: str(self.job.scene), site.OUTPUT: str(self.job.output), site.MOVIE: movie,
        }  # fmt: skip
        return {name: value.replace("\0", "") for name, value in values.items()}


def finished(job: RenderJob, result: RenderResult, sheet: Path | None, page: Path | None) -> Ending:
    """Return the end of a run that has made everything."""
    done = result.rendered + result.kept
    images = {"total": done, "done": done, "rendered": result.rendered, "kept": result.kept, "failed": 0}
    return Ending(
        **_common(job), outcome=FINISHED, exit_code=0, message="", seconds=result.seconds, images=images,
        movies=tuple(map(str, result.movies)), contact_sheet=str(sheet or ""), report=str(page or ""),
        warnings=result.warnings, cost=result.cost,
    )  # fmt: skip


def ended(job: RenderJob, state: RunState, error: BaseException, seconds: float, page: Path | None = None) -> Ending:
    """Return the end of a run that has failed, or was stopped."""
    code, message = 1, one_line(f"{type(error).__name__}: {error}")
    if isinstance(error, MpirenderError):
        code, message = error.exit_code, error.message
    numbers = progress(state)
    images = {} if numbers is None else {"total": numbers.total, "done": numbers.done, "failed": numbers.failed}
    failures = state.planned.failures() if state.planned is not None else {}
    frames = framesets.text(image.frame for image in failures)
    alone = replace(job, frames=frames, movie="none", codec=None, on_end=None, mail=()) if frames else None
    grouped: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image, reason in failures.items():
        grouped[image.output, one_line(reason)].append(image.frame)
    return Ending(
        **_common(job), outcome=STOPPED if isinstance(error, (Stopped, Interrupted)) else FAILED, exit_code=code,
        message=message, seconds=seconds, images=images, report=str(page or ""), cost=total_cost(state),
        failed=tuple(FailedFrames(name, framesets.text(some), why) for (name, why), some in sorted(grouped.items())),
        try_command=shlex.join(alone.command()) if alone else "",
    )  # fmt: skip


def _common(job: RenderJob) -> dict[str, Any]:
    frames = {output.name: str(job.output / output.name) for output in job.outputs}
    return {"job": job, "slurm_job": slurm.job_number() or "", "command": shlex.join(job.command()), "frames": frames}
