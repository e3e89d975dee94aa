"""The files of a session are private, and what they say survives a damaged line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpirender.errors import UsageError
from mpirender.sessions import records
from mpirender.sessions.records import Event, Records


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_folder_that_others_could_read_is_closed(home: Path) -> None:
    (home / ".mpirender" / "sessions").mkdir(parents=True, mode=0o755)
    assert records.home().stat().st_mode & 0o777 == 0o700


def test_files_and_their_temporary_ones_are_private() -> None:
    files = Records(records.home(), "4711")
    records.write_json(files.start, {"id": 1})
    with records.private_files():
        files.write(Event("ready", "text"))
    assert {path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {0o600}


def test_events_are_read_back_without_damaged_lines() -> None:
    files = Records(records.home(), "4711")
    files.write(Event("starting", "a", facts={"ranks": 2}))
    with files.journal.open("a") as journal:
        journal.write('{"what": "rea\n[]\n{"other": 1}\n')
    files.write(Event("ended", "b"))
    assert [(event.what, event.text) for event in files.events()] == [("starting", "a"), ("ended", "b")]
    assert files.events()[0].facts == {"ranks": 2}


def test_a_journal_of_an_earlier_job_of_the_same_number_is_removed_but_not_that_of_a_job_that_has_started() -> None:
    files = Records(records.home(), "4711")
    script = files.folder / "script"
    files.write(Event("ended", "of last year"))
    os.utime(files.journal, (1, 1))
    script.touch()
    files.remove_older_journal(script)
    assert files.events() == []
    files.write(Event("starting", "now"))
    files.remove_older_journal(script)
    assert [event.text for event in files.events()] == ["now"]


def test_an_unknown_session_is_refused_with_the_known_ones() -> None:
    Records(records.home(), "17").write(Event("ended", ""))
    with pytest.raises(UsageError, match=r"4711: no such session; .*: 17"):
        records.of("4711")
    with pytest.raises(UsageError, match="no such session"):
        records.of("../../etc/passwd")
    assert records.of("17").events()
