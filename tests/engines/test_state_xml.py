"""Parse ParaView state files, and report a damaged file in one line."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mpirender.engines.paraview.inspect import State
from mpirender.errors import UsageError
from paraview_states import state


def refusal(content):
    with pytest.raises(UsageError) as error:
        State.parse(content, "s.pvsm")
    assert len(error.value.mistakes) == 1 and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\0" * 100])
def test_an_empty_file_is_called_empty(content):
    assert "s.pvsm: the file is empty" in refusal(content)


def test_a_state_cut_short_says_at_which_line():
    lines = state().replace(b"><", b">\n<").split(b"\n")
    assert f"ends early at line {len(lines) - 3}" in refusal(b"\n".join(lines[:-3]))
    assert "save it again from ParaView" in refusal(b"\n".join(lines[:10])[:-4])


def test_every_cut_of_a_state_is_refused_in_one_line():
    whole = state()
    for end in range(len(whole)):
        refusal(whole[:end])


def test_a_damaged_state_says_at_which_line():
    assert "line 2 is not XML" in refusal(state().replace(b"><", b">\n<\x01", 1))


def test_other_xml_is_named_by_its_outermost_element():
    assert "not a ParaView state but another kind of XML (<html>)" in refusal(b"<html><body/></html>")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"PK\x03\x04" + bytes(range(256)), b"hello"])
def test_what_is_not_xml_is_called_so(content):
    assert "not a ParaView state but not XML" in refusal(content)


def test_a_python_state_is_recognised():
    assert "a Python script; give a .pvsm file" in refusal(b"# state file\nimport paraview\nfrom paraview import x\n")


def test_a_bare_manager_state_and_a_byte_order_mark_are_read():
    bare = ET.tostring(State.parse(state(), "s").root)
    assert State.parse(b"\xef\xbb\xbf" + bare, "s").version == "5.11.0"
