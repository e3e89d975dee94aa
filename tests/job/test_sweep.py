"""Parse the values of a parameter study, and name its folders."""

from __future__ import annotations

import shlex

import pytest

from mpirender.errors import UsageError
from mpirender.job import sweep
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.job.sweep import Axis
from mpirender.ranks import schedule
from mpirender.supervisor.crash_recovery import CrashRecovery
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
        ("C.R=3,,4", "a value is missing"), ("C.R=3,4,3", "a value is given twice"),
        ("C.R=1:5:0", "no step of 0 leads from 1 to 5"), ("C.R=5:1:1", "no step of 1 leads from 5 to 1"),
        ("C.R=0:1e9:1", "are more than 10000"),
    ],
)  # fmt: skip
def test_an_invalid_list_of_values_is_reported(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"^vary .*{reason}"):
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
    words = shlex.split(CrashRecovery(job, "run").command_for(Image(2, "R=6/V2_HD")))
    for expected in ("--set A.B=1 --set C.R=6", "--view V2", "--frames 2", "--size V2_HD=1920x1080", "--ranks 1"):
        assert expected in " ".join(words)
    assert "--vary" not in words


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (
            ("A.B=1:1000",) * 1 + ("A.C=1:1000", "A.D=1:1000"),
            "1000 × 1000 × 1000 values make 1000000000 variants, more",
        ),
        (("A.B=0:1e308:1e-300",), "the numbers are too large"),
        (("A.B=0:1e999",), "the numbers are too large"),
    ],
)
def test_too_many_values_are_refused_at_once(vary: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        RenderJob("x.pvsm", vary=vary)
    assert message in caught.value.message


def test_without_values_or_with_two_ways_to_say_which_frame_it_is_refused(run: Run, pattern) -> None:
    done = run("study", pattern(), "--at", 1, "--frames", "0-2")
    assert done.returncode == 2
    assert "--vary NAME.PROPERTY=VALUES is missing" in done.stderr
    assert "--at and --frames exclude each other" in done.stderr
    both = run("study", pattern(), "--vary", "Cone1.Resolution=3,6", "--vary", "Cone1").stderr
    assert "--vary does not apply to test patterns" in both, (
        "mistakes in the scene and in the options are reported together"
    )
    assert "write NAME.PROPERTY=" in both
    assert "--vary does not apply" in run("study", pattern(), "--vary", "Cone1.Resolution=3,6").stderr
