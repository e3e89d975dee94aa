"""Write the demo scene, field lines of a Hopf knot, as a ParaView state: pvbatch --no-mpi demo_scene.py OUT.pvsm.

In this magnetic field (A. F. Rañada, Lett. Math. Phys. 18, 97, 1989) every field line is a circle, and any two of them
are linked. The lines lie on tori, one inside the other. Nothing is rendered here, so no display is needed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from paraview import simple

Proxy = Any  # ParaView creates its classes at run time; they have no types

FRAMES = 100
UNIT = 14.0  # grid cells in the unit length of the formulas
HALF_WIDTH = 44  # of the grid, in cells: the largest torus and a margin
TORI = ((0.92, 12), (0.70, 24), (0.50, 28), (0.345, 24))  # inner radius in the plane z = 0, and number of field lines
# All numbers of lines are multiples of four: after a quarter turn the scene looks the same, so the movie loops.
TURN = math.pi / 2
RINGS = 6  # beads on each line; each moves to the place of the next one until the movie loops
LAST = (FRAMES - 1) / FRAMES  # the last frame is one step before the first, not equal to it
DISTANCE = 138.0  # of the camera, in cells
COLORS = (
    (0.01, (0.05, 0.56, 0.98)),
    (0.06, (0.50, 0.27, 0.92)),
    (0.25, (0.98, 0.32, 0.48)),
    (0.60, (1.00, 0.62, 0.22)),
    (1.00, (1.00, 0.93, 0.45)),
)
FOCUS = [0.0, 0.0, -5.0]  # a little below the center, since the parts near the camera extend far down
WHITE = [0.93, 0.95, 1.0]


def main(path: Path) -> None:
    """Build the scene and save it as a state."""
    simple._DisableFirstRenderCameraReset()
    view = make_view()
    lines = field_lines(magnetic_field())
    show_lines(lines, view)
    beads = show_beads(lines, view)
    show_title(view)
    animate(view, beads)
    view.CameraPosition = camera_position(0)  # last, since showing things moves the camera
    simple.SaveState(str(path))


def magnetic_field() -> Proxy:
    """Return a grid with the field's direction (along which a line closes after 2π) and its strength."""
    box = [-HALF_WIDTH, HALF_WIDTH]
    grid = simple.FastUniformGrid(registrationName="Grid", WholeExtent=box * 3)
    x, y, z = (f"(coords{axis}/{UNIT})" for axis in "XYZ")
    square = f"({x}^2+{y}^2+{z}^2)"
    direction = simple.Calculator(registrationName="Direction", Input=grid, ResultArrayName="Direction")
    direction.Function = f"{UNIT}*(({x}*{z}-{y})*iHat + ({y}*{z}+{x})*jHat + 0.5*(1+{z}^2-{x}^2-{y}^2)*kHat)"
    strength = simple.Calculator(registrationName="Strength", Input=direction, ResultArrayName="Strength")
    strength.Function = f"1/(1+{square})^2"
    return strength


def field_lines(field: Proxy) -> Proxy:
    """Return the field lines of all tori, each line one circle."""
    tori = []
    for number, (radius, count) in enumerate(TORI, start=1):
        seeds = simple.Ellipse(registrationName=f"Seeds{number}", Center=[0, 0, 0], Normal=[0, 0, 1], Ratio=1.0)
        seeds.MajorRadiusVector = [UNIT * radius, 0, 0]
        seeds.Resolution = count
        lines = simple.StreamTracerWithCustomSource(registrationName=f"Torus{number}", Input=field, SeedSource=seeds)
        lines.Vectors = ["POINTS", "Direction"]
        lines.IntegrationDirection = "FORWARD"
        lines.MaximumStreamlineLength = math.pi * UNIT * (radius + 1 / radius)  # lines of a torus are equally long
        lines.MaximumSteps = 4000
        lines.InitialStepLength = 0.5
        lines.MaximumStepLength = 1.0
        tori.append(lines)
    return simple.AppendGeometry(registrationName="FieldLines", Input=tori)


def show_lines(lines: Proxy, view: Proxy) -> None:
    """Show the lines as tubes colored by the strength of the field, with a legend."""
    tubes = simple.Tube(registrationName="Tubes", Input=lines, Radius=0.42, NumberofSides=10, Capping=0)
    tubes.Vectors = ["POINTS", "1"]
    shown = simple.Show(tubes, view)
    simple.ColorBy(shown, ("POINTS", "Strength"))
    shown.Specular, shown.SpecularPower = 0.5, 40.0
    shown.Ambient, shown.Diffuse = 0.12, 0.95
    colors = simple.GetColorTransferFunction("Strength")
    colors.ColorSpace = "Lab"
    colors.RGBPoints = [number for value, color in COLORS for number in (value, *color)]
    colors.UseLogScale = 1
    colors.AutomaticRescaleRangeMode = "Never"  # otherwise a frame depends on the frames before it
    shown.SetScalarBarVisibility(view, True)
    arrange_legend(simple.GetScalarBar(colors, view))


