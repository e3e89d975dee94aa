"""``mpirender study``: every combination of values, each the picture that the same values make by hand."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender.errors import UsageError
from mpirender.job import sweep
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.job.sweep import Axis
from mpirender.monitor import sweep_report
from mpirender.monitor.sweep_report import Row
from mpirender.movie import encode
from mpirender.ranks import schedule
from mpirender.run_folder import journal
from mpirender.supervisor.retry_policy import Fate
from processes import Run


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("C.R=3,6,12", ("3", "6", "12")),
        ("C.R=100:200:20", ("100", "120", "140", "160", "180", "200")),
        ("C.R=1:4", ("1", "2", "3", "4")),
        ("C.R=3:1:-1", ("3", "2", "1")),
        ("C.R=0:0.3:0.1", ("0", "0.1", "0.2", "0.3")),
        ("C.R=0:1:0.4", ("0", "0.4", "0.8")),
        ("C.R=[100,130],[120]", ("[100,130]", "[120]")),
        ("C.R='a,b',c", ("'a,b'", "c")),
        ("T.Text=12:30:00 h", ("12:30:00 h",)),
        ("R.Representation=Surface,Surface With Edges", ("Surface", "Surface With Edges")),
    ],
)
def test_values_are_listed_or_counted(text: str, values: tuple[str, ...]) -> None:
    assert sweep.parse(text) == Axis(text.partition("=")[0], values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Cone1", "write NAME.PROPERTY="), ("C.R=", "write NAME.PROPERTY="), ("C=3", "write NAME.PROPERTY="),
        ("C.R=3,,4", "a value is missing"), ("C.R=3,4,3", "a value is there twice"),
        ("C.R=1:5:0", "no step of 0 leads from 1 to 5"), ("C.R=5:1:1", "no step of 1 leads from 5 to 1"),
        ("C.R=0:1e9:1", "are more than 10000"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_values_is_told(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"--vary .*{reason}"):
        RenderJob("x.pvsm", vary=(text,))


def test_folders_tell_the_values_and_are_never_the_same() -> None:
    both = [sweep.parse("Cone1.Resolution=3,6"), sweep.parse("Slice1.Origin=[0,0,1],[0,0,2]")]
    found = sweep.all_of(both)
    assert [one.name for one in found] == [
        f"Resolution={sides},Origin=0_0_{height}" for sides in (3, 6) for height in (1, 2)
    ]
    assert found[1].overrides == ("Cone1.Resolution=3", "Slice1.Origin=[0,0,2]")
    alike = sweep.all_of([sweep.parse("A.X=1,2"), sweep.parse("B.X=1,2")])
    assert alike[0].name == "A.X=1,B.X=1"
    clash = sweep.all_of([sweep.parse("T.Text='a b','a_b'")])
    assert [one.name for one in clash] == ["0000,Text=a_b", "0001,Text=a_b"]


def test_a_study_of_one_frame_is_dealt_out_by_its_values_and_all_sizes_of_them_go_together() -> None:
    job = RenderJob("x.pvsm", vary=("C.R=3,6,9,12",), sizes=("HD", "4K"), frames="0")
    images = [Image(0, output.name) for output in job.outputs]
    shares = [schedule.share(images, (), rank, 2, "interleaved") for rank in (0, 1)]
    assert [image.output for image in shares[1]] == ["R=6/HD", "R=6/4K", "R=12/HD", "R=12/4K"]
    assert job.movie_path(job.outputs[0]).name == "x_R=3_HD.mp4"


def test_an_image_of_a_study_is_tried_alone_with_its_values_set() -> None:
    job = RenderJob("x.pvsm", vary=("C.R=3,6",), overrides="A.B=1", views=("V1", "V2"), sizes="HD", ranks=4)
    words = shlex.split(Fate(job, "run").alone(Image(2, "R=6/V2_HD")))
    for expected in ("--set A.B=1 --set C.R=6", "--view V2", "--frames 2", "--size V2_HD=1920x1080", "--ranks 1"):
        assert expected in " ".join(words)
    assert "--vary" not in words


def test_without_values_or_with_two_ways_to_say_which_frame_it_is_refused(run: Run, pattern) -> None:
    done = run("study", pattern(), "--at", 1, "--frames", "0-2")
    assert done.returncode == 2
    assert "--vary NAME.PROPERTY=VALUES is missing" in done.stderr
    assert "--at and --frames exclude each other" in done.stderr
    both = run("study", pattern(), "--vary", "Cone1.Resolution=3,6", "--vary", "Cone1").stderr
    assert "--vary is of no use for test patterns" in both, (
        "what is wrong with the scene is told with what is wrong with options"
    )
    assert "write NAME.PROPERTY=" in both
    assert "--vary is of no use" in run("study", pattern(), "--vary", "Cone1.Resolution=3,6").stderr


def test_the_sheet_has_the_last_property_along_the_top_and_the_rest_down_the_side(tmp_path: Path) -> None:
    import imageio.v3 as iio
    import numpy as np

    job = RenderJob("x.pvsm", tmp_path, vary=("A.X=1,2,3", "B.Y=4,5"), sizes=("40x20",))
    rows = []
    for place, output in enumerate(job.outputs):
        (tmp_path / output.name).mkdir(parents=True)
        image = job.image(output, 0)
        iio.imwrite(image, np.full((20, 40, 3), 40 * place + 20, np.uint8))
        values = dict(text.split("=") for text in output.overrides)
        rows.append(Row(values, output, 0, str(image.relative_to(tmp_path))))
    sheet = pixels(sweep_report.contact_sheet(job, [sweep.parse(text) for text in job.vary], rows))
    left = sheet.shape[1] - 2 * (40 + sweep_report.GAP)
    for place in range(6):
        row, column = divmod(place, 2)
        y, x = sweep_report.LABEL + row * (20 + sweep_report.GAP) + 10, left + column * (40 + sweep_report.GAP) + 20
        assert sheet[y, x].tolist() == [40 * place + 20] * 3
    assert (sheet[: sweep_report.LABEL - 4] != sweep_report.PAPER).any(), "labels along the top"
    assert (sheet[sweep_report.LABEL :, : left - sweep_report.GAP] != sweep_report.PAPER).any(), "and down the side"


@pytest.mark.slow
def test_every_combination_is_the_picture_made_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Three values times four, on two ranks; one that is lost is rendered again, alone."""
    by_hand = tmp_path / "by_hand.py"
    by_hand.write_text(
        "import sys\nfrom paraview import simple\nsimple._DisableFirstRenderCameraReset()\n"
        "for value in (100, 130, 160):\n    for side in (0, 1, 2, 3):\n"
        "        simple.ResetSession()\n        simple.LoadState(sys.argv[1])\n"
        "        simple.FindSource('Contour1').Isosurfaces = [value]\n"
        "        simple.FindSource('Slice1').SliceType.Origin = [side, 0, 0]\n"
        "        view = simple.GetActiveView()\n        simple.Render(view)\n"
        "        simple.GetAnimationScene().AnimationTime = 0.5\n"
        "        simple.SaveScreenshot(f'{sys.argv[2]}/{value}_{side}.png', view, ImageResolution=[480, 270])\n"
    )
    (tmp_path / "hand").mkdir()
    pvbatch(by_hand, scenes.state("cut"), tmp_path / "hand")
    values = ("Contour1.Isosurfaces=100:160:30", "Slice1.SliceType.Origin=[0,0,0],[1,0,0],[2,0,0],[3,0,0]")
    vary = [word for text in values for word in ("--vary", text)]
    command = ("study", scenes.state("cut"), *vary, "--at", 1, "--size", SIZE, "--ranks", 2)
    done = run(*command)
    assert done.returncode == 0, done.stderr
    output = tmp_path / "cut_study"
    table = list(csv.DictReader((output / "study.csv").read_text().splitlines()))
    assert len(table) == 12
    for row in table:
        made = f"{row['Contour1.Isosurfaces']}_{row['Slice1.SliceType.Origin'][1]}.png"
        assert (pixels(output / row["image"]) == pixels(tmp_path / "hand" / made)).all(), row
    first = json.loads((output / "study.json").read_text())[0]
    assert first["values"] == {"Contour1.Isosurfaces": "100", "Slice1.SliceType.Origin": "[0,0,0]"}
    assert (first["frame"], first["image"]) == (1, f"Isosurfaces=100,Origin=0_0_0/{SIZE}/frame_000001.png")
    assert (output / "contact_sheet.png").is_file()
    assert not list(output.glob("*.mp4"))
    (output / table[5]["image"]).unlink()
    assert "1 rendered, 11 kept from before" in run(*command).stdout
    records = journal.read(output / ".mpirender")
    assert sum(record["event"] == "done" for record in records) == 13


@pytest.mark.slow
def test_with_frames_each_combination_has_a_movie_of_its_own(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--vary", "Contour1.Isosurfaces=100,160", "--frames", "0-2", "--size", SIZE, "--ranks", 3)
    done = run("study", scenes.state("cut"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for value in (100, 160):
        assert encode.read_back(tmp_path / "out" / f"cut_Isosurfaces={value}_{SIZE}.mp4").frames == 3
    state = scenes.state("cut")
    alone = run("render", state, "--set", "Contour1.Isosurfaces=160", "--size", SIZE, "--output", tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    assert_same_pictures(tmp_path / "out" / "Isosurfaces=160" / SIZE, tmp_path / "alone" / SIZE)


@pytest.mark.slow
def test_every_value_is_tried_before_anything_is_rendered(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--vary", "GeometryRepresentation1.Opacity=0.5,2", "--vary", "Slice1.SliceType=Plane,Ball")
    done = run("study", scenes.state("cut"), *words, "--size", SIZE, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "--vary GeometryRepresentation1.Opacity=2: it does not take '2'" in done.stderr
    assert "--vary Slice1.SliceType=Ball: it does not take 'Ball'" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))
