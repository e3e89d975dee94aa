"""Command lines that cannot be read get one line that names what is meant."""

from __future__ import annotations

import pytest

from processes import Pattern, Run


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("render test.pattern --fps 30", "--fps is no option of render; use --frame-rate"),
        ("render test.pattern --resolution 8x8", "--resolution is no option of render; use --size"),
        ("render test.pattern --allow-missing skip", "--allow-missing is no option of render but of encode: mpirender"),
        ("render test.pattern --nodes 4", "--nodes is no option of render but of submit, serve: mpirender"),
        ("render test.pattern --sizes 8x8", "--sizes is no option of render, did you mean '--size'?"),
        ("render test.pattern -z", "-z is no option of render; see mpirender render --help"),
        ("--bogus", "--bogus is no option; see mpirender --help"),
        ("test.pattern", "test.pattern: say what to do with it: mpirender render test.pattern, or inspect, or submit"),
        ("gone.pvsm", "gone.pvsm: say what to do with it: mpirender render gone.pvsm, or inspect, or submit"),
        ("test_renders", "test_renders: say what to do with it: mpirender status test_renders, or encode"),
        ("rendr test.pattern", "'rendr' is no command, did you mean 'render'?"),
        ("status", "OUTPUT is missing; see mpirender status --help"),
        ("render test.pattern --ranks x", "invalid value for '-n' / '--ranks': 'x' is not a valid integer"),
        ("render test.pattern --frames 10-0", "--frames '10-0' runs backwards; frames are rendered in their order: "),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be_read_gets_one_line(run: Run, pattern: Pattern, words: str, line: str) -> None:
    (pattern().parent / "test_renders" / ".mpirender").mkdir(parents=True)
    done = run(*words.split())
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"mpirender: error: {line}"), done.stderr
