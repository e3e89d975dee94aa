"""Render a state as ParaView itself does: load it, render once, SaveAnimation.

Runs in pvbatch: ``pvbatch --no-mpi save_animation.py STATE FOLDER WxH [LAYOUT] [NAME=VALUE ...]``.
"""

import ast
import sys
from pathlib import Path

from paraview import simple

state, folder, size = sys.argv[1:4]
layout = next((argument for argument in sys.argv[4:] if "=" not in argument), "")
options = {name: ast.literal_eval(value) for name, _, value in (a.partition("=") for a in sys.argv[4:] if "=" in a)}
Path(folder).mkdir(parents=True, exist_ok=True)
simple._DisableFirstRenderCameraReset()  # else simple.Render forgets the camera that the state was saved with
simple.LoadState(state)
if layout:
    shown = next(proxy for name, proxy in simple.GetLayouts().items() if name[0] == layout)
    simple.RenderAllViews()
else:
    shown = simple.GetActiveView()
    simple.Render(shown)
options["ImageResolution"] = [int(side) for side in size.split("x")]
simple.SaveAnimation(f"{folder}/frame.png", shown, FrameWindow=[0, 9999], **options)
