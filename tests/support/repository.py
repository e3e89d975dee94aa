"""Paths of the repository and of the test scripts."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).parent
REPOSITORY = SUPPORT.parents[1]
