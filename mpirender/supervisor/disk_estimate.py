"""Whether the disk will hold the run, estimated from its first images."""

from __future__ import annotations

import shutil
from collections import Counter

from mpirender.job.render_job import RenderJob
from mpirender.run_folder.run_state import RunState

ENOUGH = 3  # images of each output before an estimate is worth something
# Bytes of a movie for each byte of its frames: mkv holds the frames themselves; others vary with the scene.
MOVIE_SHARE = {"mkv": 1.0, "none": 0.0}
USUAL_SHARE = 0.1


def needed(job: RenderJob, state: RunState) -> int:
    """Return the bytes that the remaining images and the movies will need; 0 before an estimate is possible."""
    if state.planned is None or state.planned.plan is None:
        return 0
    left, count, size = Counter(state.planned.plan.left_of), Counter[str](), Counter[str]()
    for session in state.planned.sessions.values():
        left -= session.images  # keeps what is above 0
    for session in state.sessions:
        count += session.images
        size += session.bytes
    if any(count[output] < min(ENOUGH, number) for output, number in left.items()):
        return 0
    images = sum(number * size[output] / count[output] for output, number in left.items())
    return int(images + MOVIE_SHARE.get(job.movie, USUAL_SHARE) * (images + sum(size.values())))


def shortage(job: RenderJob, state: RunState) -> str:
    """Return the warning that the disk will not hold the remaining images, empty if it will."""
    more, free = needed(job, state), shutil.disk_usage(job.output).free  # quotas are not seen
    if more <= free:
        return ""
    return (
        f"the disk will be full before the end: about {amount(more)} more are needed and {amount(free)} are free "
        f"in {job.output}; free some space meanwhile, or free it later and run the same command again"
    )


def amount(count: float) -> str:
    """Write a number of bytes for people: ``1.5 kB``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
