"""The ParaView window, on a user's computer, works in a session through a real ssh tunnel."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repository import SUPPORT
from slurm_cluster import Cluster
from slurm_jobs import PROGRAM
from ssh_server import ssh_server
from waiting import wait_for

pytestmark = pytest.mark.slow
HOME_COMPUTER = "n3"
NO_WELCOME = "[General]\nGeneralSettings.ShowWelcomeDialog=false\n"


def test_the_printed_tunnel_and_the_server_file_open_a_window_that_works_on_the_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    """They are used as printed, on a node that is no part of the session; the user presses Enter once."""
    environment = {**cluster.environment, **own_variables(cluster, tmp_path)}
    with ssh_server(cluster, folder(tmp_path / "ssh"), own_variables(cluster, tmp_path)) as server:
        words = ("--memory", "4G", "--nodes", 2, "--time", 15, "--login-host", "root@head", "--json")
        done = cluster.run(PROGRAM, "serve", *words, env=environment, timeout=240)
        assert done.returncode == 0, done.stderr
        ready = json.loads(done.stdout.splitlines()[-1])
        tunnel, file = ready["text"].splitlines()[1][3:], Path(ready["facts"]["server_file"])
        name = ET.parse(file).find("Server").get("name")
        assert str(file) in ready["text"]
        on_home = {"on": HOME_COMPUTER, "cwd": tmp_path}
        with subprocess.Popen(cluster.command(*server.command(shlex.split(tunnel)), **on_home)) as ssh:
            try:
                wait_for(lambda: "11111" in cluster.run("ss", "-ltn", on=HOME_COMPUTER).stdout, 20)
                window = ["paraview", "--servers-file", str(file), "--server", name]
                work_in_window(cluster, window, folder(tmp_path / "results"), DIALOG="Connection Options")
            finally:
                cluster.run("pkill", "-x", "ssh", on=HOME_COMPUTER)
                ssh.wait(20)
    assert json.loads((tmp_path / "results" / "window.json").read_text()) == {"url": "cs://localhost:11111", "ranks": 2}
    picture = np.asarray(Image.open(tmp_path / "results" / "window.png").convert("RGB"), int)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500  # shaded isosurfaces, not a gray window
    watched = cluster.run(PROGRAM, "serve", "--watch", ready["facts"]["session"], env=environment)
    assert "connected  a client has connected" in watched.stdout
    assert watched.returncode == 0


def test_the_connect_dialog_starts_a_session_through_ssh(cluster: Cluster, tmp_path: Path) -> None:
    """The only thing that the user does is to press Enter in the dialog with memory and time."""
    variables = own_variables(cluster, tmp_path)
    environment = {**cluster.environment, **variables}
    done = cluster.run(
        PROGRAM, "serve", "--desktop-file", tmp_path / "c.pvsc", "--login-host", "root@head", env=environment
    )
    assert done.returncode == 0, done.stderr
    with ssh_server(cluster, folder(tmp_path / "ssh"), variables) as server:
        command = ["paraview", "--servers-file", str(tmp_path / "c.pvsc"), "--server", "head (mpirender)"]
        path = f"{server.program()}:{environment['PATH']}"
        work_in_window(cluster, command, folder(tmp_path / "results"), PATH=path, DIALOG="Connection Options")
    assert json.loads((tmp_path / "results" / "window.json").read_text()) == {"url": "cs://localhost:11111", "ranks": 1}
    (journal,) = (tmp_path / ".mpirender" / "sessions").glob("*.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    wait_for(lambda: not cluster.ask("squeue", "-h"), 30)
    shown = cluster.ask("scontrol", "show", "job", journal.stem)
    assert str(next(event["facts"]["connect_id"] for event in events if event["what"] == "ready")) not in shown


def own_variables(cluster: Cluster, home: Path) -> dict[str, str]:
    """Return the variables of the user of the cluster."""
    return {"HOME": str(home), "MPIRENDER_RANK_MEMORY": "2G", "SLURM_CONF": cluster.environment["SLURM_CONF"]}


def folder(path: Path) -> Path:
    """Make a folder."""
    path.mkdir()
    return path


def work_in_window(cluster: Cluster, printed: list[str], results: Path, **variables: str) -> None:
    """Open the window with a command, let a script work in it, take a picture and close it."""
    settings = results / ".config" / "ParaView"
    settings.mkdir(parents=True)
    (settings / "ParaView5.11.0.ini").write_text(NO_WELCOME)
    command = [*printed, "--script", SUPPORT / "window_session.py"]
    picture = [sys.executable, SUPPORT / "window_picture.py", results, *command]
    environment = {**cluster.environment, "HOME": str(results), "RESULTS": str(results), **variables}
    x_server = ["xvfb-run", "-a", "-s", "-screen 0 1152x762x24"]
    done = cluster.run(*x_server, *picture, on=HOME_COMPUTER, env=environment, cwd=results, timeout=240)
    assert (results / "window.json").exists(), done.stderr + (results / "window.log").read_text()
