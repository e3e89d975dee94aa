"""Both eyes as two outputs, the options of single file formats: the files are those of ParaView's own dialog."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, pixels
from mpirender.cli.commands import render
from mpirender.cli.job_from_options import job_of
from mpirender.errors import UsageError
from mpirender.job.outputs import EYES, Image, Size
from mpirender.job.render_job import RenderJob
from mpirender.monitor import image_table
from mpirender.movie import encode
from mpirender.ranks import schedule
from mpirender.run_folder import journal
from mpirender.supervisor.retry_policy import Fate
from processes import Run
from repository import SUPPORT

BOTH = "Both Eyes"


def read_by_command(job: RenderJob) -> RenderJob:
    """Return the job that the command line makes of the arguments of a job."""
    params = render.make_context("render", job.arguments()).params
    return job_of({name: value for name, value in params.items() if name not in ("dry_run", "quiet", "verbose")})


def test_each_eye_has_a_folder_and_a_movie_and_both_are_rendered_by_one_rank(tmp_path: Path) -> None:
    job = RenderJob("x.pvsm", tmp_path, stereo_mode=BOTH, sizes=("HD", "40x20"), views=("A", "B"))
    names = [f"{view}_{size}_{eye}" for view in "AB" for size in ("HD", "40x20") for eye in EYES]
    assert [output.name for output in job.outputs] == names
    assert job.outputs[1].shows == ["A", None, "right"]
    assert job.movie_path(job.outputs[1]) == tmp_path / "x_A_HD_right.mp4"
    images = [Image(frame, name) for frame in range(4) for name in names]
    assert len({image.task for image in images}) == 4
    assert {image.frame for image in schedule.share(images, (), 0, 2, "interleaved")} == {0, 2}
    assert RenderJob("x.pvsm", stereo_mode="Red-Blue").outputs[0].shows == [None, None], "records of others stay valid"


def test_an_image_of_an_eye_is_tried_exclusive_access_the_folder_that_it_has(tmp_path: Path) -> None:
    job = RenderJob(tmp_path / "x.pvsm", stereo_mode=BOTH, sizes="HD", views=("V1", "V2"), vary=("C.R=3,6",))
    words = shlex.split(Fate(job, "run").alone(Image(2, "R=6/V2_HD_left")))
    assert words[:2] == ["mpirender", "render"]
    params = render.make_context("render", words[2:]).params
    alone = job_of({name: value for name, value in params.items() if name not in ("dry_run", "quiet", "verbose")})
    assert alone.sizes == (Size("V2_HD", 1920, 1080),)
    assert [output.name for output in alone.outputs] == ["V2_HD_left", "V2_HD_right"]
    assert (alone.frames, alone.views, alone.overrides) == ("2", ("V2",), ("C.R=6",))


def test_the_table_of_a_study_tells_the_eyes_apart_only_where_there_are_two(tmp_path: Path) -> None:
    for mode, expected in ((BOTH, ["left", "right"]), ("No change", [None])):
        job = RenderJob("x.pvsm", tmp_path, vary=("C.R=3",), sizes="HD", frames="0", stereo_mode=mode)
        result = SimpleNamespace(frames={output.name: [job.image(output, 0)] for output in job.outputs}, measured={})
        assert [image_table.about(row).get("eye") for row in image_table.rows_of(job, result)] == expected


@pytest.mark.parametrize(
    "options",
    [
        {"stereo_mode": BOTH},
        {"image_format": "jpg", "quality": 0},
        {"image_format": "tiff", "compression": "None"},
    ],
)
def test_the_command_line_reads_what_a_job_tells(tmp_path: Path, options: dict[str, object]) -> None:
    job = RenderJob(tmp_path / "x.pvsm", **options)
    assert read_by_command(job) == job == RenderJob.from_json(job.to_json())


def test_options_of_another_file_format_are_told_with_all_other_mistakes() -> None:
    with pytest.raises(UsageError) as caught:
        RenderJob("x.pvsm", quality=101, compression="LZW", frame_rate="0")
    told = "\n".join(caught.value.mistakes)
    assert "--quality 101 must be 0 to 100" in told
    assert "--quality is one of jpg files, not of png; leave it out, or add --image-format jpg" in told
    assert "--compression 'LZW' must be one of: None, PackBits, Deflate" in told
    assert "--compression is that of tiff files; --compression-level LEVEL is that of png" in told
    assert "--frame-rate" in told


def test_only_a_quality_that_is_given_is_in_the_fingerprint() -> None:
    plain = RenderJob("x.pvsm", image_format="jpg").pixel_options()
    assert "quality" not in plain
    assert RenderJob("x.pvsm", image_format="jpg", quality=95).pixel_options() == {**plain, "quality": 95}
    tiff = RenderJob("x.pvsm", image_format="tiff")
    assert RenderJob("x.pvsm", image_format="tiff", compression="None").pixel_options() == tiff.pixel_options()


def test_of_two_eyes_only_what_is_missing_is_rendered_again_and_the_movies_are_encoded_anew(
    run: Run, pattern, tmp_path: Path
) -> None:
    command = ("render", pattern(), "--stereo-mode", BOTH, "--size", "64x36", "--ranks", 2, "--output", tmp_path / "o")
    assert "64x36_left (64x36), 64x36_right (64x36): 12 images" in run(*command, "--dry-run").stdout
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert all(encode.read_back(tmp_path / "o" / f"test_64x36_{eye}.mp4").frames == 6 for eye in EYES)
    (tmp_path / "o" / "64x36_right" / "frame_000003.png").unlink()
    assert "64x36_right frame 3: gone" in run("encode", tmp_path / "o").stderr
    assert run("encode", tmp_path / "o", "--size", "64x36_left", "--movie", "gif").returncode == 0
    assert "1 rendered, 11 kept from before" in run(*command).stdout
    assert "12 of 12 done" in run("status", tmp_path / "o").stdout


def different(folder: Path, reference: Path, eye: str = "") -> list[str]:
    """Return the names of pictures that are not those of ParaView, of an eye, or of all."""
    found, expected = sorted(folder.glob("*.png")), sorted(reference.glob(f"*{eye}.png"))
    assert len(found) == len(expected) > 0
    return [one.name for one, other in zip(found, expected) if not np.array_equal(pixels(one), pixels(other))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["annotated", "pulse"])
def test_both_eyes_are_those_of_paraview_whichever_rank_renders_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str
) -> None:
    """Also after an image of one eye was lost, which depends on that of the other."""
    reference = tmp_path / "reference"
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), reference, SIZE, f"StereoMode={BOTH!r}")
    command = ("render", scenes.state(name), "--stereo-mode", BOTH, "--size", SIZE, "--ranks", 2)
    done = run(*command, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / "out" / f"{SIZE}_{eye}" for eye in EYES]
    assert [different(folder, reference, eye) for folder, eye in zip(folders, EYES)] == [[], []]
    assert not np.array_equal(*(pixels(folder / "frame_000002.png") for folder in folders))
    frames = len(list(folders[0].iterdir()))
    assert all(encode.read_back(tmp_path / "out" / f"{name}_{SIZE}_{eye}.mp4").frames == frames for eye in EYES)
    for lost in (folders[1] / "frame_000003.png", folders[0] / "frame_000002.png"):
        lost.unlink()
        assert f"1 rendered, {2 * frames - 1} kept from before" in run(*command, "--output", tmp_path / "out").stdout
    assert [different(folder, reference, eye) for folder, eye in zip(folders, EYES)] == [[], []]
    records = journal.read(tmp_path / "out" / ".mpirender")
    assert sum(record["event"] == "done" for record in records) == 2 * frames + 2


@pytest.mark.slow
def test_both_eyes_of_a_layout_are_those_of_paraview(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    pvbatch(
        SUPPORT / "save_animation.py", scenes.state("two_views"), tmp_path / "ref", "800x450", "Both",
        f"StereoMode={BOTH!r}",
    )  # fmt: skip
    words = ("--layout", "Both", "--stereo-mode", BOTH, "--size", "800x450", "--movie", "none", "--ranks", 2)
    done = run("render", scenes.state("two_views"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [different(tmp_path / "out" / f"800x450_{eye}", tmp_path / "ref", eye) for eye in EYES] == [[], []]


@pytest.mark.slow
def test_what_goes_wrong_in_a_frame_fails_both_eyes_of_it(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    """VTK reports it once, when the first of them is rendered."""
    words = ("--stereo-mode", BOTH, "--size", SIZE, "--output", tmp_path / "out")
    done = run("render", scenes.folder / "broken" / "raises.pvsm", *words)
    assert done.returncode == 4
    for eye in EYES:
        assert f"{SIZE}_{eye} frames 3: rank " in done.stderr
        assert len(list((tmp_path / "out" / f"{SIZE}_{eye}").iterdir())) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [("annotated", "Left Eye Only"), ("annotated", "Red-Blue"), ("pulse", "Right Eye Only")]
)
def test_pictures_in_stereo_are_those_of_paraview_whichever_rank_renders_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str, mode: str
) -> None:
    """In an image no larger than the view, which is rendered in one pass, so that each depends on the one before."""
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), tmp_path / "reference", SIZE, f"StereoMode={mode!r}")
    words = ("--stereo-mode", mode, "--size", SIZE, "--ranks", 3, "--movie", "none", "--output", tmp_path / "out")
    done = run("render", scenes.state(name), *words)
    assert done.returncode == 0, done.stderr
    assert different(tmp_path / "out" / SIZE, tmp_path / "reference") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "option", "paraview"),
    [
        ("jpg", (), ""),
        ("jpg", ("--quality", 20), "Quality=20"),
        ("tiff", ("--compression", "None"), "Compression='None'"),
        ("tiff", ("--compression", "Deflate"), "Compression='Deflate'"),
    ],
)
def test_files_of_other_formats_are_byte_for_byte_those_of_paraview(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, kind: str, option: tuple[object, ...], paraview
) -> None:
    script = tmp_path / "save.py"
    script.write_text((SUPPORT / "save_animation.py").read_text().replace("frame.png", f"frame.{kind}"))
    given = [paraview] if paraview else []
    pvbatch(script, scenes.state("orbit"), tmp_path / "reference", SIZE, *given)
    words = ("--image-format", kind, *option, "--size", SIZE, "--output", tmp_path / "out")
    done = run("render", scenes.state("orbit"), *words)
    assert done.returncode == 0, done.stderr
    found, expected = (sorted(folder.iterdir()) for folder in (tmp_path / "out" / SIZE, tmp_path / "reference"))
    assert len(found) == len(expected) == 7
    assert [one.read_bytes() == other.read_bytes() for one, other in zip(found, expected)] == [True] * 7
