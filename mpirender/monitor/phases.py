"""What a run and its ranks are doing, in words: used by progress and status alike."""

from __future__ import annotations

from mpirender.run_folder import events
from mpirender.run_folder.run_state import RunState
from mpirender.system.text import duration

STARTING = "starting the ranks"
RENDERING = "rendering"
WAITING = "waiting for the others"
CHECKING_RESULTS = "checking existing frames"
# What a rank does, in the order in which it does it; a run is where the last of its ranks is.
OF_RANK = {
    "start": "starting", "backend": "choosing a backend", "load": "loading the scene", "opened": CHECKING_RESULTS,
    "trial": "testing whether frames depend on earlier ones", "survey": "finding the ranges of color maps",
    "reload": "loading the scene again", "render": WAITING, "gather": WAITING, "encode": "making the movie",
    "end": "ended",
}  # fmt: skip
OF_RUN = {
    **OF_RANK, "start": STARTING, "reload": RENDERING, "render": RENDERING, "gather": "checking frames",
    "end": "finishing",
}  # fmt: skip
ORDER = list(OF_RANK)


def phase_of(state: RunState) -> str:
    """Return what a run does: what the last of its ranks does, unless it is being stopped or started again."""
    launch = state.now
    if isinstance(state.last, events.Stop):
        upto = f"up to {duration(state.last.grace)} " if state.last.grace else ""
        return f"stopping on {state.last.signal}: waiting {upto}for images in progress"
    if signals := [session.signal for session in launch.sessions.values() if session.signal]:
        return f"stopping on {signals[0]}"
    up = len(launch.sessions) >= max(launch.ranks, 1)
    if isinstance(state.last, events.Death) or (state.supervised and launch.number > 1 and not up):
        return f"{STARTING} again"
    if not up:
        return STARTING
    phases = [session.phase for session in launch.sessions.values()]
    last = min(phases, key=lambda phase: ORDER.index(phase) if phase in ORDER else 0)
    return OF_RUN.get(last, last)
