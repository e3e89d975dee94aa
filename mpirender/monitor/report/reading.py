"""What the journals say about a movie: its newest run, the earlier runs that made a part of it, and all its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.monitor.status.view import Status
from mpirender.run_folder.events import Done, ImageOutcome, Opened, Plan
from mpirender.run_folder.run_state import RankSession, RunHistory, RunState


@dataclass(frozen=True)
class Reading:
    """A run at one moment, as the page shows it."""

    status: Status
    job: RenderJob | None  # None if it cannot be read
    history: RunHistory

    @cached_property
    def run(self) -> RunState:
        """The newest run, in which something was rendered if there is one."""
        return self.history.newest(None)

    @cached_property
    def plan(self) -> Plan | None:
        """What is to be rendered, None before that is known."""
        return self.run.planned.plan if self.run.planned is not None else None

    @cached_property
    def runs(self) -> Sequence[RunState]:
        """The runs that rendered images of this movie, in order; the newest one last."""
        if self.plan is None:
            return [self.run] if self.run.sessions else []
        found = [run for run in self.history.runs.values() if run.sessions and self._is_part(run)]
        return sorted(found, key=lambda run: run.began)

    def _is_part(self, run: RunState) -> bool:
        plans = [launch.plan for launch in run.launches.values() if launch.plan is not None]
        wanted = self.plan.fingerprint if self.plan is not None else ""
        return run is self.run or any(plan.fingerprint == wanted for plan in plans)

    @cached_property
    def sessions(self) -> Sequence[RankSession]:
        """The sessions of all ranks in these runs."""
        return [session for run in self.runs for session in run.sessions]

    @cached_property
    def opened(self) -> Mapping[int, Opened]:
        """How each rank of the newest launch that had loaded the scene renders."""
        launches = reversed(self.run.launches.values())
        found = ({rank: one.opened for rank, one in launch.sessions.items() if one.opened} for launch in launches)
        return next((opened for opened in found if opened), {})

    @cached_property
    def outcomes(self) -> Mapping[Image, ImageOutcome]:
        """The newest outcome of each image of the movie, in the order of outputs and frames."""
        if self.plan is None:
            return {}
        found: dict[Image, ImageOutcome] = {}
        for run in self.runs:
            for launch in run.launches.values():
                found.update(launch.done)
                found.update(launch.failed)
        order = {name: number for number, name in enumerate(self.plan.outputs)}
        frames = set(framesets.parse(self.plan.frames))
        wanted = self.plan.fingerprint
        sound = [
            (order[image.output], image.frame, image)
            for image, one in found.items()
            if one.fingerprint == wanted and image.output in order and image.frame in frames
        ]
        return {image: found[image] for _, _, image in sorted(sound)}

    @cached_property
    def done(self) -> Mapping[Image, Done]:
        """The images of the movie that are complete."""
        return {image: one for image, one in self.outcomes.items() if isinstance(one, Done)}

    @cached_property
    def of_output(self) -> Mapping[str, Sequence[Done]]:
        """The same by output, in the order of their frames."""
        found: dict[str, list[Done]] = {}
        for image, one in self.done.items():
            found.setdefault(image.output, []).append(one)
        return found

    @cached_property
    def seconds(self) -> float:
        """How long these runs took together."""
        ends = [run.finished or run.heard for run in self.runs]
        if self.status.state == "running" and ends:
            ends[-1] = max(ends[-1], self.status.time)
        return sum(end - run.began for run, end in zip(self.runs, ends))
