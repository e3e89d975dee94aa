"""Measure while rendering: the values match ParaView's own, and the images do not change."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run

SMALL = ("--size", "80x50", "--movie", "none")


# Computes the reference values of a source directly from its data.
BY_HAND = """
import json, sys
from paraview import servermanager, simple

def measure(name):
    source = simple.FindSource(name)
    integral = simple.IntegrateVariables(Input=source)
    simple.UpdatePipeline(simple.GetAnimationScene().TimeKeeper.Time, integral)
    data, whole, numbers = servermanager.Fetch(source), servermanager.Fetch(integral), {}
    for number in range(data.GetPointData().GetNumberOfArrays()):
        array = data.GetPointData().GetArray(number)
        least, most = array.GetRange(-1 if array.GetNumberOfComponents() > 1 else 0)
        numbers.update({f"{name}.{array.GetName()} min": least, f"{name}.{array.GetName()} max": most})
    for found in (whole.GetPointData(), whole.GetCellData()):
        for array in map(found.GetArray, range(found.GetNumberOfArrays())):
            parts = array.GetTuple(0)
            for place, value in enumerate(parts):
                numbers[f"integral({name}).{array.GetName()}" + f" {place}" * (len(parts) > 1)] = value
    simple.Delete(integral)
    return numbers

"""


OF_VALUES = """
found = []
for value in (110, 150):
    for side in (0, 2):
        simple.ResetSession()
        simple.LoadState(sys.argv[1])
        simple.FindSource("Contour1").Isosurfaces = [value]
        simple.FindSource("Slice1").SliceType.Origin = [side, 0, 0]
        simple.Render()
        found.append({**measure("Contour1"), **measure("Slice1"), **measure("can.ex2")})
json.dump(found, open(sys.argv[2], "w"))
"""


OF_FRAMES = """
simple.LoadState(sys.argv[1])
scene, found = simple.GetAnimationScene(), []
scene.GoToFirst()
while True:
    found.append({name: value for source in sys.argv[3:] for name, value in measure(source).items()})
    before = scene.TimeKeeper.Time
    scene.GoToNext()
    if scene.TimeKeeper.Time == before:
        break
json.dump(found, open(sys.argv[2], "w"))
"""


def by_hand(pvbatch: Run, folder: Path, script: str, *arguments: object) -> list[dict[str, float]]:
    """Run a script that computes the reference values in pvbatch."""
    (folder / "by_hand.py").write_text(BY_HAND + script)
    state, *rest = arguments
    pvbatch(folder / "by_hand.py", state, folder / "by_hand.json", *rest)
    return json.loads((folder / "by_hand.json").read_text())


def measuring(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--measure", text)]


def rows_in(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def assert_numbers(row: dict[str, str], expected: dict[str, float]) -> None:
    """Compare all values of a row; fail if it has none."""
    numbers = {name: float(text) for name, text in list(row.items())[list(row).index("image") + 1 :]}
    assert numbers
    assert numbers == pytest.approx({name: expected[name] for name in numbers}, rel=1e-9, abs=1e-9)


@pytest.mark.slow
def test_the_numbers_of_a_study_are_those_found_by_hand_and_stay_when_it_goes_on(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    expected = by_hand(pvbatch, tmp_path, OF_VALUES, scenes.state("cut"))
    texts = ("Contour1.Normals", "integral(Contour1).Area", "integral(Contour1).Normals", "integral(Slice1).RTData",
             "can.ex2.RTData", "Slice1.RTData")  # fmt: skip
    values = ("--vary", "Contour1.Isosurfaces=110,150", "--vary", "Slice1.SliceType.Origin=[0,0,0],[2,0,0]")
    output = tmp_path / "cut_study"
    command = ("study", scenes.state("cut"), *values, *SMALL, "--size", "40x25")
    done = run(*command, *measuring(*texts), "--ranks", 2)
    assert done.returncode == 0, done.stderr
    assert f"measured  {output / 'study.csv'}" in done.stdout
    rows = rows_in(output / "study.csv")
    assert len(rows) == 8
    for row, numbers in zip(rows, (numbers for numbers in expected for _ in range(2))):
        assert_numbers(row, numbers)
    told = json.loads((output / "study.json").read_text())
    assert told[0]["measured"] == {name: float(rows[0][name]) for name in told[0]["measured"]}
    assert len(told[0]["measured"]) == 11
    (output / rows[4]["image"]).unlink()
    (output / "study.csv").unlink()
    assert "1 rendered, 7 kept from before" in run(*command, *measuring(*texts), "--ranks", 1).stdout
    assert rows_in(output / "study.csv") == rows
    other = run(*command, *measuring("Slice1.RTData"), "--ranks", 1)
    assert "8 images here are made with other options; rendered again" in other.stdout
    assert [row["Slice1.RTData max"] for row in rows_in(output / "study.csv")] == [
        row["Slice1.RTData max"] for row in rows
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sources", "texts"),
    [
        ("annotated", ("Contour1", "Wavelet1"), ("Contour1.RTData", "integral(Contour1).Area", "Wavelet1.RTData")),
        ("flow", ("Tracer1",), ("Tracer1.ParticleAge", "Tracer1.velocity", "integral(Tracer1).ParticleAge")),
    ],
)
def test_images_are_the_same_and_the_numbers_those_of_their_frames(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str, sources: tuple[str], texts: tuple[str]
) -> None:
    """Covers axes around the previous frame's data, a hidden source and particle tracers; frames are interleaved."""
    expected = by_hand(pvbatch, tmp_path, OF_FRAMES, scenes.state(name), *sources)
    output = tmp_path / "out"
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--schedule", "interleaved", "--output", output)
    done = run("render", scenes.state(name), *words, *measuring(*texts))
    assert done.returncode == 0, done.stderr
    assert_same_pictures(output / SIZE, scenes.frames(name))
    page = (output / "report.html").read_text()
    assert all(f"<h3>{text}" in page for text in texts), "a chart for each number"
    assert page.count("data:image/webp") > len(expected)
    assert "ParaView 5" in page
    rows = rows_in(output / "measured.csv")
    assert [row["frame"] for row in rows] == [str(frame) for frame in range(len(expected))]
    for row, numbers in zip(rows, expected):
        assert_numbers(row, numbers)
    times = [float(row["time"]) for row in rows]
    assert times == sorted(set(times)), "the animation time of each frame"


