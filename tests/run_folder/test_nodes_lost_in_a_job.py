"""Which nodes were lost in the runs of one Slurm job."""

from __future__ import annotations

from mpirender.run_folder import events
from mpirender.run_folder.events import SUPERVISOR, Event
from mpirender.run_folder.run_state import RunState, lost_nodes
from sample_events import at


def run(name: str, *after: Event, host: str = "n1") -> RunState:
    state = RunState(name)
    for event in (events.Launch(name, 1, 2, 42, job="17", allocation=1), *after):
        state.apply(at(event, SUPERVISOR, host=host))
    return state


def test_nodes_are_lost_by_a_death_at_the_end_and_with_their_supervisor() -> None:
    death = run("a", events.Death(1, "node n2 no longer responds", lost=("n2",)), events.Finish(75, "stopped", 9))
    ended = run("b", events.Stop("SIGTERM", 25), events.Finish(75, "stopped", 9, ("n3", "n2")))
    gone, killed = run("c", host="n4"), run("d", events.Stop("SIGTERM", 25), host="n5")
    assert lost_nodes([death, ended, gone, killed, run("now", host="n6")], "now") == ["n2", "n3", "n4"]
