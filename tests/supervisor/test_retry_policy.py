"""Blame images for the death of their rank, try them again, and give up."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.errors import FramesMissing, LaunchFailed
from mpirender.job.outputs import Image
from mpirender.supervisor.in_flight import Flight
from mpirender.supervisor.retry_policy import End, Fate
from started_ranks import done, flight_of, job, start, take

KILLED_1 = ("mpiexec noticed that process rank 1 with PID 0 on node n1 exited on signal 9 (Killed).",)


def test_an_image_that_is_still_to_be_written_is_lost_with_its_rank_but_not_blamed(tmp_path: Path) -> None:
    flight = flight_of(4, 5)
    flight.add([take(1, 6)])
    death = Fate(job(tmp_path), "run").bury(flight, End(137, KILLED_1))
    assert death["blamed"] == [[6, "HD"]]
    assert death["flight"] == [[0, 4, "HD"], [1, 5, "HD"], [1, 6, "HD"]]
    flight.add([done(1, 5), done(1, 6)])
    assert Fate(job(tmp_path), "run").bury(flight, End(137, KILLED_1))["flight"] == [[0, 4, "HD"]]


def test_the_image_of_the_rank_that_died_is_blamed_and_set_aside_the_second_time(tmp_path: Path) -> None:
    fate = Fate(job(tmp_path), "run")
    assert fate.bury(flight_of(4, 5), End(137, KILLED_1))["blamed"] == [[5, "HD"]]
    assert fate.orders().suspects == {Image(5, "HD")}
    assert fate.orders().set_aside == {}
    fate.bury(flight_of(8, 5), End(137, KILLED_1))
    assert list(fate.orders().set_aside) == [Image(5, "HD")]
    assert "rank 1 on n1 died (signal SIGKILL)" in fate.orders().set_aside[Image(5, "HD")]
    assert fate.orders().suspects == frozenset()


def test_launchers_count_the_process_that_hands_out_frames(tmp_path: Path) -> None:
    """Which is not the last where they placed it elsewhere: the ranks behind it have other numbers."""
    flight = Flight()
    ranks = ((0, 0), (1, 2))
    flight.add([record for rank, world in ranks for record in ({**start(rank, 9), "world": world}, take(rank, rank))])
    fate = Fate(job(tmp_path, schedule="dynamic"), "run")
    of_desk = fate.bury(flight, End(137, KILLED_1))
    assert (of_desk["blamed"], of_desk["reason"]) == ([], "the process that hands out frames died (signal SIGKILL)")
    second = (KILLED_1[0].replace("rank 1", "rank 2"),)
    assert fate.bury(flight, End(137, second))["blamed"] == [[1, "HD"]]


def test_where_no_launcher_tells_who_died_suspicion_narrows_down(tmp_path: Path) -> None:
    fate = Fate(job(tmp_path), "run")
    fate.bury(flight_of(4, 5), End(1))
    assert fate.orders().suspects == {Image(4, "HD"), Image(5, "HD")}
    fate.bury(flight_of(9, 5), End(1))
    assert list(fate.orders().set_aside) == [Image(5, "HD")], "frame 9 only happened to be in flight"
    assert fate.orders().suspects == {Image(4, "HD")}


def test_a_rank_that_mpich_names_by_its_process_is_found(tmp_path: Path) -> None:
    said = "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 101 RUNNING AT n1\n=   EXIT CODE: 11"
    assert Fate(job(tmp_path), "r").bury(flight_of(4, 5), End(11, (said,)))["blamed"] == [[5, "HD"]]


def test_no_image_is_blamed_when_mpiexec_itself_is_killed(tmp_path: Path) -> None:
    assert Fate(job(tmp_path), "run").bury(flight_of(4, 5), End(-9))["blamed"] == []


def test_a_hanging_image_is_blamed_and_no_other(tmp_path: Path) -> None:
    assert Fate(job(tmp_path), "run").bury(flight_of(4, 5), End(-15, hung=(0,)))["blamed"] == [[4, "HD"]]


def test_a_run_ends_after_its_restarts_or_when_it_gets_nowhere(tmp_path: Path) -> None:
    fate, flight = Fate(job(tmp_path, max_restarts=1), "run"), flight_of(4, 5)
    fate.bury(flight, End(137, KILLED_1))
    fate.rise(flight, End(137, KILLED_1))
    assert fate.orders().life == 2
    with pytest.raises(FramesMissing, match="after 1 restarts"):
        fate.rise(flight, End(137, KILLED_1))
    nowhere = Flight()
    nowhere.add([start(0), start(1)])
    fate = Fate(job(tmp_path, max_restarts=99), "run")
    for _ in range(2):
        fate.bury(nowhere, End(137, KILLED_1))
        fate.rise(nowhere, End(137, KILLED_1))
    fate.bury(nowhere, End(137, KILLED_1))
    with pytest.raises(FramesMissing, match="again and again without an image done: rank 1 on n1 died"):
        fate.rise(nowhere, End(137, KILLED_1))


def test_ranks_that_never_started_are_not_started_again(tmp_path: Path) -> None:
    fate = Fate(job(tmp_path), "run")
    fate.bury(Flight(), End(1, ("no such host",)))
    with pytest.raises(LaunchFailed, match="no such host"):
        fate.rise(Flight(), End(1, ("no such host",)))


def test_ranks_that_are_killed_while_they_start_are_started_again_but_not_for_ever(tmp_path: Path) -> None:
    fate = Fate(job(tmp_path), "run")
    for end in (End(137, KILLED_1), End(-9)):
        fate.bury(Flight(), end)
        fate.rise(Flight(), end)
    fate.bury(Flight(), End(137, KILLED_1))
    with pytest.raises(LaunchFailed, match=r"did not start \(signal SIGKILL\)"):
        fate.rise(Flight(), End(137, KILLED_1))
