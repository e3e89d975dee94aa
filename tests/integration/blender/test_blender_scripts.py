"""Handlers in a Blender file see what they see in Blender's own animation."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from blender_runs import rendered
from processes import Run

pytestmark = pytest.mark.slow


def test_handlers_see_each_frame_once_and_beginning_and_end_once_in_each_renderer(
    run: Run, blends: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    for ranks in (0, 1, 2):
        monkeypatch.setenv("HOOKS", str(tmp_path / f"{ranks}.txt"))
        if ranks:
            words = ("--allow-scripts", "--ranks", ranks, "--movie", "none", "--output", tmp_path / str(ranks))
            rendered(run, blends.file("hooks"), *words, env={**os.environ, "HOOKS": str(tmp_path / f"{ranks}.txt")})
        else:
            blends.animate(blends.file("hooks"), tmp_path / "own", scripts=True)
        seen[ranks] = (tmp_path / f"{ranks}.txt").read_text().splitlines()
    assert seen[0][-1] == "frame_change_post 1 []", "Blender goes back to where it was"
    assert seen[1] == seen[0][:-1]
    once = Counter(seen[1])
    twice = {
        line: 2 * count if line.startswith(("render_init", "render_complete")) else count
        for line, count in once.items()
    }
    assert Counter(seen[2]) == twice
