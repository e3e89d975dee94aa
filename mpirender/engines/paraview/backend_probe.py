"""Opens a window inside pvbatch and renders a tiny image, to find out whether a backend works.

    pvbatch --no-mpi -m mpirender.engines.paraview.backend_probe

It reports each step on a line of its own, since ParaView ends the process if the window cannot be opened.
"""

from __future__ import annotations

import json
import os

PREFIX = "mpirender probe: "
SIDE = 16  # pixels
COLOR = (0.2, 0.4, 0.6)


def main() -> None:
    """Open the window that the environment selects, and render into it."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the kinds of windows
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    window, renderer, pixels = vtkRenderWindow(), vtkRenderer(), vtkUnsignedCharArray()
    devices = window.GetNumberOfDevices() if hasattr(window, "GetNumberOfDevices") else 0
    report(window=window.GetClassName(), devices=devices)
    renderer.SetBackground(COLOR)
    window.SetShowWindow(False)
    window.SetOffScreenRendering(True)
    window.SetSize(SIDE, SIDE)
    window.AddRenderer(renderer)
    window.Render()
    window.GetRGBACharPixelData(0, 0, 0, 0, 0, pixels)
    painted = [pixels.GetValue(place) for place in range(3)] == [round(255 * part) for part in COLOR]
    report(painted=painted, capabilities=window.ReportCapabilities() or "")
    os._exit(0)  # without cleanup, in which some drivers crash


def report(**found: object) -> None:
    """Write a line of JSON with a single call."""
    os.write(1, f"{PREFIX}{json.dumps(found)}\n".encode())


if __name__ == "__main__":
    main()
