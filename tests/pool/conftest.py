"""Run every pool test in a separate folder, and check that it leaves no processes or files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pools import running
from waiting import wait_for


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the test in an empty folder; fail if it leaves a process or a file."""
    monkeypatch.setenv("MARK_OF_TEST", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    yield
    wait_for(lambda: not running(tmp_path))
    assert list((tmp_path / "temporary").iterdir()) == []
