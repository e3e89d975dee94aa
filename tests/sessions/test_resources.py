"""Memory and time limits of a session, and the ranks that follow from them."""

from __future__ import annotations

import pytest

from mpirender.errors import UsageError
from mpirender.sessions import resources

GB = 1024**3


@pytest.mark.parametrize(
    ("memory", "ranks"),
    [("45M", 1), ("40G", 1), ("45G", 1), ("89G", 1), ("90G", 2), ("120G", 2), ("180G", 4), ("1T", 4), ("46080", 1)],
)
def test_the_ranks_are_as_many_as_have_their_memory(memory: str, ranks: int) -> None:
    assert resources.ranks_for(resources.parse(memory), resources.rank_memory(), resources.most_ranks()) == ranks


def test_a_site_sets_memory_and_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPIRENDER_RANK_MEMORY", "4g")
    monkeypatch.setenv("MPIRENDER_MAX_RANKS", "16")
    assert resources.ranks_for(90 * GB, resources.rank_memory(), resources.most_ranks()) == 16
    assert resources.ranks_for(9 * GB, resources.rank_memory(), resources.most_ranks()) == 2


@pytest.mark.parametrize(("name", "value"), [("MPIRENDER_RANK_MEMORY", "much"), ("MPIRENDER_MAX_RANKS", "0")])
def test_a_wrong_value_of_a_site_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{name}: '{value}' is not"):
        assert resources.rank_memory() and resources.most_ranks()


@pytest.mark.parametrize("text", ["", "0", "90X", "-1G", "9 0G", "1.5G"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write 500M or 90G"):
        resources.parse(text)


@pytest.mark.parametrize(("text", "shown"), [("90G", "90 GB"), ("500m", "500 MB"), ("92160", "90 GB"), ("3K", "3 KB")])
def test_an_amount_of_memory_is_shown_in_the_largest_whole_unit(text: str, shown: str) -> None:
    assert resources.shown(resources.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("1:30", 90), ("1:30:00", 5400), ("1-0", 86400), ("1-2:30", 95400), ("0-0:0:5", 5)],
)
def test_time_limits_are_read_as_sbatch_reads_them(text: str, seconds: int) -> None:
    assert resources.seconds(text) == seconds


def test_what_is_no_time_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="write 1:30:00"):
        resources.seconds("soon")
