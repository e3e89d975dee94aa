"""Run the command line as a user does: help, mistakes, dry run, progress."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from disks import disk
from mpirender.cli import commands
from mpirender.launcher import launch_plan
from mpirender.launcher.launch_plan import LaunchPlan
from processes import Pattern, Run, need
from terminal import wait_for_screen


@pytest.mark.parametrize("arguments", [("--help",), ("render", "--help"), ("inspect", "-h"), ("doctor", "--help")])
def test_help_is_there_and_says_what_the_defaults_are(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    if arguments[0] == "render":
        for word in ("--size", "pixels", "[default: 10]", "--frames", "--data-dir", "--transparent-background"):
            assert word in done.stdout


def test_a_name_with_an_escape_sequence_is_written_out(run: Run) -> None:
    assert run("inspect", "\x1b[31m.pattern").stderr.endswith(r"\x1b[31m.pattern: no such file" + "\n")


def test_help_imports_neither_mpi4py_nor_paraview_nor_anything_slow(run: Run) -> None:
    script = (
        "import sys; from mpirender.cli.commands import cli; cli.main(['render', '--help'], standalone_mode=False); "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1].split()
    assert not {"mpi4py", "paraview", "vtkmodules", "numpy", "imageio", "PIL", "rich", "fileseq"} & set(modules)


def test_help_answers_at_once() -> None:
    """Measure CPU time and take the best of three runs, so that a busy machine does not fail the test."""
    command = [sys.executable, "-m", "mpirender", "--help"]
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("gone.pvsm",), r"gone\.pvsm: no such file"),
        ((".",), r"not a scene mpirender knows|is a folder"),
        (("folder.pvsm",), r"folder\.pvsm: is a folder"),
        (("notes.txt",), r"notes\.txt: unknown kind of scene; give a ParaView state"),
        (("test.pattern", "--size", "huge"), r"--size 'huge' is not a size; write WIDTHxHEIGHT"),
        (("test.pattern", "--size", "0x5"), r"--size '0x5': each side must be 1 to 16384 pixels"),
        (("test.pattern", "--frames", "a-b"), r"--frames 'a-b' is not a frame set; write it like 0-99"),
        (("test.pattern", "--frames", ""), r"--frames '' names no frame"),
        (("test.pattern", "--frames", "0-99"), r"--frames 0-99: the scene has frames 0-5, not 6-99"),
        (("test.pattern", "--frame-rate", "fast"), r"--frame-rate 'fast' must be a number"),
        (("test.pattern", "--ranks", "0"), r"--ranks 0 must be at least 1"),
        (("test.pattern", "--movie", "avi"), r"--movie 'avi' must be one of: mp4, webm, gif, mkv, none"),
        (("test.pattern", "--file", "reader"), r"--file 'reader': write READER=PATH"),
        (("test.pattern", "--output", "notes.txt/out"), r"--output .*notes\.txt is a file, not a folder"),
        (("test.pattern", "--output", "/proc/out"), r"--output /proc/out: (you may not|cannot) write in /proc"),
        (("empty.pattern",), r"empty\.pattern: the scene has no frames"),
        (("broken.pattern",), r"broken\.pattern: not a test pattern"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2_and_nothing_is_made(
    run: Run, pattern: Pattern, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    pattern()
    pattern('{"frames": 0}', "empty.pattern")
    pattern("{", "broken.pattern")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "folder.pvsm").mkdir()
    before = sorted(tmp_path.iterdir())
    done = run("render", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.search(line, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_all_mistakes_of_the_options_are_reported_together(run: Run) -> None:
    done = run("render", "x.pvsm", "--size", "a", "--size", "b", "--frames", "?", "--movie", "avi", "--file", "x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 6
    assert "x.pvsm: no such file" in done.stderr
    assert all(line.startswith("mpirender: error: ") for line in done.stderr.splitlines())


def test_mistakes_of_scene_output_and_tools_are_reported_together(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("render", pattern(), "--frames", "99", "--output", "file/out", "--mpiexec", "/no/mpiexec")
    assert done.returncode == 2
    assert [word in done.stderr for word in ("--frames 99", "--output", "/no/mpiexec is not found")] == [True] * 3


def test_mistakes_of_options_and_scene_are_reported_together(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(), "--size", "huge", "--frames", "99", "--view", "X", "--mpiexec", "/no/mpiexec")
    assert done.returncode == 2
    words = ("--size 'huge'", "--frames 99", "--view does not apply to test patterns", "/no/mpiexec is not found")
    assert [word in done.stderr for word in words] == [True] * 4
    assert len(done.stderr.splitlines()) == 4


def test_an_unknown_option_names_the_near_one(run: Run) -> None:
    done = run("render", "x.pvsm", "--frame-rat", "5")
    assert done.returncode == 2
    assert "--frame-rate" in done.stderr


def test_no_mpiexec_ends_with_3_and_the_line_that_installs_it(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern(), env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "mpiexec is not found" in done.stderr
    assert "apt-get install openmpi-bin" in done.stderr


def test_a_launcher_that_starts_nothing_ends_with_6(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(), "--mpiexec", "/bin/false")
    assert done.returncode == 6
    assert "the ranks did not start (exit code 1)" in done.stderr


def test_a_read_only_and_a_full_output_are_reported_before_anything_is_rendered(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    for options, line in (("size=1m", "MB are free there"), ("ro", "Read-only file system")):
        with disk(tmp_path / options, options) as output:
            done = run("render", pattern(), "--output", output)
        assert done.returncode == 2
        assert line in done.stderr


def test_quiet_says_nothing_and_verbose_shows_the_command(run: Run, pattern: Pattern) -> None:
    quiet = run("render", pattern('{"frames": 2}'), "--size", "80x50", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert "-m mpirender.ranks" in run("render", pattern('{"frames": 2}'), "--size", "80x50", "--verbose").stdout


def test_a_verbose_run_uses_the_launch_plan_that_it_printed(
    pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside Slurm, making a second plan would probe the launchers again."""
    plans, of_job = [], launch_plan.of_job

    def counted(*given: Any, **options: Any) -> LaunchPlan:
        plans.append(of_job(*given, **options))
        return plans[-1]

    monkeypatch.setattr(launch_plan, "of_job", counted)
    words = ["render", str(pattern()), "--output", str(tmp_path / "out"), "--size", "80x50", "--verbose"]
    commands.cli.main(words, standalone_mode=False)
    assert len(plans) == 1


