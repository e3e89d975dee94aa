"""launch/cloud_head.sh, which the head node runs: its own end, and the batch script for its nodes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from repository import REPOSITORY
from waiting import wait_for

SCRIPT = REPOSITORY / "launch" / "cloud_head.sh"
RECORD = """\
#!/bin/sh
echo "$(basename "$0") $*" >>{log}
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs on PATH that the head node must not find here, and record how they are called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sudo", "scancel", "squeue"):
        (programs / name).write_text(RECORD.format(log=tmp_path / "log"))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "log"


def stop_after(hours: float, folder: Path) -> None:
    """Call the script as mpirender cloud does."""
    subprocess.run(["bash", SCRIPT, "stop-after", str(hours), folder], check=True)


def test_the_head_node_stops_itself_once_after_its_hours(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mpirender"
    folder.mkdir()
    stop_after(2 / 3600, folder)
    stop_after(2 / 3600, folder)  # every command of mpirender cloud does so
    wait_for(lambda: log.exists() and "sudo" in log.read_text(), 20)
    time.sleep(0.5)
    called = log.read_text().splitlines()
    assert called == [
        f"scancel --user={os.environ.get('USER', 'root')} --full",
        "squeue --noheader",
        "sudo shutdown -h now",
    ]


def test_the_hours_count_from_the_first_call_and_can_be_changed(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mpirender"
    folder.mkdir()
    (folder / "made-at").write_text(str(int(time.time()) - 7200))
    stop_after(24, folder)
    assert abs(int((folder / "stop-at").read_text()) - time.time() - 22 * 3600) < 60
    stop_after(1, folder)
    wait_for(lambda: log.exists() and "sudo shutdown -h now" in log.read_text(), 70)


def test_nodes_install_the_same_before_they_render(tmp_path: Path) -> None:
    launch = tmp_path / "source" / "launch"
    launch.mkdir(parents=True)
    for name in ("cloud_head.sh", "mpi_render.slurm"):
        (launch / name).write_text((REPOSITORY / "launch" / name).read_text())
    (launch / "setup.sh").write_text(f'echo "$1" >>{tmp_path}/installed\n')
    subprocess.run(["bash", launch / "cloud_head.sh", "software", "blender", tmp_path], check=True)
    assert (tmp_path / "installed").read_text() == "blender\n"
    lines = (tmp_path / "blender.slurm").read_text().splitlines()
    (setup,) = [number for number, line in enumerate(lines) if line.startswith("srun ")]
    assert f"bash {launch}/setup.sh blender || exit 3" in lines[setup]
    assert lines[setup + 1] == f"export PATH={tmp_path}/source/.venv/bin:$PATH"
    assert lines[-1].startswith("exec mpirender")
    subprocess.run(["bash", "-n", tmp_path / "blender.slurm"], check=True)
