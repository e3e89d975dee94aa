"""What a user reads and imports when a session is ready."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from typing import Any

from mpirender.sessions import texts

FACTS: dict[str, Any] = {
    "session": "4711", "version": "5.11.0", "host": "n17", "port": 37091, "connect_id": 12345, "ends": None,
    "devices": [{"host": "n17", "backend": "egl", "renderer": "NVIDIA A100"}] * 2, "keep": False,
    "login": "me@login.site.org", "local_port": 11111, "reverse": "", "server_file": "/home/me/4711.pvsc",
    "here": False,
}  # fmt: skip


def test_the_lines_can_be_copied() -> None:
    assert texts.ready_text(FACTS).splitlines() == [
        "ParaView 5.11.0 on n17, 2 ranks, EGL, NVIDIA A100; ends when the client disconnects",
        "1  ssh -N -L 11111:n17:37091 me@login.site.org",
        "2  paraview --connect-id=12345 --server-url=cs://localhost:11111",
        "   or import /home/me/4711.pvsc (File > Connect > Load Servers)",
        "your ParaView must be 5.11; other versions are refused",
    ]


def test_on_the_same_machine_no_tunnel_is_needed() -> None:
    lines = texts.ready_text({**FACTS, "here": True}).splitlines()
    assert lines[4].endswith("paraview --connect-id=12345 --server-url=cs://localhost:37091")


def test_for_a_reverse_connection_paraview_must_wait() -> None:
    reverse = {**FACTS, "reverse": "login.site.org:22008"}
    assert texts.ready_text(reverse).splitlines()[1:3] == [
        "1  on login.site.org: paraview --connect-id=12345",
        "2  File > Connect > Add Server, Client / Server (reverse connection), port 22008, then Connect, and wait",
    ]
    assert 'resource="csrc://localhost:22008"' in texts.server_file(reverse, "4711")


def test_the_end_is_a_time_of_day_or_a_day() -> None:
    now = time.time()
    assert texts.ends(now, keep=False) == f"ends at {time.strftime('%H:%M')}, or when the client disconnects"
    assert (
        texts.ends(now + 3 * 86400, keep=True)
        == f"ends at {time.strftime('%d %b %H:%M', time.localtime(now + 3 * 86400))}"
    )
    assert texts.ends(None, keep=True) == "runs until it is stopped"


def test_lines_after_the_first_are_indented() -> None:
    assert texts.labeled("ready", "a\nb") == "     ready  a\n            b"


def test_the_server_file_is_well_formed_whatever_the_names_are() -> None:
    server = ET.fromstring(texts.server_file(FACTS, 'a"<b>&')).find("Server")
    assert server.get("name") == 'mpirender a"<b>& (ParaView 5.11)'
    assert server.get("resource") == "cs://localhost:11111"
    assert server.find("ManualStartup/Options/Set").attrib == {"name": "PV_CONNECT_ID", "value": "12345"}
