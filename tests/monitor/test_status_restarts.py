"""Follow restarts, phases and ranks started by hand in mpirender status."""

from __future__ import annotations

import pytest

import sample_events
from journal_writer import Scribe
from mpirender.job.outputs import Image
from mpirender.monitor.status.view import Failure
from mpirender.run_folder import events, lock
from mpirender.run_folder.events import SUPERVISOR


def test_a_frame_that_fails_and_then_succeeds_is_done_once(alive: Scribe) -> None:
    alive.rendering(total=10, left=4)
    alive.fail(0, 6, 10)
    alive.fail(0, 7, 11)
    alive.done(1, 6, 9, attempt=2)  # the clock of this rank is slow
    alive.done(1, 9, 12)
    alive.done(1, 9, 13)
    seen = alive.look()
    assert (seen.total, seen.done, seen.failed, seen.left) == (10, 8, 1, 1)
    assert seen.failures == (Failure("HD", "7", 1, "no data"),)


def test_images_of_another_fingerprint_or_run_do_not_count(alive: Scribe) -> None:
    older = Scribe(alive.output, run="r0", start=alive.start - 1000)
    older.rendering(ranks=3)
    older.done(2, 0, 10)
    older.fail(1, 1, 10)
    older.finish(4)
    alive.rendering()
    alive.done(1, 2, 10, fingerprint="e" * 32)
    alive.done(1, 3, 10)
    seen = alive.look()
    assert (seen.state, seen.done, seen.failed, seen.left) == ("running", 1, 0, 9)
    assert [rank.images for rank in seen.ranks] == [0, 2]


def test_an_image_that_a_rank_finishes_before_rank_0_has_written_the_plan_counts(alive: Scribe) -> None:
    alive.launch()
    alive.up()
    alive.done(1, 3, 1.5)
    alive.plan(at=2)
    assert alive.look().done == 1


def test_a_movie_that_is_made_again_does_not_hide_the_run_behind_it(scribe: Scribe) -> None:
    scribe.rendering(left=0)
    scribe.finish()
    with lock.held(scribe.folder, lock.ENCODE):
        assert scribe.look().state == "finished"


def test_restarts_are_counted_and_the_last_death_and_what_is_set_aside_are_named(alive: Scribe) -> None:
    alive.rendering()
    alive.done(0, 0, 10)
    for number in (2, 3):
        alive.die(f"rank {number} on n0 died", 10 * number)
        aside = ((Image(7, "HD"), "set aside after 2 deaths"),)
        alive.launch(at=10 * number + 1, number=number, set_aside=aside)
    assert "starting the ranks again" in alive.text()
    alive.up(at=32)
    alive.plan(left=9, at=33)
    alive.phase("render", at=34)
    alive.done(1, 1, 40)
    seen = alive.look()
    assert (seen.phase, seen.restarts, seen.done, seen.failed, seen.left) == ("rendering", 2, 2, 1, 7)
    assert [rank.images for rank in seen.ranks] == [0, 1]
    shown = alive.text()
    assert "  restarts  2; the last: rank 3 on n0 died; set aside: HD frame 7\n" in shown
    assert "    failed  HD frame 7: set aside after 2 deaths\n" in shown
    alive.phase("gather", at=50)
    assert alive.look().phase == "checking frames"


def test_lost_renderers_are_counted_and_the_last_loss_is_named_but_not_those_that_were_planned(alive: Scribe) -> None:
    alive.rendering()
    assert "reloads" not in alive.text()
    alive.write(0, events.Reload("renewed after 5 images (--renew-renderer)", planned=True), 10)
    alive.write(0, events.Reload("died (signal SIGSEGV)", Image(3, "HD")), 20)
    alive.write(1, events.Reload("was stopped by a signal for 10 s, and was ended", Image(4, "HD")), 30)
    alive.write(0, events.Beat(), 90)
    lost = ("the renderer of rank 0 died (signal SIGSEGV)", "the renderer of rank 1 was stopped by a signal for 10 s")
    seen = alive.look()
    assert [text.partition(", and")[0] for text in seen.losses] == list(lost)
    assert (seen.restarts, seen.deaths) == (0, ())
    assert f"   reloads  2; the last: {lost[1]}, and was ended\n" in alive.text()
    assert seen.ranks[0].heard == pytest.approx(alive.start + 90), "a beat is a report"


