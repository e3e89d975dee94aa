"""What nodes cost, by simulated journals."""

from __future__ import annotations

import sample_events
from mpirender.run_folder import events
from mpirender.run_folder.cost import cost_of_all, own_cost, total_cost
from mpirender.run_folder.event_values import Cost
from mpirender.run_folder.events import SUPERVISOR, Event
from mpirender.run_folder.run_state import RunHistory

HOUR = 3600


def launch(number: int, hour: float, run: str = "r1") -> Event:
    return sample_events.at(events.Launch(run, number, 2, pid=1), SUPERVISOR, hour * HOUR)


def nodes(hour: float, *names: str, price: float = 0.5, **fields: object) -> Event:
    return sample_events.at(events.Nodes(names, price, **fields), SUPERVISOR, hour * HOUR)


def finish(hour: float) -> Event:
    return sample_events.at(events.Finish(0, "", 1.0), SUPERVISOR, hour * HOUR)


def test_a_lost_node_costs_until_it_is_lost() -> None:
    recorded = [launch(1, 1), nodes(1, "n1", "n2", since=HOUR), launch(2, 3), nodes(3, "n1"), finish(5)]
    run = RunHistory(recorded).runs["r1"]
    assert own_cost(run) == Cost(2 * 3 + 2, 4.0, 0)
    assert own_cost(run, now=100 * HOUR) == own_cost(run), "it has ended"


def test_a_run_that_was_killed_costs_until_its_newest_record() -> None:
    recorded = [launch(1, 0), nodes(0, "n1"), sample_events.start(0, 0), sample_events.done(0, 1, HOUR)]
    run = RunHistory(recorded).runs["r1"]
    assert own_cost(run) == Cost(1.0, 0.5, 1)
    assert own_cost(run, now=2 * HOUR) == Cost(2.0, 1.0, 1), "if it still runs"


def test_a_later_run_that_starts_no_rank_costs_nothing() -> None:
    run = RunHistory([launch(1, 0), nodes(0, "n1"), finish(1), finish(90)]).runs["r1"]
    assert own_cost(run).hours == 1


def test_the_runs_of_a_folder_are_added_each_with_its_price() -> None:
    first = [launch(1, 0), nodes(0, "n1"), finish(1)]
    without_price = [launch(1, 2, "r2"), finish(3)]
    earlier = cost_of_all(RunHistory([*first, *without_price]).runs.values())
    assert earlier == Cost(1.0, 0.5, 0)
    second = [launch(1, 4, "r3"), nodes(4, "n1", price=2.0, earlier=earlier), finish(5)]
    history = RunHistory([*first, *without_price, *second])
    assert total_cost(history.runs["r3"]) == Cost(2.0, 2.5, 0)
    assert total_cost(history.runs["r2"]) is None


def test_the_cost_of_an_image_is_none_before_one_is_complete() -> None:
    assert (Cost(1.0, 2.0, 0).per_image, Cost(1.0, 2.0, 4).per_image) == (0.0, 0.5)
