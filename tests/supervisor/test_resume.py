"""Render again only images with other options, other sizes or no record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpirender.run_folder import lock
from processes import Pattern, Run
from records import records
from runs import SMALL


@pytest.mark.usefixtures("rendered")
def test_frames_of_other_options_are_reported_and_never_mixed_in(run: Run, pattern: Pattern) -> None:
    again = run("render", pattern(), *SMALL, "--transparent-background")
    assert "warning: 6 images here are made with other options; rendered again" in again.stdout
    assert "6 rendered" in again.stdout
    other = run("render", pattern('{"frames": 6, "seconds": 0.001}'), *SMALL, "--transparent-background")
    assert "warning: 6 images here are made with other scene file; rendered again" in other.stdout


def test_a_size_of_the_same_name_with_other_sides_is_rendered_again(run: Run, pattern: Pattern) -> None:
    assert run("render", pattern(), "--size", "a=160x90").returncode == 0
    again = run("render", pattern(), "--size", "a=80x50")
    assert "6 rendered," in again.stdout
    assert run("render", pattern(), "--size", "a=80x50").stdout.count("0 rendered, 6 kept") == 1


def test_a_stray_file_under_a_frames_name_counts_as_no_frame(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    folder = tmp_path / "test_renders" / "160x90"
    folder.mkdir(parents=True)
    (folder / "frame_000002.png").write_bytes(b"not mine")
    done = run("render", pattern(), *SMALL, "--overwrite")
    assert "6 rendered," in done.stdout
    assert (folder / "frame_000002.png").read_bytes().startswith(b"\x89PNG")


def test_records_say_what_an_image_took_and_where(rendered: Path) -> None:
    for record in records(rendered, "done"):
        assert record.memory > 1e7
        assert record.host == os.uname().nodename
        assert record.renderer == "test pattern, drawn by numpy"
        assert record.pixels == (160, 90)
    (finish,) = records(rendered, "finish")
    assert finish.code == 0
    assert lock.read(rendered / ".mpirender") is None


def test_damaged_lines_of_the_journals_are_reported_and_cost_only_their_images(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, journal = pattern(), tmp_path / "test_renders" / ".mpirender" / "rank-0001.jsonl"
    assert run("render", scene, *SMALL).returncode == 0
    journal.write_bytes(journal.read_bytes().replace(b'"event": "done"', b'"event": "dune"', 2))
    again = run("render", scene, *SMALL)
    assert "2 rendered, 4 kept from before" in again.stdout, again.stdout
    assert "      warning  2 lines of the journals were damaged and skipped\n" in again.stdout
