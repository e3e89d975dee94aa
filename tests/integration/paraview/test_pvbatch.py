"""Find, start and stop pvbatch and Xvfb."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE
from processes import Run, marked, need, x_servers
from repository import REPOSITORY

pytestmark = pytest.mark.slow


def test_what_a_rank_says_leaves_pvbatch_in_one_piece(tmp_path: Path) -> None:
    """Otherwise output of mpiexec could split the line. The socket turns every write into one message."""
    script = tmp_path / "say.py"
    script.write_text(
        f"import sys\nsys.path.append({str(REPOSITORY)!r})\nfrom mpirender.ranks.log import log_error\nlog_error('no')"
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        subprocess.run([need("pvbatch"), "--no-mpi", script], stderr=theirs, check=True)
        theirs.close()
        assert b"mpirender: error: no\n" in iter(lambda: ours.recv(65536), b"")


def test_functions_of_paraview_are_there_before_their_documentation(pvbatch: Run, tmp_path: Path) -> None:
    """Looking it up takes over half of the time of an import of paraview.simple; a new session has it."""
    script = tmp_path / "docs.py"
    script.write_text(
        f"import sys\nsys.path.append({str(REPOSITORY)!r})\n"
        "from mpirender.engines.paraview.proxies import import_simple\n"
        "simple = import_simple()\nprint('at first', '3D' in simple.Cone.__doc__, simple.Cone().Resolution)\n"
        "simple.ResetSession()\nprint('then', '3D' in simple.Cone.__doc__)"
    )
    said = pvbatch(script).stdout
    assert "at first False 6" in said
    assert "then True" in said


def test_without_pvbatch_it_ends_with_3_and_the_line_that_installs_it(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    path = only("mpiexec", tmp_path / "bin")
    done = run("render", scenes.state("orbit"), env={**os.environ, "PATH": path})
    assert done.returncode == 3
    assert "pvbatch is not found" in done.stderr
    assert "apt-get install paraview" in done.stderr


def test_without_xvfb_a_paraview_that_needs_it_ends_with_3(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    path = only("mpiexec", tmp_path / "bin")
    environment = {**os.environ, "PATH": path}
    programs = ("--pvbatch", need("pvbatch"), "--mpiexec", Path(path) / "mpiexec")
    done = run("render", scenes.state("orbit"), *programs, env=environment)
    assert done.returncode == 3, done.stderr
    assert "Xvfb is not installed" in done.stderr
    assert "apt-get install xvfb" in done.stderr
    assert "built for" not in done.stderr, "do not mention backends that the user cannot enable"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/etc/hostname"])
def test_a_pvbatch_that_is_none_ends_with_3(run: Run, scenes: SimpleNamespace, program: str) -> None:
    done = run("render", scenes.state("orbit"), "--pvbatch", program)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert re.search(rf"{program}(.*did not report a ParaView version|: no such program)", done.stderr)


def test_pvbatch_is_asked_once_and_again_when_no_rank_starts(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, the probed wrapper script still exists, but the libraries of its module were removed."""
    program, asked, library = tmp_path / "pvbatch", tmp_path / "asked", tmp_path / "library"
    asked.touch()
    library.touch()
    program.write_text(
        f"#!/bin/sh\n[ -e {library} ] || exit 127\n"
        f'[ "$2" = --version ] || exec {need("pvbatch")} "$@"\necho x >>{asked}\necho paraview version 5.11.0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ("render", scenes.state("orbit"), "--pvbatch", program, "--size", "80x50", "--ranks", 1, "--frames")
    for frame in (0, 1):
        done = run(*command, frame)
        assert done.returncode == 0, done.stderr
    assert len(asked.read_text().split()) == 1
    library.unlink()
    done = run(*command, 2)
    assert done.returncode == 3, done.stderr
    expected = f"mpirender: error: `{program} --version` did not report a ParaView version"
    assert done.stderr.splitlines()[-1].startswith(expected)


def only(tool: str, folder: Path) -> str:
    """Return a PATH that contains only this tool and the programs it needs to start."""
    folder.mkdir()
    for name in (tool, "orted", "env", "sh"):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(Path(found).resolve() if name != tool else found)
    return str(folder)


def test_no_x_server_and_no_rank_is_left_behind(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("render", scenes.state("orbit"), "--size", SIZE, "--ranks", 2, "--frames", "0-1")
    assert run(*words, env=marked(tmp_path)).returncode == 0
    assert x_servers(tmp_path) == []