def test_the_summary_says_where_everything_is_and_what_it_cost(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 5}'), "--size", "80x50", "--frame-rate", 10)
    output = tmp_path / "test_renders"
    for text in (
        f"{output / '80x50'} (5 images)", f"{output / 'test_80x50.mp4'} (0.5 s)", f"{output / 'contact_sheet.png'}",
        f"report  {output / 'report.html'}", "5 rendered", "s each on a rank", "busy",
    ):  # fmt: skip
        assert text in done.stdout


def test_inspect_prints_and_gives_json(run: Run, pattern: Pattern) -> None:
    shown = run("inspect", pattern())
    assert shown.returncode == 0
    assert "0-5 (6, Sequence, times 0 to 5)" in shown.stdout
    given = json.loads(run("inspect", pattern(), "--json").stdout)
    assert given["times"] == [0, 1, 2, 3, 4, 5]


def test_a_terminal_gets_one_bar_and_a_clean_screen(pattern: Pattern, tmp_path: Path) -> None:
    """Run in a pseudo-terminal and read its screen during the run and at the end."""
    tmux = [need("tmux"), "-L", f"mpirender-{os.getpid()}"]
    scene = pattern('{"frames": 30, "seconds": 0.2}')
    command = f"{sys.executable} -m mpirender render {scene} --size 80x50 --ranks 2; echo ended with $?; sleep 60"
    subprocess.run([*tmux, "new-session", "-d", "-x", "110", "-y", "30", command], check=True, cwd=tmp_path)
    try:
        half = wait_for_screen(tmux, r"\d+/30 .*images/s, \d+ s left, slowest rank \d: 0\.\d\d s/image")
        assert half.count("/30") == 1
        end = wait_for_screen(tmux, "ended with 0")
        assert "━" not in end
        assert "30 rendered" in end
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def test_ctrl_c_in_a_terminal_ends_cleanly_and_the_next_run_goes_on(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    tmux = [need("tmux"), "-L", f"mpirender-c-{os.getpid()}"]
    scene = pattern('{"frames": 30, "seconds": 0.3}')
    command = f"{sys.executable} -m mpirender render {scene} --size 80x50 --ranks 2; echo ended with $?; sleep 60"
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "110", "-y", "30", f"bash -c '{command}'"], check=True, cwd=tmp_path
    )
    try:
        wait_for_screen(tmux, r"[4-9]/30 ")
        subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        screen = wait_for_screen(tmux, "ended with 130")
        assert re.search(r"interrupted; \d+ of 30 images are done; run the same command again", screen)
        assert "Traceback" not in screen
        assert "━" not in screen
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    left = subprocess.run(["pgrep", "-f", f"mpirender.ranks {tmp_path}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    again = run("render", scene, "--size", "80x50", "--ranks", 2)
    assert again.returncode == 0
    assert int(re.search(r"(\d+) kept from before", again.stdout)[1]) >= 4


def test_the_package_imports_without_mpi_and_without_paraview() -> None:
    script = "import sys, mpirender; print(mpirender.__version__, *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "mpi4py" not in done.stdout
    assert "numpy" not in done.stdout


def test_srun_outside_of_slurm_is_a_mistake_reported_before_anything_starts(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(), "--launcher", "srun")
    assert done.returncode == 2
    assert (
        "--launcher srun needs a Slurm allocation (mpirender submit, sbatch or salloc); use mpiexec here" in done.stderr
    )


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_the_command_itself_is_not_to_be_started_by_a_launcher(run: Run, pattern: Pattern, name: str) -> None:
    done = run("render", pattern(), env={**os.environ, name: "4"})
    assert done.returncode == 2
    assert "srun or mpiexec started mpirender 4 times; start it once, it starts the ranks itself" in done.stderr
