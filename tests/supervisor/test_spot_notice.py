"""A cloud announces that it takes a node away: its images are finished, and nothing is rendered twice."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sample_events
from metadata_server import metadata_server, notice
from mpirender.job.outputs import Image
from mpirender.launcher.placement import Placement
from mpirender.run_folder import events, spot
from mpirender.run_folder.events import SUPERVISOR, Event
from mpirender.run_folder.run_state import RunHistory, RunState
from mpirender.supervisor.early_end import EarlyEnds
from mpirender.system import instance_metadata
from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, heed_ctrl_c, running
from waiting import wait_for

HERE = socket.gethostname()
SOON = 2_000_000_000.0


@pytest.mark.slow
def test_at_a_notice_images_in_progress_are_finished_and_the_same_command_goes_on(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, output = pattern('{"frames": 40, "seconds": 0.4}'), tmp_path / "test_renders"
    command = [sys.executable, "-m", "mpirender", "render", str(scene), *map(str, SMALL), "--spot-notices", "on"]
    with metadata_server(tmp_path) as address:
        environment = {**os.environ, instance_metadata.ENDPOINT: address}
        (tmp_path / "127.0.0.1.rebalance").write_text("{}")
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509
        ) as process:  # fmt: skip
            wait_for(lambda: len(done_frames(output)) >= 4)
            (tmp_path / "127.0.0.1.instance-action").write_text(notice(60))
            out, err = process.communicate(timeout=60)
    assert process.returncode == 75
    when = r"at \d\d:\d\d:\d\d"
    assert f"warning: node {HERE} may be taken away soon (rebalance recommendation)\n" in out
    assert re.search(f"warning: node {HERE} will be taken away {when}; its ranks end their images\n", out)
    assert "stopping on a spot notice: waiting up to" in out
    assert "starting again" not in out, "there is no other node"
    left = rf"node {HERE} will be taken away {when}; \d+ of 40 images are done; run the same command again to continue"
    assert re.fullmatch(rf"mpirender: error: {left}\n", err)
    done = done_frames(output)
    assert sorted(record.image.frame for record in records(output, "take")) == done, "every started image is finished"
    assert running(tmp_path) == ""
    seen = json.loads(run("status", output, "--json").stdout)
    assert seen["state"] == "stopped"
    assert re.fullmatch(rf"node {HERE} will be taken away {when}", *seen["spot"])
    assert run("render", scene, *SMALL).returncode == 0
    assert done_frames(output) == list(range(40))


def announced(host: str = "n2", at: float = SOON, **images: object) -> RunState:
    """Return a run on two nodes whose images take some seconds, with a notice for one of them."""
    recorded: list[Event] = [
        sample_events.at(events.Launch("r1", 1, 2, pid=1), SUPERVISOR),
        sample_events.start(0, 1, "n1"), sample_events.start(1, 1, "n2"), sample_events.plan(10, time=2, **images),
        sample_events.take(0, 1, 3), sample_events.take(1, 2, 3), sample_events.done(0, 1, 5),
        sample_events.at(events.Notice("r1", at), SUPERVISOR, 6, host),
    ]  # fmt: skip
    return RunHistory(recorded).runs["r1"]


@pytest.mark.parametrize(
    ("host", "at", "slowest", "leaves"),
    [
        ("n2", SOON, 1, True), ("n2.example.org", SOON, 1, True), ("another", SOON, 1, False), ("n2", 0.0, 1, False),
        ("n2", 0.0, 200, True),
    ],
    ids=["notice", "long name", "other host", "short images at a recommendation", "long images at a recommendation"],
)  # fmt: skip
def test_a_run_leaves_a_node_that_is_taken_away(host: str, at: float, slowest: float, leaves: bool) -> None:
    early = EarlyEnds(announced(host, at), None).look(Placement(4, 1, nodes={"n1": 2, "n2": 2}), slowest)
    assert (early is not None) is leaves
    if early is not None:
        assert (early.error, early.nodes) == (None, {"n2"})
        assert early.deadline == (SOON - 5 if at else None), "a recommendation has no time"


@pytest.mark.parametrize("nodes", [{}, {HERE: 2, "n2": 2}], ids=["this machine", "the node of the supervisor"])
def test_a_run_ends_if_its_own_node_is_taken_away(nodes: dict[str, int]) -> None:
    early = EarlyEnds(announced(HERE), None).look(Placement(4, 1, nodes=nodes))
    assert str(early.error()).endswith("; 1 of 10 images are done; run the same command again to continue")


def test_a_run_ends_if_the_other_nodes_have_too_few_ranks_for_a_frame() -> None:
    placement = Placement(4, 1, nodes={"n1": 1, "n2": 3}, group=2)
    assert EarlyEnds(announced(), None).look(placement).error is not None


def test_a_run_that_only_makes_its_movie_stays() -> None:
    assert EarlyEnds(announced(left=1), None).look(Placement(4, 1, nodes={"n1": 2, "n2": 2})) is None


def test_what_was_lost_is_told() -> None:
    run = announced()
    assert spot.story(run, SOON - 1) == [f"node n2 will be taken away at {time.strftime('%T', time.localtime(SOON))}"]
    run.apply(sample_events.at(events.Death(1, "node n2 no longer responds", ((1, Image(2, "HD")),)), SUPERVISOR, 9))
    run.apply(sample_events.at(events.Launch("r1", 2, 1, pid=1), SUPERVISOR, 10))
    taken = f"node n2 was taken away at {time.strftime('%T', time.localtime(SOON))}"
    assert spot.story(run, SOON + 1) == [taken, "1 image in progress was lost"]
