"""Sessions in jobs of a real Slurm, and clients that connect to them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repository import SUPPORT
from session_runs import assert_the_pictures_are_the_same, whole_events
from slurm_cluster import Cluster
from slurm_jobs import PROGRAM
from waiting import wait_for

MAIL_PORT = 2525
pytestmark = pytest.mark.slow
Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


@pytest.fixture
def environment(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user whose sessions are in the test's folder."""
    return {**cluster.environment, "HOME": str(tmp_path), "MPIRENDER_RANK_MEMORY": "2G"}


@pytest.fixture
def serve(cluster: Cluster, environment: dict[str, str], tmp_path: Path) -> Command:
    """Run ``mpirender serve`` on the login node."""

    def run(*options: object, **more: str) -> Done:
        command = [PROGRAM, "serve", *options]
        return cluster.run(*command, env={**environment, **more}, cwd=tmp_path, timeout=240)

    return run


def events_of(tmp_path: Path, number: str) -> list[dict[str, Any]]:
    journal = tmp_path / ".mpirender" / "sessions" / f"{number}.jsonl"
    return whole_events(journal.read_text()) if journal.exists() else []


def started(done: Done) -> tuple[str, dict[str, Any]]:
    """Return the number of a session that has become ready, and how to connect."""
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["what"] for event in events][-1] == "ready", events
    return events[-1]["facts"]["session"], events[-1]["facts"]


