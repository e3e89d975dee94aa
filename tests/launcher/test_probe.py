"""Probe launchers with real processes; test_slurm.py probes the launchers of a Slurm cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mpirender.errors import UsageError
from mpirender.launcher import probe
from mpirender.launcher.placement import Launcher, Placement
from mpirender.ranks.mpi import BLIND, HOSTS
from mpirender.system import child_process

Probe = Callable[[str], str]
TWO_NODES = Placement(4, 1, nodes={"n1": 2, "n2": 2})


def problem_with(mpiexec: Path, *, stop: bool = False) -> str:
    return probe.problem_of(["python3"], replace(TWO_NODES, launcher=Launcher(path=str(mpiexec))), lambda: stop)


@pytest.fixture
def problem(tmp_path: Path) -> Probe:
    """Return a function that probes an mpiexec made from a shell script and returns the problem found."""

    def problem(script: str) -> str:
        program = tmp_path / "mpiexec"
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
        return problem_with(program)

    return problem


def test_ranks_on_every_node_are_what_is_wanted(problem: Probe) -> None:
    assert problem(f"echo noise; echo '{HOSTS}n1 n2'") == ""


def test_ranks_that_all_came_up_on_one_node_are_not(problem: Probe) -> None:
    assert problem(f"echo '{HOSTS}n1 n1'") == "started 2 ranks on 1 node instead of 2 on 2 nodes"


def test_nodes_that_do_not_see_the_output_folder_are_named(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    file = '"${!#}"'  # the last word
    program.write_text(f"#!/bin/bash\n[ -f {file} ] || exit\necho '{HOSTS}n1 n2'\necho '{BLIND}n2'\n")
    program.chmod(0o755)
    placement = replace(TWO_NODES, launcher=Launcher(path=str(program)))
    with pytest.raises(UsageError) as refused:
        probe.problem_of(["python3"], placement, lambda: False, tmp_path / "not yet made")
    folder = f"{tmp_path}/not yet made"
    line = f"node n2 does not see the folder {folder}; choose one that all nodes of the job share (--output)"
    assert refused.value.message == line
    assert list(tmp_path.iterdir()) == [program]


def test_the_output_of_a_launcher_that_fails_is_shown(problem: Probe) -> None:
    assert problem("echo can not load PMIx library; exit 7") == "exit code 7 (can not load PMIx library)"
    assert problem("exit 7") == "exit code 7"


def test_a_launcher_that_never_ends_is_killed_with_all_its_children(
    problem: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(child_process, "END_SECONDS", 0.5)
    assert problem(f"trap '' TERM; (exec -a {tmp_path}/child sleep 60) & wait; sleep 60") == "no response within 0 s"
    assert not subprocess.run(["pgrep", "-f", f"{tmp_path}/child"], stdout=subprocess.PIPE, check=False).stdout


def test_it_is_given_up_when_the_run_is_to_stop(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    assert problem_with(program, stop=True).startswith("no response")


def test_a_program_that_is_none_cannot_be_started(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    assert problem_with(program) == "cannot be started (Exec format error)"
