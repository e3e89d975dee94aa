"""``mpirender whence``: where an image or a movie comes from."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from processes import Run

SIZE = "64x48"


@pytest.fixture
def rendered(run: Run, pattern) -> Path:
    """Render three frames; return the output folder."""
    scene = pattern('{"frames": 3}')
    assert run("render", scene, "--size", SIZE, "-n", 1).returncode == 0
    return scene.parent / "test_renders"


def test_a_picture_names_the_command_that_makes_it_again(run: Run, rendered: Path, tmp_path: Path) -> None:
    alone = tmp_path / "talk.png"
    shutil.copy(rendered / SIZE / "frame_000002.png", alone)
    told = run("whence", alone).stdout
    assert re.search(
        r"scene +test\.pattern\n +output +64x48\n +frame +2, time 2\n +made with +mpirender \S+, test", told
    )
    assert "no run folder beside the file" in told
    (again,) = re.findall(r"again +(mpirender .*)", told)
    assert run(*shlex.split(again)[1:], "-o", "again").returncode == 0
    assert (tmp_path / "again" / SIZE / "frame_000002.png").read_bytes() == alone.read_bytes()


def test_the_journals_say_which_command_made_a_file_and_whether_it_was_changed(
    run: Run, rendered: Path, tmp_path: Path
) -> None:
    frame, movie = rendered / SIZE / "frame_000001.png", rendered / f"test_{SIZE}.mp4"
    for path, who in ((frame, "rank 0 on "), (movie, "")):
        told = run("whence", path.relative_to(tmp_path)).stdout
        assert re.search(rf"written +20\d\d-\S+ \S+ by {who}\S+, unchanged since\n +matches +the newest run", told)
        assert f"mpirender render {tmp_path}/test.pattern --output {rendered} " in told
    with movie.open("ab") as file:
        file.write(b"x")
    assert "CHANGED since" in run("whence", movie).stdout
    shutil.copy(rendered / SIZE / "frame_000002.png", frame)
    told = run("whence", frame).stdout
    assert "CHANGED since" in told
    assert re.search(r"place +that of frame 1, not of frame 2\n", told)
    again = ("--size", SIZE, "--image-format", "jpg", "--overwrite")
    assert run("render", tmp_path / "test.pattern", *again).returncode == 0
    told = run("whence", rendered / SIZE / "frame_000000.png").stdout
    assert re.search(r"unchanged since\n +matches +an earlier run here", told)


def test_a_file_without_metadata_is_known_by_its_run_alone(run: Run, pattern, tmp_path: Path) -> None:
    assert run("render", pattern('{"frames": 2}'), "--size", SIZE, "--no-metadata").returncode == 0
    frame = tmp_path / "test_renders" / SIZE / "frame_000001.png"
    told = run("whence", frame).stdout
    assert re.search(
        r"metadata +none in the file.*\n +run +.*test_renders\n +written .*unchanged since\n +matches", told
    )
    shutil.copy(frame, tmp_path / "alone.png")
    done = run("whence", "alone.png")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "alone.png: does not say where it comes from (rendered with --no-metadata, " in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.png", "No such file"), ("a.txt", "neither a png"), ("a.mp4", "is no movie"), (".", "a folder")],
)
def test_what_is_no_picture_is_refused_in_one_line(run: Run, tmp_path: Path, name: str, message: str) -> None:
    for path in ("a.txt", "a.mp4"):
        (tmp_path / path).write_text("hello")
    done = run("whence", name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
