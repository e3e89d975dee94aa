"""What pvbatch is asked to run to find out what it can render with: one window, one tiny picture.

    pvbatch --no-mpi -m mpirender.engines.paraview.backend_probe

It says what it has got to line by line, since ParaView ends the process where a window cannot be opened.
"""

from __future__ import annotations

import json
import os

SAYS = "mpirender probe: "
SIDE = 16  # pixels
COLOUR = (0.2, 0.4, 0.6)


def main() -> None:
    """Open the window that the environment asks for and paint it."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - loads the kinds of window there are
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    window, renderer, pixels = vtkRenderWindow(), vtkRenderer(), vtkUnsignedCharArray()
    devices = window.GetNumberOfDevices() if hasattr(window, "GetNumberOfDevices") else 0
    say(window=window.GetClassName(), devices=devices)
    renderer.SetBackground(COLOUR)
    window.SetShowWindow(False)
    window.SetOffScreenRendering(True)
    window.SetSize(SIDE, SIDE)
    window.AddRenderer(renderer)
    window.Render()
    window.GetRGBACharPixelData(0, 0, 0, 0, 0, pixels)
    painted = [pixels.GetValue(place) for place in range(3)] == [round(255 * part) for part in COLOUR]
    say(painted=painted, capabilities=window.ReportCapabilities() or "")
    os._exit(0)  # without clean-up, which some drivers do not survive


def say(**found: object) -> None:
    """Write a line in one piece."""
    os.write(1, f"{SAYS}{json.dumps(found)}\n".encode())


if __name__ == "__main__":
    main()
