"""Scenes and data that once gave wrong pictures: each row of case_rows.py, with one number of ranks and schedule."""

from __future__ import annotations

from pathlib import Path

import pytest

from case_rows import COMBINATIONS, check, make, rows
from random_scenes import Programs, on_this_machine

pytestmark = pytest.mark.slow
ROWS = rows("5.11")
CASES = [(row, *COMBINATIONS[number % len(COMBINATIONS)]) for number, row in enumerate(ROWS)]


@pytest.fixture(scope="module")
def programs(x_server: dict[str, str]) -> Programs:
    return on_this_machine(x_server)


@pytest.fixture(scope="module")
def folder(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make all scenes, and ParaView's own pictures of them."""
    folder = tmp_path_factory.mktemp("rows")
    make(folder, ROWS, programs)
    return folder


@pytest.mark.parametrize(("row", "ranks", "schedule"), CASES, ids=[case[0].name for case in CASES])
def test_a_row_comes_out_as_it_must(row, ranks: int, schedule: str, folder: Path, programs: Programs) -> None:
    """The command ``python tests/support/case_rows.py`` renders each with all numbers of ranks and schedules."""
    check(row, folder, programs, ranks, schedule)