def arrange_legend(legend: Proxy) -> None:
    """Put the legend at the right, large enough for a small image."""
    legend.Title, legend.ComponentTitle, legend.HorizontalTitle = "Field strength\nB / Bmax", "", 1
    legend.Orientation = "Vertical"
    legend.WindowLocation = "Any Location"
    legend.Position, legend.ScalarBarLength, legend.ScalarBarThickness = [0.88, 0.17], 0.6, 28
    legend.TitleColor = legend.LabelColor = WHITE
    legend.TitleFontSize, legend.LabelFontSize = 30, 28
    legend.AutomaticLabelFormat = 0
    plain = "{:g}" if simple.GetParaViewVersion() >= (6, 1) else "%g"
    legend.LabelFormat, legend.RangeLabelFormat = plain, plain


def show_beads(lines: Proxy, view: Proxy) -> Proxy:
    """Show beads on the lines, where the time along the line has RINGS values; return the filter that sets them."""
    places = simple.Contour(registrationName="BeadPlaces", Input=lines, ContourBy=["POINTS", "IntegrationTime"])
    places.ComputeNormals = 0
    places.Isosurfaces = [ring * 2 * math.pi / RINGS for ring in range(RINGS)]
    shown = simple.Show(places, view)
    shown.SetRepresentationType("3D Glyphs")
    shown.GlyphType = "Sphere"
    shown.GlyphType.Radius = 0.9
    shown.GlyphType.ThetaResolution = shown.GlyphType.PhiResolution = 20
    simple.ColorBy(shown, None)
    shown.DiffuseColor = shown.AmbientColor = [1.0, 0.97, 0.88]
    shown.Ambient, shown.Diffuse, shown.Specular = 0.35, 0.7, 0.4
    return places


def make_view() -> Proxy:
    """Return a view of HD size, so that ParaView renders each HD frame in one pass."""
    view = simple.CreateRenderView()
    view.ViewSize = [1920, 1080]
    view.UseColorPaletteForBackground = 0
    view.BackgroundColorMode = "Gradient"
    view.Background, view.Background2 = [0.015, 0.02, 0.05], [0.07, 0.10, 0.20]
    view.OrientationAxesVisibility = 0
    view.CameraViewUp, view.CameraFocalPoint = [0, 0, 1], FOCUS
    simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Hopf knot"))
    return view


def show_title(view: Proxy) -> None:
    """Show the name of the scene and a description."""
    for name, text, size, place in (
        ("Title", "Hopf knot", 56, [0.035, 0.885]),
        ("Subtitle", "Every field line\nis a circle, linked\nwith every other", 34, [0.035, 0.765]),
    ):
        shown = simple.Show(simple.Text(registrationName=name, Text=text), view)
        shown.WindowLocation, shown.Position = "Any Location", place
        shown.Color, shown.FontSize, shown.Bold = WHITE, size, int(name == "Title")
        shown.Justification = "Left"


def animate(view: Proxy, beads: Proxy) -> None:
    """Move the camera a quarter turn, and each bead to the place of the next."""
    animation = simple.GetAnimationScene()
    animation.PlayMode = "Sequence"
    animation.StartTime, animation.EndTime, animation.NumberOfFrames = 0.0, 1.0, FRAMES
    for ring in range(RINGS):
        track = simple.GetAnimationTrack("ContourValues", index=ring, proxy=beads)
        place = 2 * math.pi / RINGS
        track.KeyFrames = [
            key_frame(simple.CompositeKeyFrame, f"Bead{ring}From", KeyTime=0.0, KeyValues=[ring * place]),
            key_frame(simple.CompositeKeyFrame, f"Bead{ring}To", KeyTime=1.0, KeyValues=[(ring + LAST) * place]),
        ]
    path = [value for step in range(25) for value in camera_position(LAST * step / 24)]
    camera = simple.GetCameraTrack(view=view)
    camera.Mode = "Path-based"
    start = key_frame(simple.CameraKeyFrame, "CameraFrom", KeyTime=0.0)
    start.PositionPathPoints, start.FocalPathPoints = path, FOCUS
    start.ViewUp, start.ClosedPositionPath = [0, 0, 1], 0
    camera.KeyFrames = [start, key_frame(simple.CameraKeyFrame, "CameraTo", KeyTime=1.0)]


def key_frame(kind: Proxy, name: str, **values: object) -> Proxy:
    """Return a key frame and register it: only registered ones are saved in the state."""
    frame = kind(**values)
    simple.servermanager.ProxyManager().RegisterProxy("animation", name, frame.SMProxy)
    return frame


def camera_position(part: float) -> list[float]:
    """Return the camera position at a part of its path, 0 to 1: it turns, rises and sinks."""
    azimuth = -math.pi / 2 + TURN * part
    elevation = math.radians(31 + 5 * math.sin(2 * math.pi * part))
    flat = DISTANCE * math.cos(elevation)
    return [flat * math.cos(azimuth), flat * math.sin(azimuth), DISTANCE * math.sin(elevation)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: pvbatch --no-mpi demo_scene.py OUT.pvsm")
    main(Path(sys.argv[1]))
