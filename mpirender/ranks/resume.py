"""Find the images that earlier runs completed: an image counts if its record, file and fingerprint agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mpirender.engines.base import Scene
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Done, Event, ImageOutcome
from mpirender.system import files
from mpirender.system.comm import Comm

DataFiles = Sequence[tuple[str, int, int]]
PARTS = {
    "scene": "scene file",
    "data": "data files",
    "options": "options",
    "survey": "ranges of color maps",
    "renderer": "program or renderer",
}


def identity(job: RenderJob, content: bytes, data: DataFiles, renderer: str) -> dict[str, Any]:
    """Return everything that determines the pixels: scene, data files, options, engine and renderer.

    Args:
        data: name, bytes and modification time (ns) of each data file.
    """
    return {
        "scene": files.digest(content),
        "data": files.digest(json.dumps(data).encode()),
        "options": job.pixel_options(),
        "renderer": renderer,
    }


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

    Raises:
        UsageError: the scene has no frames, or lacks requested frames.
    """
    if not scene.frames:
        raise UsageError(f"{job.scene.name}: the scene has no frames")
    if job.frames is not None and not scene.open_ended and (beyond := framesets.out_of_range(job.frames, scene.frames)):
        raise UsageError(beyond)
    frames = scene.frames if job.frames is None else framesets.parse(job.frames)
    by_variant = groupby(job.outputs, key=lambda output: output.overrides)
    groups = [list(outputs) for _, outputs in by_variant]
    return [Image(frame, output.name) for outputs in groups for frame in frames for output in outputs]


def completed(
    comm: Comm,
    job: RenderJob,
    images: Sequence[Image],
    past: Sequence[Event],
    fingerprint: str,
) -> dict[Image, ImageOutcome]:
    """Return the images that an earlier run completed and that are still intact; each rank checks a part of them.

    Images that were kept despite an error count only if this job keeps such images.

    Args:
        past: events of the journals; needed on rank 0 only.
        fingerprint: fingerprint that the images must have.
    """
    recorded: list[tuple[Image, Done]] = []
    if comm.rank == 0:
        last = journal.newest(past, fingerprint, job.outputs)
        found = [(image, last.get(image)) for image in images]
        recorded = [(image, done) for image, done in found if isinstance(done, Done) and _counts(job, done)]
    part = comm.scatter([recorded[rank :: comm.size] for rank in range(comm.size)], root=0)
    whole = {image: done for image, done in part if journal.whole(job.place(image), done.bytes, done.digest)}
    return {image: done for checked in comm.allgather(whole) for image, done in checked.items()}


def _counts(job: RenderJob, done: Done) -> bool:
    return job.on_error == "warn" or not done.complaints


def outdated(
    job: RenderJob, past: Sequence[Event], images: Sequence[Image], fingerprint: str, parts: Mapping[str, Any]
) -> str:
    """Return how many images have another fingerprint, and what differs; empty if there are none.

    Args:
        fingerprint: fingerprint of this run.
        parts: the identity that it was computed from.
    """
    requested_images = set(images)
    last = {event.image: event for event in past if isinstance(event, Done)}
    outputs = {output.name: output for output in job.outputs}
    others = [
        image
        for image, done in last.items()
        if image in requested_images and (done.fingerprint != fingerprint or not journal.of(done, outputs))
    ]
    if not others:
        return ""
    plans = [event for event in past if isinstance(event, events.Plan) and event.fingerprint != fingerprint]
    before = plans[-1].parts if plans else {}
    changed = [part for name, part in PARTS.items() if name in before and before[name] != parts[name]]
    how = f"made with other {' and '.join(changed)}" if changed else "of another run"
    if all(last[image].fingerprint == fingerprint for image in others):
        how = "of another view or size"
    count = f"{len(others)} images here are" if len(others) > 1 else "1 image here is"
    return f"{count} {how}; rendered again"
