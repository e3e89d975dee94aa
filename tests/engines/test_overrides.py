"""Parse --set NAME.PROPERTY=VALUE."""

from __future__ import annotations

import pytest

from mpirender.engines.paraview import overrides
from mpirender.engines.paraview.overrides import Refused
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from processes import Run

NAMES = ("Cone1", "can.ex2", "can.ex2.part", "RenderView1")


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("Cone1.Resolution=32", "Cone1", "Resolution"),
        ("can.ex2.Displ=1", "can.ex2", "Displ"),
        ("can.ex2.part.Displ=1", "can.ex2.part", "Displ"),
        ("Cone1.ClipType.Origin=[0,0,1]", "Cone1", "ClipType.Origin"),
        ("RenderView1.Label=a=b.c", "RenderView1", "Label"),
    ],
)
def test_names_and_properties_may_hold_dots(text: str, name: str, path: str) -> None:
    assert overrides.split(text, NAMES) == (name, path)


def test_for_an_unknown_name_a_similar_one_is_suggested() -> None:
    with pytest.raises(Refused, match=r"no object named 'Cone2', did you mean 'Cone1'\?; it has: Cone1, can.ex2"):
        overrides.split("Cone2.Resolution=3", NAMES)


def test_of_very_many_names_only_the_first_are_listed() -> None:
    assert overrides.listed([f"Cone{number}" for number in range(30)]).endswith("Cone23 and 6 more")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32), ("-0.5", -0.5), ("[100,130]", [100, 130]), ("('POINTS', 'RTData')", ("POINTS", "RTData")),
        ("Wireframe", "Wireframe"), ("Surface With Edges", "Surface With Edges"), ("'32'", "32"), ("", ""),
        ("1;2", "1;2"), ("[1,", "[1,"), ("__import__('os')", "__import__('os')"),
    ],
)  # fmt: skip
def test_values_are_read_as_python_does_and_never_run(text: str, value: object) -> None:
    assert overrides.value_of(text) == value


@pytest.mark.parametrize("text", ["Cone1", "Cone1=3", "=3", ".=3", "Cone1.=3", ".Resolution=3"])
def test_an_invalid_assignment_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match=r"^overrides .*: write NAME\.PROPERTY=VALUE"):
        RenderJob("x.pvsm", overrides=(text,))


def test_they_are_part_of_the_job_its_command_and_its_pixels() -> None:
    job = RenderJob("x.pvsm", overrides={"Cone1.Resolution": 32, "Text1.Text": "a b", "Slice1.Origin": [0, 1]})
    assert job.overrides == ("Cone1.Resolution=32", "Text1.Text=a b", "Slice1.Origin=[0, 1]")
    assert RenderJob.from_json(job.to_json()) == job
    words = job.arguments()
    assert [words[at + 1] for at, word in enumerate(words) if word == "--set"] == list(job.overrides)
    assert job.pixel_options() != RenderJob("x.pvsm").pixel_options()


def test_a_pattern_has_nothing_to_set(run: Run, pattern) -> None:
    done = run("render", pattern(), "--set", "Cone1.Resolution=3", "--set", "Cone1")
    assert done.returncode == 2
    assert "--set does not apply to test patterns" in done.stderr
    assert "write NAME.PROPERTY=VALUE" in done.stderr
