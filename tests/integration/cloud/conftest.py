"""An account in the cloud, with the real programs that work without one (cloud_account.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amazon import REGION
from cloud_account import CloudAccount
from processes import need
from slurm_cluster import PROGRAMS

INIT = (
    "--region", REGION, "--instances", "c7i.4xlarge=0.31,c7a.4xlarge", "--max-nodes", "3",
    "--subnet", "subnet-12345678", "--key", "me", "--budget", "50", "--mail", "me@example.org",
)  # fmt: skip


@pytest.fixture(scope="session")
def running_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudAccount]:
    for program in (*PROGRAMS, "ssh", "rsync"):
        need(program)
    if os.geteuid() != 0:
        pytest.skip("a cluster in namespaces of its own needs root")
    folder = tmp_path_factory.mktemp("cloud")
    for place in (folder, *folder.parents[:3]):
        place.chmod(0o755)
    with CloudAccount(folder) as account:
        yield account


@pytest.fixture
def account(running_account: CloudAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CloudAccount:
    """Give each test the account without a cluster, and a configuration of one in its folder: farm.yaml."""
    running_account.forget()
    for name, value in running_account.variables.items():
        monkeypatch.setenv(name, value)
    subprocess.run([sys.executable, "-m", "mpirender", "cloud", "init", "farm.yaml", *INIT], cwd=tmp_path, check=True)
    farm = tmp_path / "farm.yaml"
    farm.write_text(farm.read_text().replace("MountDir: /shared", f"MountDir: {running_account.mount}"))
    return running_account
