"""Check the declarations of the fields of RenderJob and what is derived from them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import pytest

from mpirender import engines, render
from mpirender.cli.commands import study
from mpirender.cli.job_from_options import job_of
from mpirender.errors import UsageError
from mpirender.job.metadata import Option, declarations, option
from mpirender.job.render_job import OPTIONS, RenderJob
from processes import Run


@pytest.mark.parametrize("name", [one.name for one in fields(RenderJob)])
def test_every_field_is_declared(name: str) -> None:
    declared = OPTIONS[name]
    assert isinstance(declared.pixels, bool)
    assert declared.text.startswith(declared.help.partition(".")[0])
    assert declared.help.endswith(".")
    assert set(declared.engines) <= set(engines.MODULES)
    assert declared.group or declared.positional or name == "scene"
    assert not declared.choices or declared.default is None or declared.default in declared.choices


@dataclass(frozen=True)
class Silent:
    one: int = option(1, "A number.", pixels=False)
    two: int = option(2, "Another number.")


@dataclass(frozen=True)
class Plain:
    one: int = 1


@dataclass(frozen=True)
class Required:
    one: int = field(metadata={"option": Option("A number.", pixels=None)})


@pytest.mark.parametrize(("job", "name"), [(Silent, "Silent.two"), (Plain, "Plain.one"), (Required, "Required.one")])
def test_a_field_that_does_not_say_whether_it_changes_pixels_does_not_import(job: type, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} does not say whether it changes pixels: declare it with option\("):
        declarations(job)


NEEDED = {
    "quality": {"image_format": "jpg"}, "compression": {"image_format": "tiff"}, "display": {"backend": "glx"},
    "price_limit": {"price": 0.34},
}  # fmt: skip


def changed(name: str) -> object:
    """Return a valid value of a field that differs from its default."""
    one = OPTIONS[name]
    if one.choices:
        return [value for value in one.choices if value != one.default][-1]
    examples = {
        "output": "elsewhere", "sizes": "4K", "frames": "0-3", "frame_rate": 30, "measure": "Cone1.p", "views": "V",
        "layouts": "L", "sample": "0-3", "overrides": "Cone1.Resolution=3", "camera": "orbit", "color_range": "0,1",
        "separator_color": "1,1,1", "vary": "Cone1.Resolution=3,6", "data_dir": "data", "files": "r=/x.vtu",
        "gpus": "0,1", "codec": "h265", "display": ":1", "script_arguments": ("--step", "1", "-v", "1"),
    }  # fmt: skip
    value = True if one.kind is bool else 3 if one.kind in (int, float) else f"my-{name}"
    return examples.get(name, value)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "scene"])
def test_every_field_is_read_back_from_json_and_from_the_command_line(name: str) -> None:
    others = NEEDED.get(name, {})
    job = RenderJob("x.pvsm", **{name: changed(name)}, **others)
    assert getattr(job, name) != getattr(RenderJob("x.pvsm"), name)
    assert RenderJob.from_json(job.to_json()) == job
    params = study.make_context("study", job.arguments()).params
    assert job_of({name: value for name, value in params.items() if name in OPTIONS}) == replace(job, sample=None)
    assert (job.pixel_options() != RenderJob("x.pvsm", **others).pixel_options()) == OPTIONS[name].pixels


def test_errors_name_fields_in_python_and_options_on_the_command_line(run: Run, pattern) -> None:
    with pytest.raises(UsageError) as told:
        RenderJob("x.blend", samples=0, overrides="Cone1", files="reader", launcher="none", ranks=2)
    assert str(told.value).splitlines() == [
        "overrides 'Cone1': write NAME.PROPERTY=VALUE, such as Cone1.Resolution=32",
        "samples 0 must be at least 1",
        "files 'reader': write READER=PATH",
        "launcher none starts one rank, not 2; leave out ranks, or use launcher mpiexec",
    ]
    done = run("render", pattern(), "--samples", 0)
    assert "--samples 0 must be at least 1" in done.stderr
    with pytest.raises(UsageError, match=r"^views does not apply to test patterns$"):
        render(RenderJob(pattern(), views="V"))


def test_the_last_of_several_values_for_one_property_counts() -> None:
    job = RenderJob("x.pvsm", overrides=("A.B=1", "A.B=2", "A.B=1"), views=("V", "W", "V"))
    assert (job.overrides, job.views) == (("A.B=1", "A.B=2", "A.B=1"), ("V", "W"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compression_level": 10}, "--compression-level 10 must be at most 9"),
        ({"ranks": 2_000_000}, "--ranks 2000000 must be at most 1000000"),
        ({"frame_timeout": float("nan")}, "--frame-timeout nan must be more than 0"),
        ({"stereo_mode": "red"}, "--stereo-mode 'red' must be one of: No change, No stereo, Red-Blue, "),
    ],
)
def test_a_value_out_of_its_range_is_a_mistake(given: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as error:
        RenderJob("x.pvsm", **given)
    (mistake,) = error.value.mistakes
    assert mistake.startswith(told)
