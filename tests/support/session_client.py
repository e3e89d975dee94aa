"""A ParaView client of a session; run by pvpython, with --connect-id=ID before this script.

    session_client.py HOST PORT FOLDER [WAIT_FOR]

HOST is "reverse" for a client that waits for the server. Connects, renders a sphere on the server into
FOLDER/remote.png, and writes FOLDER/client.json. With WAIT_FOR it stays connected until that file exists. Then it
leaves, and renders the same sphere itself into FOLDER/local.png.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from paraview import servermanager, simple

SIZE = [240, 160]


def sphere(path: Path) -> None:
    """Render a sphere with sharp edges."""
    view = simple.CreateRenderView(ViewSize=SIZE)
    view.OrientationAxesVisibility = 0
    view.RemoteRenderThreshold = 0.0  # megabytes of geometry from which the server renders
    source = simple.Sphere(ThetaResolution=24, PhiResolution=12)
    shown = simple.Show(source, view)
    shown.DiffuseColor = [0.9, 0.2, 0.1]
    simple.ResetCamera(view)
    simple.SaveScreenshot(str(path), view, ImageResolution=SIZE)


def write(folder: str, found: dict[str, object]) -> None:
    """Write client.json, whole from its first moment on: the test reads it as soon as it exists."""
    part = Path(folder, "client.json.part")
    part.write_text(json.dumps(found))
    part.rename(Path(folder, "client.json"))


def main() -> None:
    host, port, folder, *wait_for = sys.argv[1:]
    connection = simple.ReverseConnect(port) if host == "reverse" else simple.Connect(host, int(port))
    if connection is None:
        write(folder, {"connected": False})
        return
    sphere(Path(folder, "remote.png"))
    timeout = servermanager.ActiveConnection.Session.GetServerInformation().GetTimeout()
    write(folder, {"connected": True, "ranks": connection.GetNumberOfDataPartitions(), "timeout": timeout})
    while wait_for and not Path(wait_for[0]).exists():
        time.sleep(0.1)
    simple.Disconnect()
    simple.Connect()
    sphere(Path(folder, "local.png"))


main()