def test_while_restarted_ranks_load_the_counts_stay(alive: Scribe) -> None:
    alive.rendering()
    alive.done(0, 0, 10)
    alive.die("rank 1 died", 20)
    alive.launch(at=21, number=2)
    alive.up(at=22)
    seen = alive.look()
    assert (seen.done, seen.left, seen.rate) == (1, 9, None)


@pytest.mark.parametrize(
    ("phases", "words", "doing"),
    [
        ([], "starting the ranks", ["not started yet", "not started yet"]),
        (["start", ""], "starting the ranks", ["starting", "not started yet"]),
        (["load", "opened"], "loading the scene", ["loading the scene", "checking existing frames"]),
        (["opened", "render"], "checking existing frames", ["checking existing frames", "waiting for the others"]),
        (["render", "gather"], "rendering", ["waiting for the others", "waiting for the others"]),
        (["gather", "gather"], "checking frames", ["waiting for the others", "waiting for the others"]),
        (["encode", "encode"], "making the movie", ["making the movie", "making the movie"]),
        (["end", "encode"], "making the movie", ["ended", "making the movie"]),
        (["reload", "render"], "rendering", ["loading the scene again", "waiting for the others"]),
    ],
)
def test_a_run_is_where_the_last_of_its_ranks_is(
    alive: Scribe, phases: list[str], words: str, doing: list[str]
) -> None:
    alive.launch()
    for rank, phase in enumerate(phases):
        if phase:
            alive.begin(rank)
            alive.write(rank, sample_events.opened() if phase == "opened" else events.Phase(phase), 2)
    seen = alive.look()
    assert seen.phase == words
    assert [rank.doing for rank in seen.ranks] == doing


def test_a_run_that_was_asked_to_stop_says_so(alive: Scribe) -> None:
    alive.rendering()
    alive.write(SUPERVISOR, events.Stop("SIGTERM", 25), 50)
    alive.write(SUPERVISOR, events.Warning("the disk is nearly full"), 51)
    assert "stopping on SIGTERM: waiting up to 25 s for images in progress" in alive.text()
    assert "   warning  the disk is nearly full\n" in alive.text()


def test_ranks_started_by_hand_are_seen_too(scribe: Scribe) -> None:
    scribe.up()
    scribe.plan()
    scribe.phase("render")
    scribe.done(1, 3, 50)
    with lock.held(scribe.folder, scribe.run):
        seen = scribe.look()
        assert (seen.state, seen.phase, seen.done, seen.left, seen.restarts) == ("running", "rendering", 1, 9, 0)
        assert "stopping" not in seen.phase
    assert scribe.look().state == "died"
    scribe.write(1, events.Stop("SIGTERM"), 60)
    assert "stopped on SIGTERM; run the same command again" in scribe.text()


def test_the_end_of_ranks_started_by_hand_is_read_from_their_phases(scribe: Scribe) -> None:
    scribe.up()
    scribe.plan()
    scribe.phase("gather")
    assert scribe.look().state == "failed"
    scribe.phase("encode", at=4)
    scribe.write(0, events.Movie("HD", "ffmpeg ended with 1", seconds=1, segments=1), 5)
    assert "ffmpeg ended with 1" in scribe.text()
    scribe.phase("end", at=6)
    assert scribe.look().state == "finished"


def test_ranks_started_by_hand_after_a_supervised_run_are_the_newest_run(scribe: Scribe) -> None:
    scribe.rendering()
    scribe.finish(0)
    by_hand = Scribe(scribe.output, run="r2", start=scribe.start + 70)
    by_hand.up()
    by_hand.plan(total=7)
    assert by_hand.look().total == 7
    again = Scribe(scribe.output, run="r3", start=scribe.start + 90)
    again.launch()
    assert (again.look().state, again.look().total) == ("died", None)
