"""Fixtures: the folder of a run whose journals the test writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from journal_writer import Scribe
from mpirender.run_folder import lock


@pytest.fixture
def scribe(tmp_path: Path) -> Scribe:
    return Scribe(tmp_path / "out")


@pytest.fixture
def alive(scribe: Scribe) -> Iterator[Scribe]:
    """Return a run whose lock this process holds."""
    with lock.held(scribe.folder, scribe.run):
        yield scribe
