"""Find everything in a ParaView state that runs as a program."""

from __future__ import annotations

import pytest

from mpirender.engines.paraview import engine
from mpirender.engines.paraview.inspect import inspect_state
from mpirender.errors import UsageError
from paraview_states import CLOCK, animation, collection, prop, proxy, state
from processes import Run

ALL = (
    proxy(20, "filters", "ProgrammableFilter", prop("Script", "import os&#10;&#10;os.remove('x')")),
    proxy(21, "sources", "ProgrammableSource", prop("Script", " "), prop("InformationScript", "pass")),
    proxy(22, "filters", "PythonCalculator", prop("Expression", "inputs[0]")),
    proxy(23, "filters", "PythonAnnotation", prop("Expression", "str(1)")),
    proxy(24, "filters", "AnnotateGlobalData", prop("Prefix", "x")),
    proxy(25, "sources", "SelectionQuerySource", prop("QueryString", "p &gt; 2")),
    proxy(26, "views", "PythonView", prop("Script", "def render(view, width, height): pass")),
    proxy(27, "animation", "PythonAnimationCue", prop("Script", "def tick(self): pass")),
    proxy(28, "filters", "OfSomePlugin", prop("Script", "pass")),
    collection("sources", p20="Made", p21="Shape", p22="Sum", p23="Text", p24="Global", p28="Other"),
)
FOUND = [
    "Made (ProgrammableFilter, 2 lines of Python)", "Shape (ProgrammableSource, 1 line of Python)",
    "Sum (PythonCalculator, 1 line of Python)", "Text (PythonAnnotation, 1 line of Python)",
    "Global (AnnotateGlobalData, 1 line of Python)", "25 (SelectionQuerySource, 1 line of Python)",
    "26 (PythonView, 1 line of Python)", "27 (PythonAnimationCue, 1 line of Python)",
    "Other (OfSomePlugin, 1 line of Python)",
]  # fmt: skip
NONE = (
    proxy(20, "filters", "ProgrammableFilter", prop("Script", " ")),
    proxy(21, "filters", "Calculator", prop("Expression", "coordsX")),
    CLOCK,
)


def test_all_scripts_of_a_state_are_listed_with_their_plugins(job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PV_PLUGIN_PATH", raising=False)
    assert list(inspect_state(state(*ALL), job()).scripts) == FOUND
    assert inspect_state(state(*NONE), job()).scripts == ()
    monkeypatch.setenv("PV_PLUGIN_PATH", "/site/plugins")
    found = inspect_state(state(*NONE), job(plugins=("LegacyExodusReader",))).scripts
    assert found == ("LegacyExodusReader (plugin)", "/site/plugins (plugins, PV_PLUGIN_PATH)")


def test_a_scene_with_scripts_is_refused_if_none_may_run(job) -> None:
    strict = job(no_scripts=True)
    (mistake,) = inspect_state(state(*ALL), strict).mistakes
    assert "--no-scripts refuses the scripts of this scene: Made (ProgrammableFilter, 2 lines" in mistake
    assert inspect_state(state(*NONE), strict).mistakes == ()
    assert engine.prepare(state(*NONE), strict)
    with pytest.raises(UsageError, match="refuses the scripts"):
        engine.prepare(state(*ALL), strict)  # the file that the ranks read may be another


def test_inspect_and_dry_run_name_the_scripts(run: Run, tmp_path) -> None:
    (tmp_path / "s.pvsm").write_bytes(state(*ALL, scene=animation()))
    shown = run("inspect", "s.pvsm")
    assert shown.stdout.count("    script  ") == len(FOUND)
    assert run("inspect", "s.pvsm", "--no-scripts").returncode == 2
    assert run("render", "s.pvsm", "--no-scripts").stderr.count("refuses the scripts of this scene: Made") == 1
    (tmp_path / "c.py").write_text("from paraview.simple import *")
    assert "script  the scene itself (a Python script)" in run("inspect", "c.py").stdout
    assert "--no-scripts refuses the scripts of this scene: the scene itself" in run(
        "render", "c.py", "--no-scripts"
    ).stderr  # fmt: skip
