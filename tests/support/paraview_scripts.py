"""The Python script that tests render as a scene."""

from __future__ import annotations

# As users write them, with calls that mpirender skips: screenshots, animations, saved data, interaction.
SCRIPT = """
from paraview.simple import *
import helper
cone = Cone(registrationName="Cone1", Resolution=helper.SIDES)
view = GetActiveViewOrCreate("RenderView")
view.ViewSize = [640, 400]
Show(cone, view)
Render()
view.AxesGrid.Visibility = 1
scene = GetAnimationScene()
scene.NumberOfFrames = 3
track = GetAnimationTrack("Height", proxy=cone)
track.KeyFrames = [CompositeKeyFrame(KeyTime=0, KeyValues=[1]), CompositeKeyFrame(KeyTime=1, KeyValues=[3])]
Render()
{more}
if __name__ == "__main__":
    SaveScreenshot("own.png", view)
    SaveAnimation("own_.png", view)
    SaveData("own.vtp", cone)
    Interact()
"""