def connect(cluster: Cluster, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Connect from the login node; return what the client has seen."""
    folder.mkdir()
    script = SUPPORT / "session_client.py"
    client = ["pvpython", f"--connect-id={facts['connect_id']}", script, facts["host"], facts["port"], folder]
    done = cluster.run("xvfb-run", "-a", *client, cwd=folder)
    assert (folder / "client.json").exists(), done.stdout + done.stderr
    return json.loads((folder / "client.json").read_text())


@contextmanager
def mail_server(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Run a mail server on the login node; it writes the mails into the folder when the block ends."""
    command = [sys.executable, SUPPORT / "mailbox_server.py", MAIL_PORT, folder]
    with subprocess.Popen(cluster.command(*command), stdin=subprocess.PIPE) as server:
        try:
            yield
        finally:
            server.communicate(timeout=20)


def nothing_is_left(cluster: Cluster, node: str) -> bool:
    return cluster.run("pgrep", "-x", "pvserver|Xvfb|mpiexec|mpirender", on=node).returncode == 1


def test_two_sessions_on_two_nodes_and_on_one_serve_their_own_clients(
    cluster: Cluster, serve: Command, tmp_path: Path
) -> None:
    mails = tmp_path / "mails"
    mails.mkdir()
    words = ("--memory", "4G", "--nodes", 2, "--time", 10, "--login-host", "me@login.site.org", "--mail-user", "me")
    with mail_server(cluster, mails):  # only the login node can send mail
        text = serve(*words, MPIRENDER_SMTP=f"localhost:{MAIL_PORT}")
    assert text.returncode == 0, text.stderr
    number = re.search(r"queued  Slurm job (\d+): 2 ranks on 2 nodes, 4 GB, 10; waiting", text.stdout)[1]
    wide = next(event["facts"] for event in events_of(tmp_path, number) if event["what"] == "ready")
    assert {device["host"] for device in wide["devices"]} == {"n1", "n2"}
    assert f"1  ssh -N -L 11111:{wide['host']}:{wide['port']} me@login.site.org\n" in text.stdout
    assert text.stdout.splitlines()[-1] == "      mail  sent to me"
    assert f"--connect-id={wide['connect_id']}" in (mails / "0.eml").read_text().replace("=\n", "").replace("=3D", "=")
    narrow_number, narrow = started(serve("--memory", "2G", "--time", 10, "--json"))
    assert narrow["host"] == "n3"
    listed = serve("--list").stdout
    assert number in listed and narrow_number in listed
    shown = cluster.ask("scontrol", "show", "job", number) + cluster.ask(
        "scontrol", "write", "batch_script", number, "-"
    )
    assert str(wide["connect_id"]) not in shown
    assert connect(cluster, wide, tmp_path / "wide")["ranks"] == 2
    assert connect(cluster, narrow, tmp_path / "narrow")["ranks"] == 1
    for name, job in (("wide", number), ("narrow", narrow_number)):
        assert_the_pictures_are_the_same(tmp_path / name)
        watched = serve("--watch", job)
        assert watched.returncode == 0
        assert watched.stdout.splitlines()[-1] == "     ended  the client has left"
    wait_for(lambda: all(nothing_is_left(cluster, node) for node in cluster.nodes), 30)
    assert serve("--list").stdout == "no session is running\n"
    private = tmp_path / ".mpirender" / "sessions"
    assert {path.stat().st_mode & 0o777 for path in private.iterdir()} == {0o600}


def test_a_session_is_stopped_while_it_waits_and_while_it_runs(
    cluster: Cluster, serve: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    number, facts = started(serve("--memory", "2G", "--time", 10, "--json", "--ranks", 2))
    assert serve("--stop", number).stdout == f"Slurm job {number} is canceled\n"
    watched = serve("--watch", number)
    assert watched.returncode == 75
    assert "stopped on SIGTERM (scancel, or mpirender serve --stop)" in watched.stdout
    wait_for(lambda: nothing_is_left(cluster, facts["host"]), 30)
    held = cluster.run(
        "timeout",
        "--preserve-status",
        "--signal=INT",
        "8",
        PROGRAM,
        "serve",
        "--",
        "--hold",
        cwd=tmp_path,
        env=environment,
    )
    assert held.returncode == 130
    assert "waiting: JobHeldUser" in held.stdout
    number = re.search(r"the session goes on; mpirender serve --watch (\d+)\n", held.stderr)[1]
    assert re.search(rf"{number}  queued: ", serve("--list").stdout)
    assert serve("--stop", number).returncode == 0
    watched = serve("--watch", number)
    assert watched.returncode == 75
    assert "Slurm has ended the job: CANCELLED" in watched.stdout


def test_a_time_limit_and_a_crashed_node_end_a_session_with_a_line(
    cluster: Cluster, serve: Command, tmp_path: Path
) -> None:
    short, kept = started(serve("--memory", "2G", "--time", 2, "--json", "--keep"))
    number, facts = started(serve("--memory", "2G", "--time", 10, "--json"))
    cluster.crash(facts["host"])
    watched = serve("--watch", number)
    assert watched.returncode == 6
    assert "Slurm has ended the job: NODE_FAIL" in watched.stdout
    watched = serve("--watch", short)
    assert watched.returncode == 75
    assert "ended  the time limit is reached; what was loaded in the session is lost" in watched.stdout
    wait_for(lambda: nothing_is_left(cluster, kept["host"]), 30)


def test_a_session_for_a_connect_dialog_is_refused_for_another_version_and_canceled_when_ssh_is_gone(
    cluster: Cluster, environment: dict[str, str], tmp_path: Path
) -> None:
    given = {**environment, "MPIRENDER_CONNECT_ID": "12345"}
    words = ["serve", "--memory", "2G", "--relay", 23456]
    done = cluster.run(PROGRAM, *words, "--client-version", "6.1.0", env=given, cwd=tmp_path)
    assert done.returncode == 2
    assert "your ParaView is 6.1.0, and the cluster has 5.11.0" in done.stderr
    assert not cluster.ask("squeue", "-h")
    done = cluster.run(PROGRAM, *words, "--", "--hold", env=given, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == 75
    assert "Slurm has ended the job: CANCELLED" in done.stdout


def test_a_refused_job_is_one_line(serve: Command) -> None:
    done = serve("--memory", "2G", "--partition", "nowhere")
    assert done.returncode == 6
    assert re.fullmatch(r"mpirender: error: sbatch: .*invalid partition specified: nowhere.*\n", done.stderr)
