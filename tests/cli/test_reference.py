"""Check that the reference page of options matches the program."""

from __future__ import annotations

from mpirender.cli import reference
from repository import REPOSITORY


def test_the_page_of_options_is_up_to_date() -> None:
    """To update the page: ``python -m mpirender.cli.reference > docs/reference/options.md``."""
    assert (REPOSITORY / "docs" / "reference" / "options.md").read_text() == reference.page()
