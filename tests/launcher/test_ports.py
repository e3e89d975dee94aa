"""Ranks on one machine listen on no ports, where other users could connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.launcher import environment
from mpirender.launcher.environment import environment_of
from mpirender.launcher.placement import Placement
from processes import Pattern, ports
from runs import rank_pid, started


@pytest.mark.slow
def test_ranks_on_one_machine_listen_on_no_port(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 40, "seconds": 0.2}'), frames=2) as process:
        assert [ports(rank_pid(tmp_path / "test_renders", rank)) for rank in (0, 1)] == [[], []]
        assert ports(process.pid) == []


def test_ports_are_used_where_ranks_may_share_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMPI_MCA_btl", raising=False)
    assert environment_of(Placement(2, 1))["OMPI_MCA_btl"].startswith("^tcp")
    assert "OMPI_MCA_btl" not in environment_of(Placement(2, 1), contained=True)
    assert "OMPI_MCA_btl" not in environment_of(Placement(2, 1, nodes={"n1": 2}))
    monkeypatch.setattr(environment, "SHARED_BYTES", 1 << 60)
    assert "OMPI_MCA_btl" not in environment_of(Placement(2, 1))
    monkeypatch.setattr(environment, "SHARED_BYTES", 1)
    monkeypatch.setenv("OMPI_MCA_btl", "self,tcp")
    assert "OMPI_MCA_btl" not in environment_of(Placement(2, 1)), "the user's own setting"