@pytest.mark.slow
def test_readers_that_jump_in_time_are_measured_at_the_time_of_the_image(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--output", output)
    done = run("render", scenes.state("pulse"), *words, *measuring("integral(XMLPolyDataReader1).Area"))
    assert done.returncode == 0, done.stderr
    assert_same_pictures(output / SIZE, scenes.frames("pulse"))
    areas = [float(row["integral(XMLPolyDataReader1).Area"]) for row in rows_in(output / "measured.csv")]
    squares = [radius**2 for radius in (2, 4, 1, 3) for _ in range(3)][: len(areas)]
    assert [area / areas[0] * 4 for area in areas] == pytest.approx(squares, rel=1e-6)


# Two ranks split the data at mid-height: the surface is in the lower half, then in the upper half, then gone.
SCRIPT = """
from paraview.simple import *
wavelet = Wavelet(WholeExtent=[-6, 6, -6, 6, -6, 6])
height = Elevation(registrationName="Height", Input=wavelet, LowPoint=[0, 0, -6], HighPoint=[0, 0, 6])
surface = Contour(registrationName="Surface", Input=height, ContourBy=["POINTS", "Elevation"], Isosurfaces=[0.25])
Show(surface, GetActiveViewOrCreate("RenderView"))
Render()
track = GetAnimationTrack("ContourValues", index=0, proxy=surface)
track.KeyFrames = [CompositeKeyFrame(KeyTime=0, KeyValues=[0.25]), CompositeKeyFrame(KeyTime=1, KeyValues=[1.25])]
GetAnimationScene().NumberOfFrames = 3
"""


@pytest.mark.slow
def test_ranks_that_share_a_frame_measure_the_whole_and_of_nothing_there_is_no_number(run: Run, tmp_path: Path) -> None:
    (tmp_path / "surface.py").write_text(SCRIPT)
    texts = ("Height.Elevation", "integral(Height).Volume", "Surface.Elevation", "integral(Surface).Area",
             "integral(Surface).Normals")  # fmt: skip
    found = []
    for count in (1, 2):
        output = tmp_path / f"{count}"
        words = (*SMALL, "--ranks", 2, "--ranks-per-frame", count, "--output", output)
        done = run("render", "surface.py", *words, *measuring(*texts))
        assert done.returncode == 0, done.stderr
        rows = rows_in(output / "measured.csv")
        found.append([[float(text or "nan") for text in list(row.values())[7:]] for row in rows])
    one, two = found
    assert one[0][:7] == pytest.approx([0, 1, 12**3, 0.25, 0.25, 12**2, 0], abs=1e-6)
    assert (one[1][3], one[1][5]) == pytest.approx((0.75, 12**2))
    assert all(map(math.isnan, one[2][3:])), "the last frame has no surface"
    for mine, theirs in zip(one, two):
        assert theirs == pytest.approx(mine, rel=1e-9, abs=1e-6, nan_ok=True)


@pytest.mark.slow
def test_sources_that_are_not_there_are_reported_before_a_rank_starts_and_arrays_before_a_frame_is_rendered(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("render", scenes.state("cut"), *SMALL, "--output", output, "--ranks", 2)
    done = run(*command, *measuring("Contuor1.RTData", "integral(Slice2).Area"), "--size", "huge")
    assert done.returncode == 2
    assert (
        "--measure Contuor1.RTData: the scene has no source named 'Contuor1', did you mean 'Contour1'?" in done.stderr
    )
    assert "no source named 'Slice2', did you mean 'Slice1'?; it has: " in done.stderr
    assert not output.exists()
    done = run(*command, *measuring("Contour1.RTDate", "integral(can.ex2).Area", "Slice1.RTData"))
    assert done.returncode == 2, done.stderr
    assert [line.removeprefix("mpirender: error: ") for line in done.stderr.splitlines()] == [
        "--measure Contour1.RTDate: Contour1 has no array 'RTDate', did you mean 'RTData'?; it has: RTData, Normals",
        "--measure integral(can.ex2).Area: the integral of can.ex2 has no array 'Area'; it has: RTData, Volume",
    ]
    assert not list(output.rglob("*.png"))


@pytest.mark.slow
def test_sources_of_a_script_are_known_when_it_has_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "surface.py").write_text(SCRIPT)
    done = run("render", "surface.py", *SMALL, "--output", tmp_path / "out", *measuring("Surfaces.Elevation"))
    assert done.returncode == 2, done.stderr
    assert "--measure Surfaces.Elevation: the scene has no source named 'Surfaces', did you mean" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))
