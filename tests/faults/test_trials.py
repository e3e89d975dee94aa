"""A tenth of the faults of each kind, with a fixed seed; ``python tests/faults`` tries all."""

from __future__ import annotations

from pathlib import Path

import pytest
from trials import KINDS, run, table

pytestmark = pytest.mark.slow
SEED = 18


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_wrong_and_nothing_hangs_or_ends_with_a_traceback(kind: str, tmp_path: Path) -> None:
    results = list(run(kind, range(KINDS[kind].count // 10), SEED, tmp_path))
    print(f"\nfaults: {table(kind, results)}")
    assert [result for result in results if result.problem] == []
