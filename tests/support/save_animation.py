"""Render a state as ParaView itself does: load it, render once, SaveAnimation.

Runs in pvbatch: ``pvbatch --no-mpi save_animation.py STATE FOLDER WxH [LAYOUT] [NAME=VALUE ...]``. With
``fit=True`` the view or the layout gets the size of the image before the first render; ``first`` is Python code to run
after loading. On several ranks (``--sym``) the state is loaded from memory: LoadState of ParaView 6.1 hangs there.
"""

import ast
import sys
from pathlib import Path

from paraview import servermanager, simple
from paraview.modules.vtkPVVTKExtensionsCore import vtkPVXMLParser
from vtkmodules.vtkParallelCore import vtkMultiProcessController


def load(state: str) -> None:
    """Load a state."""
    if vtkMultiProcessController.GetGlobalController().GetNumberOfProcesses() == 1:
        simple.LoadState(state)
        return
    parser = vtkPVXMLParser()
    parser.Parse(Path(state).read_text())
    servermanager.ProxyManager().SMProxyManager.LoadXMLState(parser.GetRootElement())
    simple.SetActiveView(simple.GetRenderViews()[0])


def main() -> None:
    """Render in a function, because programmable filters import all of numpy into ``__main__``."""
    state, folder, size, *rest = sys.argv[1:]
    layout = next((argument for argument in rest if "=" not in argument), "")
    options = {name: ast.literal_eval(value) for name, _, value in (a.partition("=") for a in rest if "=" in a)}
    Path(folder).mkdir(parents=True, exist_ok=True)
    simple._DisableFirstRenderCameraReset()  # otherwise simple.Render resets the saved camera
    load(state)
    exec(options.pop("first", ""))  # the caller's changes to the scene
    sides = [int(side) for side in size.split("x")]
    fit = options.pop("fit", False)
    if layout:
        shown = next(proxy for name, proxy in simple.GetLayouts().items() if name[0] == layout)
        if fit:
            shown.SetSize(sides)
        simple.RenderAllViews()
    else:
        shown = simple.GetActiveView()
        if fit:
            shown.ViewSize = sides
        simple.Render(shown)
    options["ImageResolution"] = sides
    simple.SaveAnimation(f"{folder}/frame.png", shown, FrameWindow=[0, 9999], **options)


main()
