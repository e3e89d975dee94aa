"""Give each eye a separate output, and report options that do not fit the file format."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from movies import read_back
from mpirender.cli.commands import render
from mpirender.cli.job_from_options import job_of
from mpirender.errors import UsageError
from mpirender.job.outputs import EYES, Image, Size
from mpirender.job.render_job import RenderJob
from mpirender.monitor import image_table
from mpirender.ranks import schedule
from mpirender.supervisor.crash_recovery import CrashRecovery
from processes import Run

BOTH = "Both Eyes"


def read_by_command(job: RenderJob) -> RenderJob:
    """Return the job that the command line parses from the arguments of a job."""
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
    assert RenderJob("x.pvsm", stereo_mode="Red-Blue").outputs[0].shows == [None, None], (
        "records of other stereo modes stay valid"
    )


def test_an_image_of_an_eye_is_tried_exclusive_access_the_folder_that_it_has(tmp_path: Path) -> None:
    job = RenderJob(tmp_path / "x.pvsm", stereo_mode=BOTH, sizes="HD", views=("V1", "V2"), vary=("C.R=3,6",))
    words = shlex.split(CrashRecovery(job, "run").command_for(Image(2, "R=6/V2_HD_left")))
    assert words[:2] == ["mpirender", "render"]
    params = render.make_context("render", words[2:]).params
    alone = job_of({name: value for name, value in params.items() if name not in ("dry_run", "quiet", "verbose")})
    assert alone.sizes == (Size("V2_HD", 1920, 1080),)
    assert [output.name for output in alone.outputs] == ["V2_HD_left", "V2_HD_right"]
    assert (alone.frames, alone.views, alone.overrides) == ("2", ("V2",), ("C.R=6",))


def test_the_table_of_a_study_tells_the_eyes_apart_only_where_there_are_two(tmp_path: Path) -> None:
    for mode, expected in ((BOTH, ["left", "right"]), ("No change", [None])):
        job = RenderJob("x.pvsm", tmp_path, vary=("C.R=3",), sizes="HD", frames="0", stereo_mode=mode)
        frames = {output.name: [job.image(output, 0)] for output in job.outputs}
        result = SimpleNamespace(frames=frames, measured={}, times={})
        assert [image_table.about(row).get("eye") for row in image_table.rows_of(job, result)] == expected


@pytest.mark.parametrize(
    "options",
    [{"stereo_mode": BOTH}, {"image_format": "jpg", "quality": 0}, {"image_format": "tiff", "compression": "None"}],
)
def test_the_command_line_reads_what_a_job_tells(tmp_path: Path, options: dict[str, object]) -> None:
    job = RenderJob(tmp_path / "x.pvsm", **options)
    assert read_by_command(job) == job == RenderJob.from_json(job.to_json())


def test_options_of_another_file_format_are_reported_with_all_other_mistakes() -> None:
    with pytest.raises(UsageError) as caught:
        RenderJob("x.pvsm", quality=101, compression="LZW", frame_rate="0")
    told = "\n".join(caught.value.mistakes)
    assert "--quality 101 must be at most 100" in told
    assert "--quality does not apply to png files; leave it out, or add --image-format jpg" in told
    assert "--compression 'LZW' must be one of: None, PackBits, Deflate" in told
    assert "--compression does not apply to png files; use --compression-level, or add --image-format tiff" in told
    assert "--frame-rate" in told


def test_the_quality_is_part_of_the_fingerprint_and_the_tiff_compression_is_not() -> None:
    plain = RenderJob("x.pvsm", image_format="jpg").pixel_options()
    assert plain["quality"] is None
    assert RenderJob("x.pvsm", image_format="jpg", quality=95).pixel_options() == {**plain, "quality": 95}
    tiff = RenderJob("x.pvsm", image_format="tiff")
    assert RenderJob("x.pvsm", image_format="tiff", compression="None").pixel_options() == tiff.pixel_options()


@pytest.mark.slow
def test_of_two_eyes_only_what_is_missing_is_rendered_again_and_the_movies_are_encoded_again(
    run: Run, pattern, tmp_path: Path
) -> None:
    command = ("render", pattern(), "--stereo-mode", BOTH, "--size", "64x36", "--ranks", 2, "--output", tmp_path / "o")
    assert "64x36_left (64x36), 64x36_right (64x36): 12 images" in run(*command, "--dry-run").stdout
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert all(read_back(tmp_path / "o" / f"test_64x36_{eye}.mp4").frames == 6 for eye in EYES)
    (tmp_path / "o" / "64x36_right" / "frame_000003.png").unlink()
    assert "64x36_right frame 3: deleted since it was rendered" in run("encode", tmp_path / "o").stderr
    assert run("encode", tmp_path / "o", "--size", "64x36_left", "--movie", "gif").returncode == 0
    assert "1 rendered, 11 kept from before" in run(*command).stdout
    assert "12 of 12 done" in run("status", tmp_path / "o").stdout
