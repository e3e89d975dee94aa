"""The estimate of a run as numbers: time, cost, memory and disk, and what would make it faster."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpirender import engines
from mpirender.errors import LaunchFailed
from mpirender.job.options import DYNAMIC
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.run_folder import folder
from mpirender.run_folder.cost import HOUR
from mpirender.supervisor import estimate
from mpirender.supervisor.alternatives import Advice
from mpirender.supervisor.disk_estimate import amount
from mpirender.supervisor.estimate import Curve, Prediction
from mpirender.supervisor.memory_estimate import USABLE
from mpirender.supervisor.sample import Sample
from mpirender.system import files

NAME = "estimate.json"  # in the folder of the run
WORTH = 0.05  # part of the time that must be saved for advice
LESS = 0.6  # a frame after another one takes less of its time than that if both share what was computed


@dataclass(frozen=True)
class Row:
    """What a run takes on some nodes."""

    prediction: Prediction
    core_hours: float
    dollars: float | None  # None without a price


@dataclass(frozen=True)
class Estimate:
    """The estimate of a run."""

    frames: int
    sampled: tuple[int, ...]
    per_frame: tuple[float, float, float]  # seconds: mean over the animation, least and most of the sample
    per_frame_error: float  # of the mean
    rows: tuple[Row, ...]  # of the whole job
    left: Prediction  # of the frames that are not done yet, here
    memory: int  # of a rank, in bytes, and of a node
    node_memory: int
    fitting: int  # ranks that fit into the memory of a node, 0 if unknown
    image_bytes: float  # of all images
    movie_bytes: dict[str, float]
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]


def write(job: RenderJob, found: Estimate) -> None:
    """Write an estimate into the folder of its run.

    :raises MpirenderError: it cannot be written.
    """
    try:
        files.write_text(job.folder / NAME, to_json(found))
    except OSError as error:
        raise folder.unwritable(job, error) from None


def to_json(found: Estimate) -> str:
    """Return an estimate as JSON."""
    return json.dumps(dataclasses.asdict(found), indent=2)


def read_rows(job: RenderJob) -> list[Row]:
    """Return what the estimate in the folder of a run says about nodes.

    :raises LaunchFailed: there is none, or it is damaged.
    """
    path = job.folder / NAME
    try:
        rows = json.loads(files.content(path))["rows"]
        return [Row(Prediction(**row["prediction"]), float(row["core_hours"]), row["dollars"]) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        raise LaunchFailed(f"{path}: no estimate, or a damaged one") from None


def fitting(sample: Sample) -> int:
    """Return how many ranks fit into the memory of a node, 0 if it is unknown."""
    if not sample.memory or not sample.node_memory:
        return 0
    return max(int(USABLE * sample.node_memory / sample.memory), 1)


def of(
    job: RenderJob, sample: Sample, nodes: Sequence[int] = (), ranks_per_node: int | None = None,
    measured_advice: Sequence[Advice] = (),
) -> Estimate:  # fmt: skip
    """Return the estimate of a job from its sample.

    :param nodes: numbers of nodes; by default 1, 2, 4 and 8 as long as each rank has frames.
    :param ranks_per_node: on each node; by default as many as there are here.
    """
    measured, done = sample.measured, {one.place for one in sample.measured.sample}
    each = ranks_per_node or max(sample.ranks * sample.group // sample.nodes, 1)
    rows = []
    for count in nodes or estimate.node_counts(max(each // sample.group, 1), measured.frames):
        ranks = count * each
        prediction = replace(estimate.predict(measured, count, max(ranks // sample.group, 1)), ranks=ranks)
        hours = prediction.total / HOUR
        rows.append(
            Row(prediction, hours * ranks * sample.threads, None if job.price is None else hours * count * job.price)
        )
    curve = Curve(measured.frames, measured.sample)
    mean_error = estimate.confidence(measured) * curve.error() / measured.frames
    return Estimate(
        measured.frames, sample.frames, curve.spread, mean_error, tuple(rows),
        replace(
            estimate.predict(measured, sample.nodes, sample.ranks, done), ranks=sample.ranks * sample.group
        ),
        sample.memory, sample.node_memory, fitting(sample),
        sum(sample.image_bytes.values()) * measured.frames, estimate.movie_bytes(measured, sample.ranks),
        (*_schedule_advice(sample), *measured_advice), tuple(_notes(job, sample, each)),
    )  # fmt: skip


def _schedule_advice(sample: Sample) -> list[Advice]:
    """Return whether another schedule is faster, by the measured seconds of the frames."""
    if sample.measured.schedule in (DYNAMIC, "contiguous") or sample.ranks == 1:
        return []
    gain = estimate.gains(sample.measured, sample.ranks, {DYNAMIC: DYNAMIC})[DYNAMIC]
    how = f"computed from the frames measured, for {sample.ranks} ranks"
    return [Advice(f"--schedule {DYNAMIC}", gain, how)] if gain >= WORTH else []


def _memory_note(job: RenderJob, sample: Sample, each: int) -> str:
    """Return that so many ranks do not fit on a node, empty if they do."""
    most = fitting(sample)
    if not most or each <= most:
        return ""
    shares = OPTIONS["ranks_per_frame"].applies_to(engines.name_for(job.scene))
    instead = f", or --ranks-per-frame {job.ranks_per_frame + 1}" if shares else ""
    return f"{each} ranks do not fit into the memory of a node like this one: give --ranks-per-node {most}{instead}"


def _disk_note(job: RenderJob, sample: Sample) -> str:
    """Return that the disk here has too little room, empty if it has enough."""
    movies = sum(estimate.movie_bytes(sample.measured, sample.ranks).values())
    left = 1 - len(sample.frames) / sample.measured.frames
    needed = sum(sample.image_bytes.values()) * sample.measured.frames * left + movies
    free = shutil.disk_usage(job.output).free
    return f"{amount(needed)} more are needed and {amount(free)} are free in {job.output}" if needed > free else ""


def _notes(job: RenderJob, sample: Sample, each: int) -> list[str]:
    """Return what the estimate does not hold, and what is short for ``each`` ranks on a node."""
    notes = []
    if job.schedule == "contiguous":
        notes.append(
            "each rank also computes the frames before its own if frames depend on earlier ones; that is not included"
        )
    notes += filter(None, [_memory_note(job, sample, each), _disk_note(job, sample)])
    if sample.follow < LESS:
        notes.append(
            f"frames that follow another one took {sample.follow:.0%} of its time, perhaps because both show the same "
            "data; the run can take less than estimated"
        )
    return notes
