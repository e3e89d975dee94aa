"""Attribute the death of a rank to its image, retry the image, and give up."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.errors import FramesMissing, LaunchFailed
from mpirender.job.outputs import Image
from mpirender.run_folder import events
from mpirender.run_folder.events import Death
from mpirender.run_folder.run_state import LaunchState
from mpirender.supervisor.crash_recovery import CrashRecovery
from mpirender.supervisor.in_flight import RunningRanks
from mpirender.supervisor.retry_policy import LaunchEnd
from sample_events import at, done, fail, plan, start, take
from started_ranks import job, ranks_at, state_of

AT_1 = LaunchState(1)
KILLED_1 = ("mpiexec noticed that process rank 1 with PID 0 on node n1 exited on signal 9 (Killed).",)


def of_groups(tmp_path: Path, **options: object) -> CrashRecovery:
    """Return the recovery of a run whose ranks render in groups: these render themselves."""
    return CrashRecovery(job(tmp_path, ranks_per_frame=2, ranks=4, **options), "run")


def death(tmp_path: Path, ranks: RunningRanks, end: LaunchEnd) -> Death:
    return of_groups(tmp_path).record_death(ranks, end)


def test_no_image_is_blamed_for_the_death_of_a_rank_that_has_a_renderer(tmp_path: Path) -> None:
    recovery = CrashRecovery(job(tmp_path), "run")
    for _ in range(3):
        found = recovery.record_death(ranks_at(4, 5, then=[done(0, 3)]), LaunchEnd(137, KILLED_1))
        assert (found.blamed, found.reason) == ((), "rank 1 on n1 died (signal SIGKILL)")
        assert found.in_progress == ((0, Image(4, "HD")), (1, Image(5, "HD")))
        recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)
    assert recovery.restart_plan().suspects == frozenset()
    assert recovery.restart_plan().set_aside == {}
    assert recovery.restart_plan().launch == 4


def test_a_silent_rank_is_named(tmp_path: Path) -> None:
    found = CrashRecovery(job(tmp_path), "run").record_death(ranks_at(4, 5), LaunchEnd(-15, hung={1: None}))
    assert (found.blamed, found.reason) == ((), "rank 1 on n1 was silent for 10 minutes and was ended")


def test_a_rank_that_was_ended_because_it_was_stopped_is_named_and_no_image_is_blamed(tmp_path: Path) -> None:
    pid = ranks_at(4, 5).pids[1][0]
    found = death(tmp_path, ranks_at(4, 5), LaunchEnd(137, KILLED_1, suspended=(99999, pid)))
    assert (found.blamed, found.reason) == ((), "group 1 on n1 was stopped by a signal for 12 s, and was ended")
    found = death(tmp_path, ranks_at(4, 5), LaunchEnd(-9, launcher_suspended=True))
    assert (found.blamed, found.reason) == ((), "mpiexec was stopped by a signal for 12 s, and was ended")


def test_images_that_failed_for_the_loss_of_their_renderer_come_with_the_command_to_try_them(tmp_path: Path) -> None:
    recovery = CrashRecovery(job(tmp_path, sizes=("HD",)), "run")
    lost = [
        at(events.Reload("died (signal SIGSEGV)", Image(frame, "HD"), log=(f"no array at {frame}",)), 1)
        for frame in (4, 5)
    ]
    renewed = at(events.Reload("renewed after 9 images (--renew-renderer)", planned=True), 1)
    begun = [start(0), start(1), plan(10), take(1, 4), lost[0], fail(1, 4), take(1, 5), lost[1], fail(1, 5), renewed]
    first, last = recovery.advice(state_of(*begun, done(0, 5, attempt=2)).now)
    assert first.startswith("to try HD frame 4 alone: mpirender render ")
    assert "--frames 4" in first
    assert last == "    its rank's log: no array at 4"


def test_an_image_that_is_still_to_be_written_is_lost_with_its_rank_but_not_blamed(tmp_path: Path) -> None:
    found = death(tmp_path, ranks_at(4, 5, then=[take(1, 6)]), LaunchEnd(137, KILLED_1))
    assert found.blamed == (Image(6, "HD"),)
    assert found.in_progress == ((0, Image(4, "HD")), (1, Image(5, "HD")), (1, Image(6, "HD")))
    ranks = ranks_at(4, 5, then=[take(1, 6), done(1, 5), done(1, 6)])
    assert death(tmp_path, ranks, LaunchEnd(137, KILLED_1)).in_progress == ((0, Image(4, "HD")),)


def test_the_image_of_the_rank_that_died_is_blamed_and_set_aside_the_second_time(tmp_path: Path) -> None:
    recovery = of_groups(tmp_path)
    assert recovery.record_death(ranks_at(4, 5), LaunchEnd(137, KILLED_1)).blamed == (Image(5, "HD"),)
    assert recovery.restart_plan().suspects == {Image(5, "HD")}
    assert recovery.restart_plan().set_aside == {}
    recovery.record_death(ranks_at(8, 5), LaunchEnd(137, KILLED_1))
    assert list(recovery.restart_plan().set_aside) == [Image(5, "HD")]
    assert "group 1 on n1 died (signal SIGKILL)" in recovery.restart_plan().set_aside[Image(5, "HD")]
    assert recovery.restart_plan().suspects == frozenset()


def test_where_no_launcher_tells_who_died_suspicion_narrows_down(tmp_path: Path) -> None:
    recovery = of_groups(tmp_path)
    recovery.record_death(ranks_at(4, 5), LaunchEnd(1))
    assert recovery.restart_plan().suspects == {Image(4, "HD"), Image(5, "HD")}
    recovery.record_death(ranks_at(9, 5), LaunchEnd(1))
    assert list(recovery.restart_plan().set_aside) == [Image(5, "HD")], "only frame 5 was in progress twice"
    assert recovery.restart_plan().suspects == {Image(4, "HD")}


def test_a_rank_that_mpich_names_by_its_process_is_found(tmp_path: Path) -> None:
    said = "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 101 RUNNING AT n1\n=   EXIT CODE: 11"
    assert death(tmp_path, ranks_at(4, 5), LaunchEnd(11, (said,))).blamed == (Image(5, "HD"),)


def test_no_image_is_blamed_when_mpiexec_itself_is_killed(tmp_path: Path) -> None:
    assert death(tmp_path, ranks_at(4, 5), LaunchEnd(-9)).blamed == ()


def test_a_hanging_image_is_blamed_and_no_other(tmp_path: Path) -> None:
    assert death(tmp_path, ranks_at(4, 5), LaunchEnd(-15, hung={0: Image(4, "HD")})).blamed == (Image(4, "HD"),)


def test_a_run_ends_after_its_restarts_or_when_it_gets_nowhere(tmp_path: Path) -> None:
    recovery, ranks = CrashRecovery(job(tmp_path, max_restarts=1), "run"), ranks_at(4, 5)
    recovery.record_death(ranks, LaunchEnd(137, KILLED_1))
    recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)
    assert recovery.restart_plan().launch == 2
    with pytest.raises(FramesMissing, match="after 1 restart "):
        recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)
    nowhere = RunningRanks(state_of(start(0), start(1)).launch(1))
    recovery = CrashRecovery(job(tmp_path, max_restarts=99), "run")
    for _ in range(2):
        recovery.record_death(nowhere, LaunchEnd(137, KILLED_1))
        recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)
    recovery.record_death(nowhere, LaunchEnd(137, KILLED_1))
    with pytest.raises(FramesMissing, match="repeatedly without an image done: rank 1 on n1 died"):
        recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)


def test_ranks_that_never_started_are_not_started_again(tmp_path: Path) -> None:
    recovery = CrashRecovery(job(tmp_path), "run")
    recovery.record_death(RunningRanks(LaunchState(1)), LaunchEnd(1, ("no such host",)))
    with pytest.raises(LaunchFailed, match="no such host"):
        recovery.prepare_restart(LaunchEnd(1, ("no such host",)), AT_1)


def test_ranks_that_are_killed_while_they_start_are_started_again_but_not_forever(tmp_path: Path) -> None:
    recovery = CrashRecovery(job(tmp_path), "run")
    for end in (LaunchEnd(137, KILLED_1), LaunchEnd(-9)):
        recovery.record_death(RunningRanks(LaunchState(1)), end)
        recovery.prepare_restart(end, AT_1)
    recovery.record_death(RunningRanks(LaunchState(1)), LaunchEnd(137, KILLED_1))
    with pytest.raises(LaunchFailed, match=r"did not start \(signal SIGKILL\)"):
        recovery.prepare_restart(LaunchEnd(137, KILLED_1), AT_1)
