"""The lines that tell a user how to connect, and the file for ParaView's Connect dialog that says the same."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from mpirender.sessions import server
from mpirender.system.text import plural

BACKENDS = {"egl": "EGL", "osmesa": "OSMesa", "glx": "GLX"}
LABEL_WIDTH = 10
INDENT = " " * (LABEL_WIDTH + 2)
PVSC = """\
<Servers>
  <Server name={name} resource={resource}>
    <ManualStartup>
      <Options>
        <Set name="PV_CONNECT_ID" value={connect_id}/>
      </Options>
    </ManualStartup>
  </Server>
</Servers>
"""


def labeled(label: str, text: str) -> str:
    """Return a text of one or more lines with its label in front."""
    first, *rest = text.splitlines() or [""]
    return "\n".join([f"{label:>{LABEL_WIDTH}}  {first}", *(f"{INDENT}{line}" for line in rest)])


def short(version: str) -> str:
    """Return the part of a version that client and server must share: 5.11 of 5.11.0."""
    return ".".join(version.split(".")[:2])


def clock(moment: float) -> str:
    """Write a time of day, with the date if it is another day."""
    then, now = time.localtime(moment), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%d %b %H:%M", then)


def ends(moment: float | None, *, keep: bool) -> str:
    """Say when a session ends."""
    limit = [] if moment is None else [f"at {clock(moment)}"]
    leaves = [] if keep else ["when the client disconnects"]
    return "ends " + ", or ".join([*limit, *leaves]) if limit or leaves else "runs until it is stopped"


def devices_text(devices: Sequence[Mapping[str, Any]]) -> str:
    """Describe the ranks of a session, and what they render with."""
    renderers = ", ".join(dict.fromkeys(device["renderer"] for device in devices))
    return f"{plural(len(devices), 'rank')}, {BACKENDS[devices[0]['backend']]}, {renderers}"


def reverse_lines(client: str, connect_id: int) -> list[str]:
    """Return how ParaView waits for a server that connects to it."""
    host, _, port = client.rpartition(":")
    kind = f"File > Connect > Add Server, Client / Server (reverse connection), port {port}"
    return [f"on {host}: {shlex.join(['paraview', server.id_word(connect_id)])}", f"{kind}, then Connect, and wait"]


def connection_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the commands that connect a ParaView client with the server."""
    client = ["paraview", server.id_word(facts["connect_id"])]
    if facts["reverse"]:
        return reverse_lines(facts["reverse"], facts["connect_id"])
    local = f"cs://localhost:{facts['local_port']}"
    lines = []
    if facts["login"]:
        forward = f"{facts['local_port']}:{facts['host']}:{facts['port']}"
        lines.append(shlex.join(["ssh", "-N", "-L", forward, facts["login"]]))
    lines.append(shlex.join([*client, f"--server-url={local}"]))
    return lines


def direct_line(facts: Mapping[str, Any]) -> str:
    """Return the command for a client on the machine of the server."""
    url = f"--server-url=cs://localhost:{facts['port']}"
    return shlex.join(["paraview", server.id_word(facts["connect_id"]), url])


def ready_text(facts: Mapping[str, Any]) -> str:
    """Return what a user needs to know when the server is ready."""
    head = f"ParaView {facts['version']} on {facts['host']}, {devices_text(facts['devices'])}; "
    numbered = [f"{number}  {line}" for number, line in enumerate(connection_lines(facts), start=1)]
    instead = f"   or import {facts['server_file']} (File > Connect > Load Servers)"
    here = facts["here"] and not facts["reverse"]
    direct = [f"   or, on this machine, without a tunnel: {direct_line(facts)}"] if here else []
    wanted = f"your ParaView must be {short(facts['version'])}; other versions are refused"
    return "\n".join([head + ends(facts["ends"], keep=facts["keep"]), *numbered, instead, *direct, wanted])


def server_file(facts: Mapping[str, Any], identifier: str) -> str:
    """Return the content of a .pvsc file with which ParaView connects to the session, or waits for it."""
    name = f"mpirender {identifier} (ParaView {short(facts['version'])})"
    local = f"cs://localhost:{facts['local_port']}"
    resource = f"csrc://localhost:{facts['reverse'].rpartition(':')[2]}" if facts["reverse"] else local
    values = {"name": name, "resource": resource, "connect_id": str(facts["connect_id"])}
    return PVSC.format(**{key: quoteattr(value) for key, value in values.items()})
