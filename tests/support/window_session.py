"""Work in the ParaView window; run by ``paraview --script`` with the folder for the results in RESULTS.

Shows a wavelet on the server, and writes which server that is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from paraview import servermanager, simple

view = simple.GetActiveViewOrCreate("RenderView")
view.RemoteRenderThreshold = 0.0
source = simple.Wavelet()
contour = simple.Contour(Input=source, ContourBy=["POINTS", "RTData"], Isosurfaces=[100.0, 157.0, 220.0])
shown = simple.Show(contour, view)
simple.ColorBy(shown, ("POINTS", "RTData"))
simple.ResetCamera(view)
simple.Render(view)
connection = servermanager.ActiveConnection
found = {"url": str(connection.GetURI()), "ranks": connection.GetNumberOfDataPartitions()}
folder = Path(os.environ["RESULTS"])
(folder / "part").write_text(json.dumps(found))
(folder / "part").rename(folder / "window.json")
