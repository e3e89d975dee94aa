"""Orbit the camera as ParaView tutorials do: ``pvbatch --no-mpi turntable.py STATE FOLDER WxH FRAMES``."""

import sys

from paraview import simple

state, folder, size, count = sys.argv[1:]
simple._DisableFirstRenderCameraReset()
simple.LoadState(state)
view = simple.GetActiveView()
simple.Render(view)
camera = view.GetActiveCamera()
start = camera.GetPosition()
for frame in range(int(count)):
    camera.SetPosition(*start)
    camera.Azimuth(360 * frame / int(count))
    simple.SaveScreenshot(
        f"{folder}/frame_{frame:06d}.png", view, ImageResolution=[int(side) for side in size.split("x")]
    )
