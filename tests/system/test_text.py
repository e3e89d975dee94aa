"""Write texts from files so that they cannot control a terminal."""

from __future__ import annotations

from mpirender.system.text import printable


def test_what_could_control_a_terminal_is_written_out_and_everything_else_stays() -> None:
    assert printable("\x1b[2J\x07 \x9b1m \r\x7f") == r"\x1b[2J\x07 \x9b1m \r\x7f"
    assert printable("a\u202egnp.exe \u2028 \udcff") == r"a\u202egnp.exe \u2028 \udcff"
    assert printable("naïve 圧力 ↑ café\tnext\nline") == "naïve 圧力 ↑ café next\nline"
