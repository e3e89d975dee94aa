"""Write a state in which a filter draws random numbers while its data change; runs in pvbatch.

``pvbatch --no-mpi make_random_scenes.py STATE MaskPoints|RandomVectors|Seeds|Probe``
"""

import sys

from paraview import simple


def animate(name, proxy, first, last):
    """Let a track move a property from one value to another."""
    track = simple.GetAnimationTrack(name, index=0, proxy=proxy)
    keys = [simple.CompositeKeyFrame(KeyTime=time, KeyValues=[value]) for time, value in ((0, first), (1, last))]
    track.KeyFrames = keys
    for key in keys:
        simple.servermanager.ProxyManager().RegisterProxy("animation", f"{name}{key.KeyTime}", key.SMProxy)


def masked():
    """Show points of changing data that are chosen at random."""
    wavelet = simple.Wavelet()
    animate("Maximum", wavelet, 100, 300)
    return simple.MaskPoints(
        Input=wavelet, RandomSampling=1, RandomSamplingMode="Spatially Stratified Random Sampling",
        MaximumNumberofPoints=300, GenerateVertices=1,
    )  # fmt: skip


def vectors():
    """Show random vectors at the points of changing data."""
    wavelet = simple.Wavelet()
    animate("Maximum", wavelet, 100, 300)
    arrows = simple.Glyph(Input=simple.RandomVectors(Input=wavelet), GlyphType="Arrow")
    arrows.OrientationArray, arrows.MaximumNumberOfSamplePoints = ["POINTS", "BrownianVectors"], 100
    return arrows


def seeds():
    """Show streamlines from a moving cloud of random seeds."""
    gradient = simple.Gradient(Input=simple.Wavelet())
    gradient.ScalarArray = ["POINTS", "RTData"]
    gradient.UpdatePipeline()
    lines = simple.StreamTracer(Input=gradient, SeedType="Point Cloud")
    lines.Vectors = ["POINTS", "Gradient"]
    lines.SeedType.Radius, lines.SeedType.NumberOfPoints = 3, 10
    animate("Center", lines.SeedType, -5, 5)
    return simple.Tube(Input=lines, Radius=0.2)


def probe():
    """Show the points of a cloud whose radius grows."""
    cloud = simple.ProbeLocation(Input=simple.Wavelet(), ProbeType="Fixed Radius Point Source")
    cloud.ProbeType.NumberOfPoints = 50
    animate("Radius", cloud.ProbeType, 1, 8)
    return simple.Glyph(Input=cloud, GlyphType="Sphere")


view = simple.CreateView("RenderView")
view.ViewSize = [480, 270]
simple.Show({"MaskPoints": masked, "RandomVectors": vectors, "Seeds": seeds, "Probe": probe}[sys.argv[2]](), view)
view.ResetCamera()
simple.GetAnimationScene().NumberOfFrames = 7
simple.SaveState(sys.argv[1])
