"""Fixtures: images for movies."""

from __future__ import annotations

import pytest

from movies import GREYS, picture, write


@pytest.fixture
def images(tmp_path):
    """Return frames 0, 3, 6, …, each with a different gray level below the same color patches."""
    return write(tmp_path / "HD", [picture(grey=grey) for grey in GREYS], step=3)
