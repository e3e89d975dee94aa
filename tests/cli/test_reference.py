"""The reference page of options is the one that the program generates."""

from __future__ import annotations

from mpirender.cli import reference
from repository import REPOSITORY


def test_the_page_of_options_is_up_to_date() -> None:
    """If not: ``python -m mpirender.cli.reference > docs/reference/options.md``."""
    assert (REPOSITORY / "docs" / "reference" / "options.md").read_text() == reference.page()
