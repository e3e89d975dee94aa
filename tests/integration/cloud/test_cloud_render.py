"""cloud render from start to end, while nodes are taken away, and after it was killed at every step."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import movies
from cloud_account import CloudAccount
from images import pixels
from processes import Pattern, Run
from waiting import wait_for

pytestmark = pytest.mark.slow
PART = "320x180"
# What the command prints before each step; it is killed there.
STEPS = (
    r"\$ pcluster create-cluster", r"copying mpirender", r"installing on the head", r"copying test.pattern",
    r"head_node \S+ submit", r"\d+ of 12 images(?! are)", r"copying what is complete", r"\$ pcluster delete-cluster",
)  # fmt: skip


def begin(account: CloudAccount, *arguments: object) -> subprocess.Popen[str]:
    """Start cloud render."""
    words = ["cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--size", PART, "--ssh", account.ssh]
    return subprocess.Popen(
        [sys.executable, "-m", "mpirender", *words, *map(str, arguments)], cwd=account.work, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def images(output: Path) -> dict[str, bytes]:
    """Return the pixels of the images by name."""
    return {path.name: pixels(path).tobytes() for path in sorted((output / PART).glob("*.png"))}


def test_a_hundred_frames_while_nodes_are_taken_away(
    account: CloudAccount, pattern: Pattern, run: Run, tmp_path: Path
) -> None:
    pattern('{"frames": 100, "seconds": 1}')
    account.work = tmp_path
    command = begin(account)
    done = account.mount / "mpirender" / "jobs" / "test" / "renders" / PART
    wait_for(lambda: len(list(done.glob("frame_*"))) >= 6, 120)
    assert account.cluster is not None
    assert account.cluster.there() == ["n1", "n2", "n3"]
    account.cluster.reclaim("n3")
    wait_for(lambda: len(list(done.glob("frame_*"))) >= 40, 120)
    account.cluster.reclaim("n2")
    printed, _ = command.communicate(timeout=400)
    assert command.returncode == 0, printed
    assert "100 of 100 images are in" in printed
    fetched = tmp_path / "test_renders"
    assert (
        run("render", "test.pattern", "--size", PART, "--output", "here", "--ranks", 6, "--oversubscribe").returncode
        == 0
    )
    assert images(fetched) == images(tmp_path / "here")
    assert movies.read_back(fetched / f"test_{PART}.mp4").frames == 100
    hosts = json.loads(run("status", "test_renders", "--json").stdout)
    assert hosts["state"] == "finished"
    assert hosts["restarts"] >= 1
    assert run("cloud", "list", "--region", "eu-central-1").stdout == "nothing of mpirender costs money\n"
    assert account.commands().count("create-cluster") == account.commands().count("delete-cluster") == 1


def test_killed_at_every_step_the_same_command_goes_on(
    account: CloudAccount, pattern: Pattern, run: Run, tmp_path: Path
) -> None:
    pattern('{"frames": 12, "seconds": 10}')
    account.work = tmp_path
    for step in STEPS:
        seen = []
        with begin(account) as command:
            assert command.stdout is not None
            for line in command.stdout:
                seen.append(line)
                if re.search(step, line):
                    break
            command.send_signal(signal.SIGKILL)
        assert re.search(step, seen[-1]), "".join(seen)
        if step == STEPS[3]:
            listed = run("cloud", "list", "--region", "eu-central-1").stdout
            assert {line.split("  ")[0] for line in listed.splitlines()} == {"farm"}
            assert [word in listed for word in ("instance", "volume", "snapshot", "file-system")] == [True] * 4
    command = begin(account)
    printed, _ = command.communicate(timeout=200)
    assert command.returncode == 0, printed
    assert len(images(tmp_path / "test_renders")) == 12
    assert run("cloud", "list", "--region", "eu-central-1").stdout == "nothing of mpirender costs money\n"
    assert account.commands().count("create-cluster") == 1
    journal = (tmp_path / "test_renders" / ".mpirender" / "run.jsonl").read_text()
    assert set(re.findall(r'"job": "(\d+)"', journal)) == {"1"}  # a second job was never submitted
    again = run("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--size", PART, "--ssh", account.ssh)
    assert (again.returncode, "everything is in" in again.stdout) == (0, True), again.stderr
    assert account.commands().count("create-cluster") == 1


def test_without_a_node_the_cluster_is_deleted(
    account: CloudAccount, pattern: Pattern, run: Run, tmp_path: Path
) -> None:
    pattern()
    account.no_nodes()
    words = ("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--ssh", account.ssh, "--start-within", 0.1)
    done = run(*words)
    assert done.returncode == 6
    assert "no node came within 0.1 minutes" in done.stderr
    assert done.stderr.count("\n") == 1
    assert run("cloud", "list", "--region", "eu-central-1").stdout == "nothing of mpirender costs money\n"


def test_without_a_node_a_cluster_with_other_images_is_kept(
    account: CloudAccount, pattern: Pattern, rendered: Path, run: Run, tmp_path: Path
) -> None:
    """Another job of the cluster has images that were not fetched."""
    assert run("cloud", "create", "farm.yaml", "--ssh", account.ssh).returncode == 0
    shutil.copytree(rendered, account.mount / "mpirender" / "jobs" / "other" / "renders")
    shutil.rmtree(rendered)
    pattern()
    account.no_nodes()
    words = ("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--ssh", account.ssh, "--start-within", 0.1)
    done = run(*words)
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "the cluster is kept: not fetched yet: other (6 images); fetch it with: mpirender cloud fetch" in done.stderr
    assert "delete-cluster" not in account.commands()
    fetched = run("cloud", "fetch", "farm.yaml", "--job", "other", "--ssh", account.ssh)
    assert "6 of 6 images are in" in fetched.stdout


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_cluster_that_cannot_be_made_leaves_nothing(
    account: CloudAccount, pattern: Pattern, run: Run, when: str
) -> None:
    pattern()
    account.refuse(at_once=when == "at once")
    done = run("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--ssh", account.ssh)
    assert done.returncode == 6
    assert "quota" in done.stderr
    assert done.stderr.count("\n") == 1
    wait_for(lambda: not list(account.state.glob("*.json")), 20)
    left = run("cloud", "delete", "farm.yaml", "--ssh", account.ssh)
    assert left.returncode == 0, left.stderr
    assert run("cloud", "list", "--region", "eu-central-1").stdout == "nothing of mpirender costs money\n"


def test_a_wrong_region_gets_one_line(account: CloudAccount, pattern: Pattern, run: Run, tmp_path: Path) -> None:
    pattern()
    farm = tmp_path / "farm.yaml"
    farm.write_text(farm.read_text().replace("Region: eu-central-1", "Region: eu-nowhere-1"))
    farm.write_text(re.sub(r"  # Dollars a month.*\n.*\n.*\n", "", farm.read_text()))
    done = run("cloud", "render", "test.pattern", "--cluster", "farm.yaml", "--ssh", account.ssh)
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "invalid or unsupported region 'eu-nowhere-1'" in done.stderr
