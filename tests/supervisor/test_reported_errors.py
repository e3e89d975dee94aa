"""The supervisor reads the error of a rank from its journal, not from the launcher's output or exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender import errors
from mpirender.errors import EncodeFailed, FramesMissing, MpirenderError, NoSpace, ToolMissing, UsageError
from processes import Pattern, Run

SMALL = ("--size", "80x50", "--ranks", 2)


@pytest.fixture
def silent_mpiexec(tmp_path: Path) -> Path:
    """Write an mpiexec that passes on neither output nor exit code."""
    program = tmp_path / "mpiexec"
    program.write_text('#!/bin/sh\nmpiexec "$@" >/dev/null 2>&1\nexit 1\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("scene", "code", "message"),
    [
        ('{"frames": 3, "picture": "gone.png"}', 2, "its picture gone.png does not exist"),
        ('{"frames": 3, "fail": [1]}', 4, "1 of 3 images missing"),
    ],
)
def test_an_error_is_known_although_the_launcher_passes_nothing_on(
    run: Run, pattern: Pattern, silent_mpiexec: Path, scene: str, code: int, message: str
) -> None:
    done = run("render", pattern(scene), *SMALL, "--mpiexec", silent_mpiexec)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    "error",
    [
        UsageError(["--frames 9: no such frame", "b.vtu is missing"]), ToolMissing("no GPU"), FramesMissing("one"),
        NoSpace(Path("/data")), EncodeFailed("too short"),
    ],
)  # fmt: skip
def test_a_recorded_error_is_rebuilt_with_its_mistakes(error: MpirenderError) -> None:
    again = errors.recorded([(type(error).__name__, error.message)])
    assert type(again) is type(error)
    assert (again.message, getattr(again, "mistakes", ())) == (error.message, getattr(error, "mistakes", ()))


def test_the_messages_of_several_ranks_are_joined_each_once() -> None:
    found = [("ToolMissing", "n1: no GPU"), ("ToolMissing", "n2: no GPU"), ("ToolMissing", "n1: no GPU")]
    assert str(errors.recorded(found)) == "n1: no GPU\nn2: no GPU"
    assert errors.recorded([("MemoryError", "an error of Python is a death")]) is None
