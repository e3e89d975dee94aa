"""Trying a launcher out, with real processes; test_slurm.py does it with real ones of Slurm."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mpirender.job.render_job import RenderJob
from mpirender.launcher import probe
from mpirender.launcher.placement import Placement
from mpirender.system import child_process

Try = Callable[[str], str]
TWO_NODES = Placement(4, 1, nodes={"n1": 2, "n2": 2})


@pytest.fixture
def try_out(tmp_path: Path) -> Try:
    """Try an mpiexec that does what a shell script says; return what is wrong with it."""

    def try_out(script: str) -> str:
        program = tmp_path / "mpiexec"
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
        return probe.try_out(RenderJob(tmp_path / "x.pattern", mpiexec=str(program)), TWO_NODES, lambda: False)

    return try_out


def test_ranks_on_every_node_are_what_is_wanted(try_out: Try) -> None:
    assert try_out(f"echo noise; echo '{probe.PRESENT}n1 n2'") == ""


def test_ranks_that_all_came_up_on_one_node_are_not(try_out: Try) -> None:
    assert try_out(f"echo '{probe.PRESENT}n1 n1'") == "2 ranks for 2 nodes came up as 2 on 1"


def test_what_a_launcher_says_as_it_fails_is_told(try_out: Try) -> None:
    assert try_out("echo can not load PMIx library; exit 7") == "exit code 7 (can not load PMIx library)"
    assert try_out("exit 7") == "exit code 7"


def test_a_launcher_that_waits_for_ever_is_given_up_with_all_it_started(
    try_out: Try, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TRIAL_SECONDS", 0.5)
    monkeypatch.setattr(child_process, "END_SECONDS", 0.5)
    assert try_out(f"trap '' TERM; (exec -a {tmp_path}/child sleep 60) & wait; sleep 60") == "no answer for 0 s"
    assert not subprocess.run(["pgrep", "-f", f"{tmp_path}/child"], stdout=subprocess.PIPE, check=False).stdout


def test_it_is_given_up_when_the_run_is_to_stop(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    assert probe.try_out(RenderJob("x.pattern", mpiexec=str(program)), TWO_NODES, lambda: True).startswith("no answer")


def test_a_program_that_is_none_cannot_be_started(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    job = RenderJob("x.pattern", mpiexec=str(program))
    assert probe.try_out(job, TWO_NODES, lambda: False) == "cannot be started"
