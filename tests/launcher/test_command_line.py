"""Build the command line and the environment of ranks."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

import pytest

from mpirender import engines
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line
from mpirender.launcher.environment import PACKAGE, variables
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import Placement
from processes import Pattern, Run


def job(tmp_path: Path, **options: object) -> RenderJob:
    return RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out put", **options)


def mpiexec(job: RenderJob) -> str:
    return command_line.mpiexec(engines.for_scene(job.scene), job.programs)


def test_the_mpiexec_beside_pvbatch_is_taken_since_kitwares_binaries_bring_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This also holds if pvbatch is a symbolic link. An explicitly given mpiexec takes precedence."""
    for place in ("ParaView/bin", "bin", "mpi"):
        (tmp_path / place).mkdir(parents=True)
    for program in ("ParaView/bin/pvbatch", "ParaView/bin/mpiexec", "mpi/mpiexec"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    (tmp_path / "bin" / "pvbatch").symlink_to(tmp_path / "ParaView" / "bin" / "pvbatch")
    monkeypatch.setenv("PATH", str(tmp_path / "mpi"))
    own = str(tmp_path / "ParaView" / "bin" / "mpiexec")
    for pvbatch in ("ParaView/bin/pvbatch", "bin/pvbatch"):
        assert mpiexec(RenderJob("x.pvsm", pvbatch=str(tmp_path / pvbatch))) == own
    assert mpiexec(RenderJob("x.pattern")) == str(tmp_path / "mpi" / "mpiexec")
    monkeypatch.setenv("MPIRENDER_PVBATCH", str(tmp_path / "bin" / "pvbatch"))
    assert mpiexec(RenderJob("x.pvsm")) == own
    asked = RenderJob("x.pvsm", mpiexec=str(tmp_path / "mpi" / "mpiexec"))
    assert mpiexec(asked) == str(tmp_path / "mpi" / "mpiexec")


def test_what_the_user_has_set_is_respected() -> None:
    environ = {"LP_NUM_THREADS": "7", "PYTHONPATH": "/site", "OMPI_MCA_rmaps_base_oversubscribe": "0"}
    added = variables(2, environ)
    assert "LP_NUM_THREADS" not in added
    assert "OMPI_MCA_rmaps_base_oversubscribe" not in added
    assert added["PYTHONPATH"].endswith(f"{os.pathsep}/site")


def test_on_one_machine_no_fast_network_is_looked_for() -> None:
    assert variables(1, {})["OMPI_MCA_pml"] == "ob1"
    assert "OMPI_MCA_pml" not in variables(1, {}, in_slurm=True)
    assert "OMPI_MCA_pml" not in variables(1, {"OMPI_MCA_pml": "ucx"})


def test_root_is_allowed_only_where_the_user_is_root() -> None:
    assert "OMPI_ALLOW_RUN_AS_ROOT" in variables(1, {}, root=True)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in variables(1, {})


def test_the_shown_command_survives_a_shell(tmp_path: Path) -> None:
    wanted = job(tmp_path, ranks=3)
    plan = LaunchPlan.of(engines.for_scene(wanted.scene), wanted.programs, Placement(3, 1))
    command = plan.command(*command_line.rank_words(wanted))
    assert command[1:3] == ["-n", "3"]
    assert command[-3:] == ["-m", "mpirender.ranks", str(tmp_path / "out put" / ".mpirender" / "job.json")]
    assert shlex.split(command_line.for_shell(command, {"A": "b c"})) == ["env", "A=b c", *command]


def test_only_the_package_itself_is_put_in_front_of_the_hosts_own_packages() -> None:
    found = sorted(path.name for path in (PACKAGE / "hosted").iterdir())
    assert [name for name in found if name != "__pycache__"] == ["mpirender"]


def test_the_x_server_of_another_user_is_not_used(run: Run, pattern: Pattern) -> None:
    """If hwloc has its gl component, mpiexec connects to the displays 0 to 9."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X9")  # Xlib tries this socket first
        server.listen()
        server.setblocking(False)
        done = run("render", pattern('{"frames": 2}'), "--size", "80x50", "--ranks", 1, timeout=60)
        assert done.returncode == 0, done.stderr
        with pytest.raises(BlockingIOError):
            server.accept()
