"""What a cloud has announced about the nodes of a run, and what was lost with them."""

from __future__ import annotations

import time

from mpirender.job.outputs import Image
from mpirender.run_folder.events import Notice
from mpirender.run_folder.run_state import LaunchState, RunState
from mpirender.system.text import plural


def announced(notice: Notice, now: float = 0.0) -> str:
    """Return what is announced, as a clause; at ``now``, in seconds since the epoch, it may have happened."""
    if not notice.at:
        return f"node {notice.host} may be taken away soon (rebalance recommendation)"
    clock = time.strftime("%H:%M:%S", time.localtime(notice.at))
    return f"node {notice.host} {'was' if notice.at < now else 'will be'} taken away at {clock}"


def story(run: RunState, now: float) -> list[str]:
    """Return what was announced, a line for each node, and how many images in progress were lost with the nodes."""
    lines = [announced(notice, now) for notice in run.notices.values()]
    lost = sum(map(len, map(_unfinished, _left(run))))
    return [*lines, *([f"{plural(lost, 'image')} in progress {'was' if lost == 1 else 'were'} lost"] if lost else [])]


def _left(run: RunState) -> list[LaunchState]:
    """Return the launches that have ended, on nodes of which one was announced to be taken away meanwhile."""
    ended = [launch for launch in run.launches.values() if launch is not run.now or run.finished]
    hosts = {host for host, notice in run.notices.items() if notice.at}
    return [launch for launch in ended if hosts & _hosts(launch)]


def _hosts(launch: LaunchState) -> set[str]:
    return {member.host for session in launch.sessions.values() for member in session.start.members}


def _unfinished(launch: LaunchState) -> set[Image]:
    return {image for session in launch.sessions.values() for image in session.unwritten}
