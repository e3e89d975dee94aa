"""Random scenes: one to three ranks render ParaView's own frames, or the scene is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from random_scenes import on_this_machine, results

pytestmark = pytest.mark.slow
# 25 and 85 have a Glyph whose Source ParaView loads, but applies only when something touches the proxy.
SEEDS = (*range(1, 6), 25, 85)


def test_no_random_scene_comes_out_wrong(x_server: dict[str, str], tmp_path: Path) -> None:
    """The command ``python tests/support/random_scenes.py`` does the same with many more."""
    found = list(results(tmp_path, SEEDS, on_this_machine(x_server)))
    assert [result for result in found if result.outcome == "wrong"] == []
    counts = Counter(result.outcome for result in found)
    assert counts["equal"] + counts["in order"] >= 4, counts
