"""What makes the scenes of case_rows.py: scripts as users write them, and names and text of files."""

from __future__ import annotations

BUILD = """
from paraview.simple import *
cone = Cone(Resolution=9)
view = GetActiveViewOrCreate("RenderView")
view.ViewSize = [320, 240]
Show(cone, view)
Render()
scene = GetAnimationScene()
"""
SAVE = """
SaveAnimation("own/frame.png", view, ImageResolution=[240, 180])
"""
TRACK = """
cue = PythonAnimationCue(Script='''
from paraview.simple import *
def start_cue(self): pass
def tick(self):
    GetRenderView().GetActiveCamera().Azimuth(10)
def end_cue(self): pass
''')
scene.Cues.append(cue)
scene.NumberOfFrames = 7
"""
PATH = """
track = CameraAnimationCue(Mode="Path-based", AnimatedProxy=view)
points = [-6.6, 0, 1, 0, -6.6, 1, 6.6, 0, 1, 0, 6.6, 1]
for number in range(3):
    key = CameraKeyFrame(KeyTime=number / 3, PositionPathPoints=points, ClosedPositionPath=1)
    track.KeyFrames.append(key)
track.KeyFrames.append(CameraKeyFrame(KeyTime=1, Position=[-6.7, 0, 0]))
scene.Cues.append(track)
scene.NumberOfFrames = 9
"""
GROWS = """
track = GetAnimationTrack("Height", proxy=cone)
track.KeyFrames = [CompositeKeyFrame(KeyTime=0, KeyValues=[1]), CompositeKeyFrame(KeyTime=1, KeyValues=[3])]
scene.NumberOfFrames = 5
"""
ARGUMENTS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("height", type=float)
height = parser.parse_args().height
"""
SCRIPTS = {
    "track": BUILD + TRACK + SAVE,
    "path": BUILD + PATH + SAVE,
    "ends": BUILD + GROWS + SAVE + "Disconnect()\n",
    "arguments": ARGUMENTS + BUILD + GROWS + "cone.Radius = height\n" + SAVE,
    "set": "# state file generated using paraview version 6.0.1\n" + BUILD + "view.Set(ViewSize=[320, 240])\n"
    + GROWS + SAVE,
    "times": BUILD + "for i in range(4):\n    view.ViewTime = i\n    SaveScreenshot('x.png', view)\n",
    "turns": BUILD + "for i in range(36):\n    GetActiveCamera().Azimuth(10)\n    SaveScreenshot('x.png')\n",
}  # fmt: skip
GRID = """<Grid Name="m" GridType="Uniform"><Time Value="{step}"/>
<Topology TopologyType="3DCoRectMesh" Dimensions="{n} {n} {n}"/><Geometry GeometryType="ORIGIN_DXDYDZ">
<DataItem Dimensions="3" Format="XML">0 0 0</DataItem>
<DataItem Dimensions="3" Format="XML">{d} {d} {d}</DataItem></Geometry>
<Attribute Name="RTData" AttributeType="Scalar" Center="Node"><DataItem Dimensions="{n} {n} {n}" NumberType="Float"
Precision="4" Format="HDF">s{step}.h5:/Data0</DataItem></Attribute></Grid>
"""

# The file with the data of a timestep, behind an index file of each format. Of format n, the file of frame 2 n changes.
BEHIND = {
    "pvtu": "pvtu_{0}/pvtu_{0}_0.vtu",
    "pvti": "pvti_{0}/pvti_{0}_0.vti",
    "pvtp": "pvtp_{0}/pvtp_{0}_0.vtp",
    "vtm": "vtm_{0}/vtm_{0}_0_0.vti",
    "vtpc": "vtpc_{0}/vtpc_{0}_0_0.vti",
    "vtk": "vtk_{0}.vtk",  # behind a .vtk.series
}
CHANGES = [(name.format(2 * number + 1), name.format(2 * number)) for number, name in enumerate(BEHIND.values())]
