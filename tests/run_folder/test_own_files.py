"""Replace and delete only files that mpirender made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mpirender.job.outputs import Image
from mpirender.run_folder import own_files
from mpirender.run_folder.event_values import OtherFile
from mpirender.run_folder.own_files import OwnFiles
from processes import Pattern, Run
from runs import SMALL
from sample_events import done, take
from started_ranks import job

MINE = ("160x90/frame_000002.png", "test_160x90.mp4", "contact_sheet.png")


def put(place: Path, content: bytes = b"mine") -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


@pytest.mark.parametrize("name", MINE)
def test_a_file_in_the_way_is_named_before_rendering_and_stays(
    run: Run, pattern: Pattern, tmp_path: Path, name: str
) -> None:
    mine = put(tmp_path / "test_renders" / name)
    for command in (("render", "--dry-run"), ("render",)):
        refused = run(*command, pattern(), *SMALL)
        assert refused.returncode == 2
        fix = "move it away, choose another --output, or replace it with --overwrite"
        assert refused.stderr == f"mpirender: error: {mine}: mpirender did not make this file; {fix}\n"
    assert [path for path in (tmp_path / "test_renders").rglob("*") if path.is_file()] == [mine]
    assert mine.read_bytes() == b"mine"
    if name == MINE[0]:
        assert run("render", pattern(), *SMALL, "--frames", "3-5").returncode == 0
        assert run("render", pattern(), *SMALL, "--overwrite").returncode == 0
        assert mine.read_bytes() != b"mine"


def test_results_are_replaced_only_as_mpirender_made_them(run: Run, rendered: Path, tmp_path: Path) -> None:
    """The frames of this run are never in the way, also when they were changed: they are rendered again."""
    put(rendered / "160x90" / "frame_000001.png")
    again = ("render", tmp_path / "test.pattern", *SMALL)
    assert "1 rendered, 5 kept" in run(*again).stdout
    for name in MINE[1:]:
        mine = put(rendered / name)
        refused = run(*again)
        assert (refused.returncode, refused.stderr.count(f"{mine}: mpirender did not make this file")) == (2, 1)
        mine.unlink()
    (rendered / "test_160x90.mp4").write_bytes(b"mine")
    assert "did not make this file" in run("encode", rendered).stderr
    assert (rendered / "test_160x90.mp4").read_bytes() == b"mine"
    assert run("encode", rendered, "--overwrite").returncode == 0
    assert run("encode", rendered, "--frame-rate", 50).returncode == 0, "it replaces its own movie"
    assert run(*again).returncode == 0, "a movie of encode is mpirender's, too"


def test_frames_of_another_scene_are_not_replaced(run: Run, pattern: Pattern, rendered: Path, tmp_path: Path) -> None:
    frame = (rendered / "160x90" / "frame_000000.png").read_bytes()
    other = pattern('{"frames": 2}', name="other.pattern")
    refused = run("render", other, *SMALL, "--output", rendered)
    assert refused.returncode == 2
    assert f"--output {rendered}: holds the frames of test.pattern; choose another --output, or" in refused.stderr
    assert run("render", tmp_path / "test.pattern", *SMALL).returncode == 0, "a copy of scene and folder"
    namesake = put(tmp_path / "elsewhere" / "test.pattern", b'{"frames": 2}')
    refused = run("render", namesake, *SMALL, "--output", rendered)
    assert f"holds the frames of {tmp_path / 'test.pattern'}" in refused.stderr
    assert (rendered / "160x90" / "frame_000000.png").read_bytes() == frame
    (tmp_path / "test.pattern").unlink()
    assert run("render", namesake, *SMALL, "--output", rendered).returncode == 0, "the scene was moved"
    assert run("render", other, *SMALL, "--output", rendered, "--overwrite").returncode == 0


def test_incomplete_files_are_removed_by_name_and_process_id(tmp_path: Path) -> None:
    made = job(tmp_path, sizes="160x90")
    with own_files.recorder(made) as _:
        (own,) = OwnFiles.read(made).pids
    kept = [made.output / ".part-download", made.output / f".part-{own + 1}-test_160x90.mp4"]
    kept += [made.output / "160x90" / name for name in (f".part-{own}", "part-1-frame_000001.png")]
    gone = [made.output / f".part-{own}-test_160x90.mp4", made.output / "160x90" / f".part-{own}-frame_000001.png"]
    for place in (*kept, *gone, made.output / "160x90" / f".part-{own}-frame_000001.png.files" / "depth.exr"):
        put(place)
    own_files.tidy(made)
    left = [path for path in made.output.rglob("*part-*") if path.is_file()]
    assert sorted(left) == sorted(kept)


def test_files_beside_images_are_known_by_their_records_and_by_the_numbers_of_their_images(tmp_path: Path) -> None:
    """A scene whose File Output nodes write to passes/ and to files that begin with depth."""
    made = job(tmp_path, sizes="HD")
    places = [made.output / "HD" / name for name in ("passes/a_0007.exr", "depth0005.png", "notes.txt", "passes/b.exr")]
    for place in places:
        put(place)
    beside = (OtherFile("passes/a_0007.exr", 4, "d"),)
    own = OwnFiles([done(0, 7, beside=beside), take(0, 5)])
    found = list(own_files.files_below(made.output / "HD", ["passes/", "depth"]))
    assert sorted(found) == ["depth0005.png", "passes/a_0007.exr", "passes/b.exr"]
    assert [path for path in found if not own.has_beside("HD", path)] == ["passes/b.exr"]
    (mistake,) = own_files.mistakes(made, range(9), ["passes/"])
    assert "(and 1 more such files)" in mistake
    assert own.has_image(Image(5, "HD")) and not own.has_image(Image(6, "HD"))


def test_damaged_journals_do_not_make_frames_strangers(run: Run, rendered: Path, tmp_path: Path) -> None:
    for journal in (rendered / ".mpirender").glob("rank-*.jsonl"):
        journal.write_bytes(b"")
    done = run("render", tmp_path / "test.pattern", *SMALL)
    assert (done.returncode, "6 rendered" in done.stdout) == (0, True), done.stderr


def test_a_folder_that_was_moved_with_its_scene_is_still_its_own(run: Run, rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("test.pattern", rendered.name):
        shutil.move(tmp_path / name, tmp_path / "moved")
    done = run("render", "test.pattern", *SMALL, cwd=tmp_path / "moved")
    assert "0 rendered, 6 kept" in done.stdout, done.stderr


def test_what_cannot_be_replaced_by_an_image_or_its_folder_is_named_before_rendering(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    folder = tmp_path / "test_renders" / "160x90" / "frame_000002.png"
    folder.mkdir(parents=True)
    movie = tmp_path / "test_renders" / "test_96x54.mp4"
    movie.mkdir()
    file, fix = put(tmp_path / "test_renders" / "96x54"), "move it away, or choose another --output"
    refused = run("render", pattern(), *SMALL, "--size", "160x90", "--size", "96x54", "--overwrite")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"mpirender: error: {file}: not a folder, but the images are written there; {fix}",
        f"mpirender: error: {movie}: a folder in the place of a file that mpirender makes; {fix}",
        f"mpirender: error: {folder}: a folder in the place of a file that mpirender makes; {fix}",
    ]
    assert not (tmp_path / "test_renders" / ".mpirender").exists()
