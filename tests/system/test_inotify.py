"""See which files are read in watched folders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mpirender.system.inotify import FolderWatch


@pytest.fixture
def watch(tmp_path: Path) -> FolderWatch:
    for name in ("a", "b", "other/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    watch = FolderWatch()
    watch.add(str(tmp_path))
    return watch


def test_files_that_are_read_are_reported_once(watch: FolderWatch, tmp_path: Path) -> None:
    for name in ("b", "a", "b", "other/c"):
        (tmp_path / name).read_text()
    assert watch.read() == [str(tmp_path / "b"), str(tmp_path / "a")]
    assert watch.read() == []
    subprocess.run(["cat", tmp_path / "a"], check=True, stdout=subprocess.DEVNULL)
    assert watch.read() == [str(tmp_path / "a")]


def test_files_that_are_written_and_folders_that_are_listed_are_not_reported(
    watch: FolderWatch, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("other")
    with (tmp_path / "log").open("a") as file:
        file.write("line")
    list(tmp_path.iterdir())
    assert watch.read() == []


def test_a_file_that_this_process_holds_open_is_reported(watch: FolderWatch, tmp_path: Path) -> None:
    with (tmp_path / "a").open():
        assert watch.read() == [str(tmp_path / "a")]


def test_a_folder_is_reported_under_each_of_its_names(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "other")
    watch.add(str(tmp_path / "other"))
    watch.add(str(tmp_path / "link"))
    (tmp_path / "other" / "c").read_text()
    assert watch.read() == [str(tmp_path / "other" / "c"), str(tmp_path / "link" / "c")]


def test_a_folder_that_cannot_be_watched_is_an_error(watch: FolderWatch, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watch.add(str(tmp_path / "gone"))
