"""Render a state as ParaView itself does: load it, render once, SaveAnimation.

Runs in pvbatch: ``pvbatch --no-mpi save_animation.py STATE FOLDER WxH [LAYOUT] [NAME=VALUE ...]``.
"""

import ast
import sys
from pathlib import Path

from paraview.simple import *  # noqa: F403

state, folder, size = sys.argv[1:4]
layout = next((argument for argument in sys.argv[4:] if "=" not in argument), "")
options = {name: ast.literal_eval(value) for name, _, value in (a.partition("=") for a in sys.argv[4:] if "=" in a)}
Path(folder).mkdir(parents=True, exist_ok=True)
LoadState(state)
if layout:
    shown = next(proxy for name, proxy in GetLayouts().items() if name[0] == layout)
    RenderAllViews()
else:
    shown = GetActiveView()
    Render(shown)
SaveAnimation(
    f"{folder}/frame.png",
    shown,
    ImageResolution=[int(side) for side in size.split("x")],
    FrameWindow=[0, 9999],
    **options,
)
