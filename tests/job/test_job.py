from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from mpirender.cli.commands import render, study
from mpirender.cli.job_from_options import job_of
from mpirender.errors import UsageError
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("HD", Size("HD", 1920, 1080)),
        ("4k", Size("4K", 3840, 2160)),
        ("640x361", Size("640x361", 640, 361)),
        ("small=320x180", Size("small", 320, 180)),
    ],
)
def test_a_size_is_a_name_or_pixels_or_both(text: str, size: Size) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "huge", "0x100", "100x0", "100", "99999x10", "a/b=10x10", "..=1x1", "-1x5"])
def test_a_bad_size_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"WIDTHxHEIGHT|1 to 16384"):
        Size.parse(text)


def test_a_job_reads_what_it_wrote(tmp_path: Path) -> None:
    job = RenderJob(
        scene=tmp_path / "a b.pvsm", sizes=("HD", "x=10x20"), frames="0-9x2", frame_rate="30000/1001",
        files={"reader": "/data/x.vtu"}, data_dir=tmp_path, transparent_background=True, ranks=3,
    )  # fmt: skip
    assert RenderJob.from_json(job.to_json()) == job
    assert job.rate == Fraction(30000, 1001)


def test_strings_are_taken_as_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = RenderJob(scene="orbit.pvsm")
    assert job.scene == tmp_path / "orbit.pvsm"
    assert job.output == tmp_path / "orbit_renders"
    assert job.outputs[0].size == Size("HD", 1920, 1080)
    assert job.movie_path(job.outputs[0]) == tmp_path / "orbit_renders" / "orbit_HD.mp4"


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(UsageError) as caught:
        RenderJob(
            scene="x.pvsm", sizes=("huge",), frames="a", frame_rate="0", movie="avi", image_format="bmp", ranks=0,
            samples=0, device="tpu", blender_engine="x", color_range="b", separator_width=-1, separator_color="red",
            compression_level=10, schedule="random", stereo_mode="x", on_error="y", override_color_palette="z",
            font_scaling="q",
            max_restarts=-1, frame_timeout=0, grace_period=-1, overrides="c", vary="d",
        )  # fmt: skip
    named = ["--size", "--frames", "--frame-rate", "--movie", "--image-format", "--ranks", "--samples", "--device"]
    named += ["--color-range", "--separator-width", "--separator-color", "--compression", "--set", "--vary"]
    named += ["--schedule", "--stereo-mode", "--on-error", "--override-color-palette", "--font-scaling"]
    named += ["--blender-engine", "--max-restarts", "--frame-timeout", "--grace-period"]
    for option in named:
        assert any(option in mistake for mistake in caught.value.mistakes), option


@pytest.mark.parametrize("rate", ["0", "-1", "abc", "1/0", "nan", "inf", "5000", ""])
def test_a_frame_rate_must_be_one(rate: str) -> None:
    with pytest.raises(UsageError, match=r"^frame_rate "):
        RenderJob(scene="x.pvsm", frame_rate=rate)


def test_two_sizes_of_one_name_are_refused_and_a_repeated_one_is_taken_once() -> None:
    with pytest.raises(UsageError, match="given twice"):
        RenderJob(scene="x.pvsm", sizes=("a=10x10", "a=20x20"))
    assert len(RenderJob(scene="x.pvsm", sizes=("HD", "hd")).sizes) == 1


def test_only_options_that_change_pixels_are_in_the_fingerprint() -> None:
    plain = RenderJob(scene="x.pvsm")
    same = RenderJob(scene="x.pvsm", ranks=7, movie="gif", schedule="contiguous", compression_level=9, frame_rate="10")
    other = RenderJob(scene="x.pvsm", override_color_palette="WhiteBackground")
    assert plain.pixel_options() == same.pixel_options() != other.pixel_options()


def test_a_job_tells_the_arguments_that_make_it(tmp_path: Path) -> None:
    """The command line must parse the arguments back to the same job."""
    job = RenderJob(
        scene=tmp_path / "a b.pvsm", sizes=("HD", "x=10x20", "30x40", "HD2=1920x1080"), frames="0-9x2",
        frame_rate="30000/1001", files={"reader": "/data/x y.vtu"}, data_dir=tmp_path, transparent_background=True,
        ranks=3, views=("RenderView2", "B"), layouts="Layout #1", overrides={"Cone1.Resolution": 3}, camera="orbit",
        color_range=("global", "p=0,1"), stereo_mode="Red-Blue", on_error="warn", frame_timeout=5, max_restarts=0,
    )  # fmt: skip
    context = render.make_context("render", job.arguments())
    options = {name: value for name, value in context.params.items() if name not in ("dry_run", "quiet", "verbose")}
    assert job_of(options) == job


def test_a_study_is_made_by_a_command_of_its_own(tmp_path: Path) -> None:
    job = RenderJob(tmp_path / "a.pvsm", vary=("Cone1.Resolution=3,6", "Cone1.Radius=1:2"), frames="0-2", sizes="HD")
    name, *words = job.command()[1:]
    assert name == "study"
    context = study.make_context(name, words)
    options = {
        name: value for name, value in context.params.items() if name not in ("dry_run", "quiet", "verbose", "at")
    }
    assert job_of(options) == job


def test_each_view_and_layout_has_a_folder_of_its_own_where_there_are_several(tmp_path: Path) -> None:
    one = RenderJob("x.pvsm", views=("RenderView1",), sizes=("HD", "4K"))
    assert [output.name for output in one.outputs] == ["HD", "4K"]
    assert one.outputs[0].shows == ["RenderView1", None]
    several = RenderJob("x.pvsm", tmp_path, views=("RenderView1", "a/b"), layouts=("Layout #1", "a b"), sizes="HD")
    assert [output.name for output in several.outputs] == ["RenderView1_HD", "a_b_HD", "Layout_1_HD", "a_b_2_HD"]
    assert [output.shows for output in several.outputs[1:3]] == [["a/b", None], [None, "Layout #1"]]
    assert several.movie_path(several.outputs[2]) == tmp_path / "x_Layout_1_HD.mp4"
    assert several.image(several.outputs[0], 3) == tmp_path / "RenderView1_HD" / "frame_000003.png"
