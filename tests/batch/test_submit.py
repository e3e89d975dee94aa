"""Check what mpirender submit passes to Slurm, without a cluster; test_slurm.py submits to a real one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mpirender.batch import submit
from mpirender.job.render_job import RenderJob
from processes import Pattern, Run
from repository import REPOSITORY

RECORDED = Path(__file__).with_name("recorded") / "mpi_render.slurm"
TEMPLATE = REPOSITORY / "launch" / "mpi_render.slurm"


def test_the_script_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """To update the recorded file, delete it, rerun the test and review the diff."""
    monkeypatch.setattr(submit, "path_lines", lambda: ["PATH=$PATH:/opt/mpirender/bin"])
    job = RenderJob("/data/or bit.pvsm", "/scratch/100%/it's", ("4K", "HD"), "0-99", files={"it's": "/data/$HOME"})
    script = submit.script_for(job, ["--nodes=8", "--time=2:00:00", "--qos", "very high"], TEMPLATE)
    if not RECORDED.exists():
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(script)
        pytest.fail(f"{RECORDED} is recorded anew; look at it", pytrace=False)
    assert script == RECORDED.read_text()


def test_the_shell_hands_render_what_was_asked_for(tmp_path: Path) -> None:
    """Names may contain any character."""
    name = 'it\'s "$HOME" `id` \\ * %j;&'
    job = RenderJob(tmp_path / name / "a b.pvsm", tmp_path / name, views=("Render\nView's",), files={"r": "/d/" + name})
    script = submit.script_for(job, [], TEMPLATE).replace("exec mpirender", "printf '%s\\0'")
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split("\0")[:-1] == ["render", "--grace-period", "90", *job.arguments()]


def test_a_study_is_submitted_as_one(run: Run, tmp_path: Path) -> None:
    job = RenderJob(tmp_path / "a.pvsm", tmp_path / "out", frames="0", movie="none", vary=("Cone1.Resolution=3,6",))
    script = submit.script_for(job, [], TEMPLATE).replace("exec mpirender", "printf '%s\\n'")
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == ["study", "--grace-period", "90", *job.arguments()]
    site = tmp_path / "site.slurm"
    site.write_text('#!/bin/bash\nexec mpirender render "$@"\n')
    done = run("submit", "a.pvsm", "--vary", "Cone1.Resolution=3,6", "--at", 1, "--frames", "2", "--script", site)
    assert done.returncode == 2
    assert "it cannot run a study or an estimate; copy $MPIRENDER_COMMAND from launch/mpi_render.slurm" in done.stderr
    assert "--at and --frames exclude each other" in done.stderr


def test_what_is_asked_for_wins_over_what_the_script_has() -> None:
    script = submit.script_for(RenderJob("x.pattern"), ["--nodes=8"], TEMPLATE)
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert lines.index("#SBATCH --nodes=1") < lines.index("#SBATCH --nodes=8")
    last = max(number for number, line in enumerate(script.splitlines()) if line.startswith("#SBATCH"))
    commands = [n for n, line in enumerate(script.splitlines()) if line and not line.startswith("#")]
    assert last < min(commands), "sbatch ignores options after the first command"


def test_a_script_of_the_site_is_taken(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    site = tmp_path / "site.slurm"
    site.write_text('#!/bin/bash\n#SBATCH --partition=viz\nmodule load paraview\nexec mpirender render "$@"\n')
    by_option = run("submit", pattern(), "--print", "--script", site)
    assert by_option.returncode == 0, by_option.stderr
    assert "module load paraview" in by_option.stdout
    environment = {**os.environ, "MPIRENDER_SLURM_SCRIPT": str(site)}
    assert run("submit", pattern(), "--print", env=environment).stdout == by_option.stdout


def test_all_mistakes_are_reported_together_and_in_the_words_of_render(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    words = [pattern(), "--size", "4KK", "--frames", "0-99"]
    of_render = run("render", *words).stderr.splitlines()
    done = run("submit", *words, "--script", "/nowhere", "nonsense")
    assert done.returncode == 2
    assert done.stderr.splitlines()[: len(of_render)] == of_render
    assert "'nonsense' is neither an option nor its value; give options of sbatch after --" in done.stderr
    assert "--script /nowhere: no such file" in done.stderr
    assert not (tmp_path / "test_renders").exists()


def test_a_script_that_drops_its_arguments_is_refused(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    (tmp_path / "site.slurm").write_text("#!/bin/bash\nmpirender render\n")
    done = run("submit", pattern(), "--script", "site.slurm")
    assert (done.returncode, "does not pass its arguments on" in done.stderr) == (2, True)


def test_programs_that_only_the_job_has_are_not_asked_for_here(run: Run, pattern: Pattern) -> None:
    assert run("submit", pattern(), "--mpiexec", "/cluster/mpiexec", "--print").returncode == 0


def test_a_part_of_a_node_is_not_exclusive(run: Run, pattern: Pattern) -> None:
    whole, part = (run("submit", pattern(), "--print", *words) for words in ((), ("--cores", 6, "--cpus-per-task", 2)))
    assert "\n#SBATCH --exclusive\n" in whole.stdout
    assert "\n#SBATCH --exclusive\n" not in part.stdout
    assert "\n#SBATCH --nodes=1\n#SBATCH --ntasks=3\n" in part.stdout
    wrong = run("submit", pattern(), "--print", "--cores", 5, "--cpus-per-task", 2)
    assert (wrong.returncode, "--cores 5 is no multiple of --cpus-per-task 2" in wrong.stderr) == (2, True)
    both = run("submit", pattern(), "--print", "--cores", 4, "--nodes", 2)
    assert (both.returncode, "--cores and --nodes exclude each other" in both.stderr) == (2, True)


@pytest.mark.parametrize("array", [["--array=0-99"], ["--array", "1-4"], ["-a", "0-3"], ["--arr=0-3"]])
def test_a_job_array_is_refused(run: Run, pattern: Pattern, array: list[str]) -> None:
    done = run("submit", pattern(), "--print", "--", "--nodes=2", *array)
    assert done.returncode == 2
    assert f"error: {array[0]}: one job renders all frames: submit it without --array" in done.stderr


def test_printing_writes_nothing(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    shown = run("submit", pattern(), "--print", "--nodes", 2)
    assert shown.returncode == 0
    assert "#SBATCH --nodes=2" in shown.stdout
    assert not (tmp_path / "test_renders").exists()


def test_without_slurm_it_says_so(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("submit", pattern(), env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "sbatch is not found; submit on a login node of the cluster, or use mpirender render" in done.stderr


def test_the_script_is_short_explains_each_of_its_options_and_is_sound_shell() -> None:
    lines = TEMPLATE.read_text().splitlines()
    assert len(lines) <= 40
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH") and "job-name" not in line]
    explained = [number for number in options if re.match(r"# \w", lines[number - 1])]
    assert len(explained) >= len(options) - 2, "--requeue and --open-mode share the comment above them"
    subprocess.run(["shellcheck", str(TEMPLATE)], check=True)
    assert "trap" not in TEMPLATE.read_text()


def test_the_script_comes_along_with_the_package(tmp_path: Path) -> None:
    """The script must be available after pip install, without the repository."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    (line,) = re.findall(r'^"launch/mpi_render.slurm" = "(.*)"$', text, re.MULTILINE)
    assert line == f"mpirender/{submit.NAME}"
    assert shlex.split(submit.template().read_text().splitlines()[-1])[-1] == "$@"


def test_without_a_cluster_it_says_what_to_do_instead(
    run: Run, pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text('#!/bin/sh\necho "sbatch: fatal: Could not establish a configuration source" >&2; exit 1\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    done = run("submit", pattern())
    advice = "submit on a login node of the cluster, or use mpirender render here"
    assert (done.returncode, done.stderr) == (
        6, f"mpirender: error: this machine belongs to no Slurm cluster; {advice}\n"
    )  # fmt: skip
