"""What supervising rests on: what each rank is at, time limits, blame, the need of space."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mpirender.errors import FramesMissing, LaunchFailed
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.supervisor.disk_estimate import Estimate, amount
from mpirender.supervisor.in_flight import Flight, time_limit
from mpirender.supervisor.retry_policy import End, Fate

KILLED_1 = ("mpiexec noticed that process rank 1 with PID 0 on node n1 exited on signal 9 (Killed).",)


def take(rank: int, frame: int) -> dict:
    return {"event": "take", "rank": rank, "frame": frame, "output": "HD", "host": "n1", "time": 0}


def done(rank: int, frame: int, **more: object) -> dict:
    return {**take(rank, frame), "event": "done", "seconds": 2.0, "bytes": 100, **more}


def start(rank: int, pid: int = 1) -> dict:
    return {"event": "start", "rank": rank, "pid": pid, "ranks": 2, "host": "n1", "time": 0}


def flight_of(*frames: int) -> Flight:
    flight = Flight()
    flight.add([record for rank, frame in enumerate(frames) for record in (start(rank, 100 + rank), take(rank, frame))])
    return flight


def job(tmp_path: Path, **options: object) -> RenderJob:
    made = RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out", **options)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made


@pytest.mark.parametrize(
    ("asked", "slowest", "limit"), [(None, 0, 14400), (None, 2, 600), (None, 60, 1200), (5, 0, 5), (5, 60, 5)]
)
def test_the_time_limit_follows_the_slowest_image_unless_it_is_given(
    asked: float | None, slowest: float, limit: float
) -> None:
    assert time_limit(asked, slowest) == limit


def test_an_image_is_in_flight_from_its_take_to_its_end() -> None:
    flight = flight_of(4, 5)
    assert flight.images == {0: Image(4, "HD"), 1: Image(5, "HD")}
    flight.add([done(1, 5)])
    assert (flight.images, flight.done, flight.slowest) == ({0: Image(4, "HD")}, 1, 2.0)
    assert flight.hanging(10) == ()
    time.sleep(0.02)
    assert flight.hanging(0.01) == (0,)


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


@pytest.mark.parametrize(("movie", "share"), [("mp4", 0.1), ("mkv", 1.0), ("none", 0.0)])
def test_the_space_that_is_needed_is_told_from_the_first_images(tmp_path: Path, movie: str, share: float) -> None:
    estimate = Estimate(job(tmp_path, movie=movie))
    estimate.add([{"event": "plan", "left_of": {"HD": 10}}, done(0, 0), done(0, 1)])
    assert estimate.needed() == 0, "two images say too little"
    estimate.add([done(0, 2)])
    assert estimate.needed() == 7 * 100 + int(share * 1000)


@pytest.mark.parametrize(("count", "text"), [(5, "5 bytes"), (1500, "1.5 kB"), (12_300_000_000, "12 GB")])
def test_amounts_are_written_as_people_say_them(count: float, text: str) -> None:
    assert amount(count) == text
