"""CITATION.cff, which says how to cite mpirender, is valid and says what the package says."""

from __future__ import annotations

import re

import yaml

from mpirender import __version__
from repository import REPOSITORY

# Of the schema of the Citation File Format 1.2.0: the required keys, and some others.
REQUIRED = {"cff-version", "message", "title", "authors"}
KNOWN = {
    *REQUIRED,
    "abstract",
    "type",
    "version",
    "license",
    "keywords",
    "doi",
    "repository-code",
    "url",
    "date-released",
}


def test_the_citation_is_that_of_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert REQUIRED <= cited.keys() <= KNOWN
    assert (cited["cff-version"], cited["type"], cited["version"]) == ("1.2.0", "software", __version__)
    assert all(author.keys() in ({"name"}, {"given-names", "family-names"}) for author in cited["authors"])
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert f'text = "{cited["license"]}"' in project
    assert f'description = "{cited["abstract"].rstrip(".")}"' in project
    assert cited["keywords"] == re.findall(r'"(.*?)"', re.search(r"keywords = \[(.*)\]", project)[1])
