"""Parse --measure, and write the table of all images."""

from __future__ import annotations

import csv
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

import sample_events
from mpirender.engines.paraview import measure
from mpirender.engines.paraview.measure import Measure
from mpirender.engines.paraview.overrides import Refused
from mpirender.errors import UsageError
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.monitor import image_table
from mpirender.run_folder import own_files
from mpirender.run_folder.journal import Journal
from mpirender.supervisor import result
from processes import Run

NAMES = ("Cone1", "can.ex2", "can.ex2.part", "run(1).vtu")


@pytest.mark.parametrize(
    ("text", "source", "array", "integral"),
    [
        ("Cone1.p", "Cone1", "p", False),
        ("can.ex2.p", "can.ex2", "p", False),
        ("can.ex2.part.p.mean", "can.ex2.part", "p.mean", False),
        ("integral(Cone1).Area", "Cone1", "Area", True),
        ("integral(can.ex2).part.p", "can.ex2", "part.p", True),
        ("integral(run(1).vtu).Velocity (m/s)", "run(1).vtu", "Velocity (m/s)", True),
    ],
)
def test_sources_and_arrays_may_hold_dots(text: str, source: str, array: str, integral: bool) -> None:
    assert measure.parse(text, NAMES) == Measure(text, source, array, integral)
    assert RenderJob("x.pvsm", measure=text).measure == (text,)


@pytest.mark.parametrize("text", ["Cone2.p", "integral(Cone2).p"])
def test_for_an_unknown_source_a_similar_one_is_suggested(text: str) -> None:
    with pytest.raises(Refused, match=r"no source named 'Cone2', did you mean 'Cone1'\?; it has: Cone1, can.ex2"):
        measure.parse(text, NAMES)


@pytest.mark.parametrize("text", ["", "Cone1", ".p", "Cone1.", "integral(Cone1)", "integral(can.ex2)", "integral().p"])
def test_a_measurement_without_an_array_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match=r"^measure .*: write SOURCE\.ARRAY .* or integral\(SOURCE\)\.ARRAY"):
        RenderJob("x.pvsm", measure=(text,))


def test_it_is_part_of_the_job_its_command_and_of_what_an_image_must_have() -> None:
    plain = RenderJob("x.pvsm")
    job = RenderJob("x.pvsm", measure=("Cone1.p", "integral(Cone1).Area", "Cone1.p"))
    assert job.measure == ("Cone1.p", "integral(Cone1).Area")
    assert RenderJob.from_json(job.to_json()) == job
    words = job.arguments()
    assert [words[at + 1] for at, word in enumerate(words) if word == "--measure"] == list(job.measure)
    assert job.pixel_options() == {**plain.pixel_options(), "measure": list(job.measure)}
    assert plain.pixel_options()["measure"] == []


def test_a_pattern_has_nothing_to_measure(run: Run, pattern) -> None:
    done = run("render", pattern(), "--measure", "Cone1.p", "--measure", "Cone1")
    assert done.returncode == 2
    assert "--measure does not apply to test patterns" in done.stderr
    assert "write SOURCE.ARRAY" in done.stderr


def test_the_table_has_the_columns_of_all_images_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    """The first image has no data, so the number of components of v is unknown until the second."""
    job = RenderJob("x.pvsm", tmp_path, measure=("A.p", "integral(A).v", "integral(A).q"), sizes="HD", frames="0-1")
    empty = {"A.p min": None, "A.p max": None, "integral(A).v": None, "integral(A).q": None}
    whole = {"A.p min": 0.1, "A.p max": 2.0, "integral(A).v 0": 1.0, "integral(A).v 1": -1e-30, "integral(A).q": 3.0}
    output = job.outputs[0]
    made = SimpleNamespace(
        frames={"HD": [job.image(output, frame) for frame in (0, 1)]},
        measured={Image(0, "HD"): empty, Image(1, "HD"): whole},
        times={Image(1, "HD"): 0.25},
    )
    rows = image_table.rows_of(job, made)
    assert image_table.numbers(job, rows) == list(whole)
    assert image_table.numbers(job, rows[:1]) == list(empty)
    image_table.write(own_files.table_path(job), rows, (), list(whole), lambda part, place: None)
    first, second = csv.DictReader((tmp_path / "measured.csv").read_text().splitlines())
    assert list(first) == ["view", "layout", "width", "height", "frame", "time", "image", *whole]
    assert [first[name] for name in whole] == [""] * 5
    assert {name: float(second[name]) for name in whole} == whole
    assert (second["frame"], second["time"], second["image"]) == ("1", "0.25", "HD/frame_000001.png")
    assert first["time"] == "", "an engine without times"


def test_numbers_of_earlier_runs_count_where_scene_and_options_are_the_same(tmp_path: Path) -> None:
    job = RenderJob("x.pvsm", tmp_path, measure="A.p", sizes="HD")
    job.folder.mkdir()
    with Journal(job.folder, 0, socket.gethostname()) as log:
        for frame, mark, least in ((0, "old", 1.0), (0, "new", 2.0), (1, "new", None), (2, "old", 4.0)):
            log.write(sample_events.done(0, frame, fingerprint=mark, measured={"A.p min": least}))
    found = {image: one.measured for image, one in result.complete(job, "new").items()}
    assert found == {Image(0, "HD"): {"A.p min": 2.0}, Image(1, "HD"): {"A.p min": None}}
