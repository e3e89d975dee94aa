"""What earlier runs have completed, and what is left: an image counts if record, file and fingerprint agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mpirender.engines import Scene
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record
from mpirender.system import files
from mpirender.system.comm import Comm

DataFiles = Sequence[tuple[str, int, int]]
PARTS = {
    "scene": "scene file",
    "data": "data files",
    "options": "options",
    "survey": "ranges of colour maps",
    "renderer": "program or renderer",
}


def identity(job: RenderJob, content: bytes, data: DataFiles, renderer: str) -> dict[str, Any]:
    """Return what decides the pixels: scene, data files, options, engine and renderer.

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


def mixed(renderers: Sequence[str]) -> str:
    """Warn of ranks that render with different things; empty where they agree."""
    if len(renderers) < 2:
        return ""
    return f"the ranks render with {' and '.join(renderers)}; their pictures may differ by some levels at edges"


def wanted(job: RenderJob, scene: Scene) -> list[Image]:
    """Return the images to be in the movies, frame by frame.

    Raises:
        UsageError: the scene has no frames, or not all that were asked for.
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
    records: Sequence[Record],
    mark: str,
) -> dict[Image, Record]:
    """Return those of the images that an earlier run completed and that are still whole; each rank checks its part.

    One that was kept in spite of an error counts only for a job that keeps such images, too.

    Args:
        records: what the journals hold; needed on rank 0 alone.
        mark: the fingerprint that the images must have.
    """
    claimed: list[tuple[Image, Record]] = []
    if comm.rank == 0:
        last = journal.newest(records, mark, job.outputs)
        claimed = [(image, last[image]) for image in images if image in last and _counts(job, last[image])]
    part = comm.scatter([claimed[rank :: comm.size] for rank in range(comm.size)], root=0)
    whole = {image: record for image, record in part if journal.whole(job.place(image), record)}
    return {image: record for checked in comm.allgather(whole) for image, record in checked.items()}


def _counts(job: RenderJob, record: Record) -> bool:
    return record["event"] == "done" and (job.on_error == "warn" or not record.get("complaints"))


def stale(
    job: RenderJob, records: Sequence[Record], images: Sequence[Image], mark: str, parts: Mapping[str, Any]
) -> str:
    """Say how many of the images are there with another fingerprint, and in what it differs; empty for none.

    Args:
        mark: the fingerprint of this run.
        parts: the identity behind it.
    """
    asked = set(images)
    last = {Image(record["frame"], record["output"]): record for record in records if record["event"] == "done"}
    outputs = {output.name: output for output in job.outputs}
    others = [
        image
        for image, record in last.items()
        if image in asked and (record["fingerprint"] != mark or not journal.of(record, outputs))
    ]
    if not others:
        return ""
    plans = [record for record in records if record["event"] == "plan" and record["fingerprint"] != mark]
    before = plans[-1].get("parts", {}) if plans else {}
    changed = [words for name, words in PARTS.items() if name in before and before[name] != parts[name]]
    of = f"made with other {' and '.join(changed)}" if changed else "of another run"
    if all(last[image]["fingerprint"] == mark for image in others):
        of = "of another view or size"
    count = f"{len(others)} images here are" if len(others) > 1 else "1 image here is"
    return f"{count} {of}; rendered again"
