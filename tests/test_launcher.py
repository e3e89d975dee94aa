from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from mpirender import launcher
from mpirender.job import RenderJob


def job(tmp_path: Path, **options: object) -> RenderJob:
    return RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out put", **options)


@pytest.mark.parametrize(("ranks", "cores", "threads"), [(1, 2, "2"), (2, 2, "1"), (3, 2, "1"), (4, 64, "16")])
def test_ranks_share_the_cores_of_the_machine(tmp_path: Path, ranks: int, cores: int, threads: str) -> None:
    added = launcher.settings(job(tmp_path, ranks=ranks), {}, core_count=cores)
    assert {added[name] for name in launcher.THREAD_LIMITS} == {threads}


def test_what_the_user_has_set_is_respected(tmp_path: Path) -> None:
    environ = {"LP_NUM_THREADS": "7", "PYTHONPATH": "/site", "OMPI_MCA_rmaps_base_oversubscribe": "0"}
    added = launcher.settings(job(tmp_path), environ, core_count=2)
    assert "LP_NUM_THREADS" not in added
    assert "OMPI_MCA_rmaps_base_oversubscribe" not in added
    assert added["PYTHONPATH"].endswith(f"{os.pathsep}/site")


def test_root_is_allowed_only_where_the_user_is_root(tmp_path: Path) -> None:
    assert "OMPI_ALLOW_RUN_AS_ROOT" in launcher.settings(job(tmp_path), {}, core_count=1, root=True)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in launcher.settings(job(tmp_path), {}, core_count=1)


def test_the_shown_command_survives_a_shell(tmp_path: Path) -> None:
    command = launcher.command(job(tmp_path, ranks=3))
    assert command[1:3] == ["-n", "3"]
    assert command[-3:] == ["-m", "mpirender.rank", str(tmp_path / "out put" / ".mpirender" / "job.json")]
    assert shlex.split(launcher.shown(command, {"A": "b c"})) == ["env", "A=b c", *command]


def test_only_the_package_itself_is_put_in_front_of_the_hosts_own_packages() -> None:
    found = sorted(path.name for path in (launcher.PACKAGE / "hosted").iterdir())
    assert [name for name in found if name != "__pycache__"] == ["mpirender"]
