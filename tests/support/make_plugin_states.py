"""Save states with objects that come from a plugin of ParaView: ``pvbatch --no-mpi make_plugin_states.py FOLDER``.

``plugin.pvsm`` needs the plugin NonOrthogonalSource, ``nowhere.pvsm`` one that does not exist;
``hidden.pvsm`` is that state with an unknown, hidden annotation
instead, as states of newer versions of ParaView have it, and ``shown.pvsm`` with one that is not hidden.
"""

import re
import sys
from pathlib import Path

from paraview import simple

FOLDER = Path(sys.argv[1])
ANNOTATION = """
    <Proxy group="annotations" type="NewGridActor" id="99001" servers="21">
      <Property name="Visibility" number_of_elements="1"><Element index="0" value="{}"/></Property>
    </Proxy>
    <ProxyCollection name="annotations"><Item id="99001" name="NewGrid"/></ProxyCollection>
  </ServerManagerState>"""

view = simple.CreateView("RenderView")
view.ViewSize = [320, 180]
simple.Show(simple.Cone(), view)
view.ResetCamera()
simple.GetAnimationScene().NumberOfFrames = 2
simple.SaveState(str(FOLDER / "plain.pvsm"))
content = (FOLDER / "plain.pvsm").read_text()
for name, visible in (("hidden", 0), ("shown", 1)):
    annotated = re.sub(r"\s*</ServerManagerState>", ANNOTATION.format(visible), content)
    (FOLDER / f"{name}.pvsm").write_text(annotated)
simple.Show(simple.Superquadric(registrationName="Surface"), view)
simple.SaveState(str(FOLDER / "own.pvsm"))
state = (FOLDER / "own.pvsm").read_text()
for name, kind in (("plugin", "ShearedWavelet"), ("nowhere", "NobodysSource")):
    (FOLDER / f"{name}.pvsm").write_text(state.replace('type="SuperquadricSource"', f'type="{kind}"'))
