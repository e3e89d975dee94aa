"""Find the images that earlier runs completed: an image counts if its record, file and fingerprint agree."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

from mpirender.engines.base import Scene
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks import data_record
from mpirender.ranks.data_record import DataRecord, States
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Done, Event, ImageOutcome
from mpirender.system import files
from mpirender.system.comm import Comm

DataFiles = Sequence[tuple[str, int, int]]  # name, bytes and modification time (ns) of each
PARTS = {
    "scene": "scene file",
    "data": "data files",
    "options": "options",
    "survey": "ranges of color maps",
    "order": "dependence on earlier frames",
    "renderer": "program or renderer",
}


def identity(job: RenderJob, content: bytes, data: DataFiles, renderer: str) -> dict[str, Any]:
    """Return everything that determines the pixels: scene, data files, options, engine and renderer."""
    data_digest = files.digest(json.dumps(data).encode())
    return {"scene": files.digest(content), "data": data_digest, "options": job.pixel_options(), "renderer": renderer}


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Return the fingerprint of an identity."""
    return files.digest(json.dumps(parts, sort_keys=True, default=str).encode())


def different_renderers(renderers: Sequence[str]) -> str:
    """Return a warning if the ranks have different renderers, else an empty string."""
    if len(renderers) < 2:
        return ""
    return f"the ranks render with {' and '.join(renderers)}; their images may differ slightly at edges"


def requested(job: RenderJob, scene: Scene) -> list[Image]:
    """Return all images of the movies, frame by frame.

    :raises UsageError: the scene has no frames, or lacks requested frames.
    """
    if not scene.frames:
        raise UsageError(f"{job.scene.name}: the scene has no frames")
    if len(scene.frames) > framesets.MOST:  # of a script, or with --set
        raise UsageError(f"{job.scene.name}: more than {framesets.MOST} frames; give the scene fewer")
    if job.frames is not None and not scene.open_ended and (beyond := framesets.out_of_range(job.frames, scene.frames)):
        raise UsageError(beyond)
    frames = scene.frames if job.frames is None else framesets.parse(job.frames)
    variants = [list(outputs) for _, outputs in groupby(job.outputs, key=lambda output: output.overrides)]
    return [Image(frame, output.name) for outputs in variants for frame in frames for output in outputs]


def sampled(job: RenderJob, images: Sequence[Image]) -> list[Image]:
    """Return the images that a job renders now: all, or those of a few frames for an estimate."""
    frames = None if job.sample is None else set(framesets.parse(job.sample))
    return [image for image in images if frames is None or image.frame in frames]


def of_other_data(
    comm: Comm, past: Sequence[Event], images: Sequence[Image], fingerprint: str, record: DataRecord
) -> dict[Image, States]:
    """Return, on rank 0, the images of this fingerprint that depend on changed data files, with these files.

    Only rank 0 needs ``past``, the events of the journals, and the record made of them. If the record of an image is
    damaged, it has no files.
    """
    wanted = set(images)
    dones = (one for one in past if isinstance(one, Done) and one.fingerprint == fingerprint and one.image in wanted)
    states = {one.image: record.states(one) for one in dones}
    changed = data_record.changed_anywhere(comm, (state for each in states.values() for state in each or ()))
    return {
        image: tuple(state for state in each or () if state in changed)
        for image, each in states.items() if each is None or not changed.isdisjoint(each)
    }  # fmt: skip


def completed(
    comm: Comm,
    job: RenderJob,
    images: Sequence[Image],
    past: Sequence[Event],
    fingerprint: str,
    *,
    other_data: Collection[Image] = (),
) -> dict[Image, ImageOutcome]:
    """Return the images that an earlier run completed and that are still intact; each rank checks a part of them.

    Images that were kept despite an error count only if this job keeps such images. Only rank 0 needs ``past``, the
    events of the journals, and ``other_data``, the images whose data files have changed.
    """
    recorded: list[tuple[Image, Done]] = []
    if comm.rank == 0:
        last = journal.newest(past, fingerprint, job.outputs)
        kept = job.on_error == "warn"
        found = [(image, last.get(image)) for image in images if image not in other_data]
        recorded = [(image, one) for image, one in found if isinstance(one, Done) and (kept or not one.complaints)]
    part = comm.scatter([recorded[rank :: comm.size] for rank in range(comm.size)], root=0)
    whole = {image: done for image, done in part if journal.intact(job.place(image), done)}
    return {image: done for checked in comm.allgather(whole) for image, done in checked.items()}


def changed(other_data: Mapping[Image, States]) -> str:
    """Return how many images were made from data files that have changed, and which files; empty for none."""
    if not other_data:
        return ""
    files = data_record.named(state for states in other_data.values() for state in states)
    which = f"data that changed since: {files}" if files else "data whose records are damaged"
    count = f"{len(other_data)} images here are" if len(other_data) > 1 else "1 image here is"
    return f"{count} made from {which}; rendered again"


def outdated(
    job: RenderJob, past: Sequence[Event], images: Sequence[Image], fingerprint: str, parts: Mapping[str, Any]
) -> str:
    """Return how many images have another fingerprint than this run's ``parts``, and what differs; empty for none."""
    last = {event.image: event for event in past if isinstance(event, Done)}
    outputs = {output.name: output for output in job.outputs}
    found = [last[image] for image in images if image in last]
    others = [done for done in found if done.fingerprint != fingerprint or not journal.of(done, outputs)]
    if not others:
        return ""
    plans = [event for event in past if isinstance(event, events.Plan) and event.fingerprint != fingerprint]
    before = plans[-1].parts if plans else {}
    changed = [part for name, part in PARTS.items() if name in before and before[name] != parts[name]]
    how = f"made with other {' and '.join(changed)}" if changed else "of another run"
    if all(done.fingerprint == fingerprint for done in others):
        how = "of another view or size"
    count = f"{len(others)} images here are" if len(others) > 1 else "1 image here is"
    return f"{count} {how}; rendered again"
