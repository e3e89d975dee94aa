"""Share images for movies."""

from __future__ import annotations

import pytest

from movies import GREYS, picture, write


@pytest.fixture
def images(tmp_path):
    """Frames 0, 3, 6, …, each of a grey of its own under the same patches of colour."""
    return write(tmp_path / "HD", [picture(grey=grey) for grey in GREYS], step=3)
