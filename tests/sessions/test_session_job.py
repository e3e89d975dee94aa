"""The Slurm job of a session: its batch script, its mistakes, and what Slurm is asked for."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mpirender.batch import submit
from mpirender.errors import UsageError
from mpirender.job.programs import Programs
from mpirender.sessions import job, resources
from mpirender.sessions.job import SessionJob
from mpirender.sessions.session import SessionRequest
from processes import Run

RECORDED = Path(__file__).parent / "recorded" / "mpi_serve.slurm"
GB = 1024**3
SESSION = SessionRequest(
    Programs(pvbatch="/opt/para view/bin/pvbatch"), ranks=2, keep=True, login="me@login.site.org", mail="me@site.org",
    output_file=Path("/scratch/it's $HOME/%j.log"),
)  # fmt: skip
JOB = SessionJob(SESSION, 2, 90 * GB, time="1:30:00", partition="vi z", gpus=2, options=("--qos", "very high"))


def test_the_script_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """To update the recorded file, delete it, rerun the test and review the diff."""
    monkeypatch.setattr(submit, "path_lines", lambda: ["PATH=$PATH:/opt/mpirender/bin"])
    script = job.script_for(JOB, Path("/home/it's 100%/.mpirender/sessions"))
    if not RECORDED.exists():
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(script)
        pytest.fail(f"{RECORDED} is recorded anew; look at it", pytrace=False)
    assert script == RECORDED.read_text()


def test_the_shell_hands_serve_what_was_asked_for(tmp_path: Path) -> None:
    """Names may contain any character."""
    name = 'it\'s "$HOME" `id` \\ * %j;&'
    hostile = replace(SESSION, output_file=tmp_path / name, programs=Programs(container=f"/images/{name}"))
    script = job.script_for(replace(JOB, session=hostile), tmp_path / name).replace("exec mpirender", "printf '%s\\0'")
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split("\0")[:-1] == ["serve", *job.arguments(hostile, 2)]


def test_the_memory_is_shared_by_the_nodes() -> None:
    words = replace(JOB, nodes=2, ranks=4, memory=180 * GB).words()
    assert {"--nodes=2", "--ntasks=4", f"--mem={90 * 1024}M", "--exclusive"} <= set(words)


def test_a_shared_node_is_not_exclusive() -> None:
    assert "--exclusive" not in replace(JOB, shared=True).words()


def test_options_that_cannot_work_are_reported_together() -> None:
    wrong = replace(JOB, nodes=3, gpus=-1, partition="a\nb", options=("stray",))
    with pytest.raises(UsageError) as raised:
        job.script_for(wrong, Path("/tmp"))
    assert len(raised.value.mistakes) == 4


def test_a_script_of_the_site_must_exist_and_pass_its_arguments_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own.slurm"
    monkeypatch.setenv("MPIRENDER_SERVE_SCRIPT", str(own))
    with pytest.raises(UsageError, match="no such file"):
        job.script_for(JOB, tmp_path)
    own.write_text("#!/bin/bash\n#SBATCH --qos=mine\nmodule load paraview\nmpirender serve\n")
    with pytest.raises(UsageError, match="does not pass its arguments on"):
        job.script_for(JOB, tmp_path)
    own.write_text(own.read_text() + '"$@"')
    assert job.script_for(JOB, tmp_path).splitlines()[1:3] == ["#SBATCH --qos=mine", "# Inserted by mpirender:"]


def test_a_site_asks_for_gpus_with_each_rank(monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path) -> None:
    monkeypatch.setenv("MPIRENDER_SESSION_GPUS", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resources.gpus_of_rank() == 1
    done = run("serve", "--memory", "120G", "--print")
    assert "#SBATCH --gpus=2\n" in done.stdout, done.stderr
    assert "#SBATCH --gpus=3\n" in run("serve", "--memory", "120G", "--gpus", 3, "--print").stdout
    assert not (tmp_path / ".mpirender").exists()


@pytest.mark.parametrize("where", ["22008", "host:", "host:port", "-x y:1", "a;b:1"])
def test_what_is_no_address_of_a_client_is_refused(run: Run, where: str) -> None:
    done = run("serve", "--reverse", where, "--print")
    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr


@pytest.mark.parametrize("address", ["-oQ/tmp", "a b", "me@", "me@site\nBcc: x", "a,b@c", ""])
def test_what_is_no_address_of_mail_is_refused(run: Run, address: str) -> None:
    done = run("serve", "--mail-user", address, "--print")
    assert done.returncode == 2
    assert "is not a mail address" in done.stderr


def test_without_slurm_the_other_way_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("serve")
    assert done.returncode == 3
    assert done.stderr.endswith("to serve on this machine, add --launcher mpiexec\n")
