"""Sessions of ParaView 6.1, on EGL and OSMesa, and clients of another version than the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from repository import SUPPORT
from second_root import MPIRENDER, WITH_OSMESA, Root
from session_runs import assert_the_pictures_are_the_same, client, seen, serving, whole_events
from waiting import wait_for

pytestmark = pytest.mark.slow
WINDOWS = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}


def events(home: Path) -> list[dict[str, Any]]:
    """Return the events of the session whose files are in this home folder."""
    journals = (home / ".mpirender" / "sessions").glob("*.jsonl")
    return [event for journal in journals for event in whole_events(journal.read_text())]


def client_of_6(root: Root, facts: Mapping[str, Any], folder: Path, backend: str) -> None:
    """Connect with the pvpython of ParaView 6.1."""
    folder.mkdir()
    words = [f"--connect-id={facts['connect_id']}", SUPPORT / "session_client.py", "localhost", facts["port"], folder]
    root.run("pvpython", *words, VTK_DEFAULT_OPENGL_WINDOW=WINDOWS[backend], **WITH_OSMESA)


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_a_session_of_6_renders_on_this_backend_and_refuses_a_client_of_5(
    second_root: Root, x_server: Mapping[str, str], tmp_path: Path, backend: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [MPIRENDER, "serve", "--launcher", "mpiexec", "--ranks", 2, "--backend", backend]
    ended: list[int] = []

    def serve() -> None:
        ended.append(second_root.run(*command, cwd=home, HOME=str(home), **WITH_OSMESA).returncode)

    serving_thread = threading.Thread(target=serve)
    serving_thread.start()
    ready = wait_for(lambda: [event for event in events(home) if event["what"] in ("ready", "ended")], 180)[0]
    assert ready["what"] == "ready", ready["text"]
    version, backends = ready["facts"]["version"], {device["backend"] for device in ready["facts"]["devices"]}
    assert (version[0], backends) == ("6", {backend})
    other = client(ready["facts"], x_server, tmp_path / "other")
    assert not seen(tmp_path / "other")["connected"]
    other.wait(60)
    client_of_6(second_root, ready["facts"], tmp_path / "client", backend)
    serving_thread.join(60)
    assert json.loads((tmp_path / "client" / "client.json").read_text())["ranks"] == 2
    assert_the_pictures_are_the_same(tmp_path / "client")
    refused = [event["text"] for event in events(home) if event["what"] == "refused"]
    assert refused == [f"a client of another version of ParaView was refused: this server is ParaView {version}"]
    assert ended == [0]


def test_a_session_of_5_refuses_a_client_of_6(second_root: Root, tmp_path: Path) -> None:
    with serving(tmp_path, "--launcher", "none") as session:
        client_of_6(second_root, session.facts(), tmp_path / "client", "egl")
        assert not seen(tmp_path / "client")["connected"]
        assert session.event("refused")["facts"]["why"] == "version"
        assert session.process.poll() is None
