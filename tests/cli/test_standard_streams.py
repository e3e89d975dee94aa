"""Standard output and error are not the run: whatever happens to them, it goes on, and its exit code tells its end."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from processes import Pattern
from records import records
from runs import SMALL
from waiting import wait_for

MPIRENDER = shlex.join([sys.executable, "-m", "mpirender"])
RENDER = f"{MPIRENDER} render test.pattern {' '.join(map(str, SMALL))}"
WARNING = "mpirender: warning: standard output cannot be written (No space left on device)\n"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "errors"), [("| head -1", ""), ("> /dev/full", WARNING), ("<&- >&- 2>&-", ""), (">&- 2>/dev/full", "")]
)
def test_a_run_does_not_need_its_standard_output(pattern: Pattern, tmp_path: Path, ending: str, errors: str) -> None:
    pattern()
    done = shell(f"{RENDER} {ending}", tmp_path)
    assert (done.returncode, done.stderr) == (0, errors)
    assert (tmp_path / "test_renders" / "test_160x90.mp4").exists()
    failed = shell(f"{RENDER} --bogus {ending}", tmp_path)
    assert failed.returncode == 2


@pytest.mark.slow
def test_a_reader_that_stalls_does_not_stall_the_run(pattern: Pattern, tmp_path: Path) -> None:
    pattern()
    reader, writer = os.pipe()
    room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"\n" * room)
    with subprocess.Popen(shlex.split(RENDER), cwd=tmp_path, stdout=writer) as process, os.fdopen(reader) as output:
        os.close(writer)
        wait_for(lambda: records(tmp_path / "test_renders", "finish"))
        assert process.poll() is None, "it waits with its summary"
        assert "contact sheet" in output.read()
    assert process.returncode == 0


def test_what_only_prints_says_that_it_could_not(pattern: Pattern, tmp_path: Path) -> None:
    pattern()
    done = shell(f"{MPIRENDER} inspect test.pattern > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, WARNING)


def test_a_reader_that_has_read_enough_is_no_error(rendered: Path) -> None:
    done = shell(f"{MPIRENDER} status {rendered.name} --json | head -c 9", rendered.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"time": ', "")
