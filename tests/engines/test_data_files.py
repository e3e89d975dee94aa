"""Find the data files of a ParaView state and replace them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mpirender.engines.paraview import engine
from mpirender.engines.paraview.inspect import State, relocate
from paraview_states import collection, prop, proxy, state, warnings


def reader(*files, id_=10, name="data.vtu", extra=""):
    one = proxy(id_, "sources", "XMLUnstructuredGridReader", prop("FileName", *files, files=True), extra)
    return one + collection("sources", **{f"p{id_}": name})


def relocated(content, job):
    """Return the paths in the relocated state, the data files and the mistakes."""
    out, files, wrong = relocate(State.parse(content, "s"), job)
    again = State.parse(out, "s")
    found = [element.get("value") for element in again.root.iterfind("Proxy/Property[@name='FileName']/Element")]
    return found, files, wrong


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_a_state_whose_files_are_there_stays_as_it_is_to_the_byte(job, tmp_path):
    touch(tmp_path / "data.vtu")
    content = state(reader(tmp_path / "data.vtu", ""))
    out, files, wrong = relocate(State.parse(content, "s"), job())
    assert (out, wrong) == (content, [])
    assert [(file.path, file.found) for file in files] == [(str(tmp_path / "data.vtu"), True)]


def test_a_state_for_another_machine_reads_the_files_in_a_folder_there(job, tmp_path):
    """It reads the files that would be read here: those in --data-dir, where they are found there."""
    touch(tmp_path / "a" / "x.vtu", tmp_path / "b" / "x.vtu")
    content = state(reader(tmp_path / "a" / "x.vtu"), reader("Y:\\Data\\b\\x.vtu", id_=11))
    out = engine.moved(content, job(data_dir=tmp_path / "b"), "/shared/job")
    again = State.parse(out, "s")
    found = [element.get("value") for element in again.root.iterfind("Proxy/Property[@name='FileName']/Element")]
    assert found == [f"/shared/job{tmp_path}/b/x.vtu", f"/shared/job{tmp_path}/b/x.vtu"]
    (own,) = State.parse(
        engine.moved(state(reader(tmp_path / "a" / "x.vtu")), job(), "/shared/job"), "s"
    ).root.iterfind("Proxy/Property[@name='FileName']/Element")
    assert own.get("value") == f"/shared/job{tmp_path}/a/x.vtu"


def test_a_missing_file_is_reported_with_its_reader_and_both_fixes(job):
    (line,) = relocated(state(reader("Y:\\Data\\data.vtu")), job())[2]
    assert line.startswith("reader 'data.vtu': Y:\\Data\\data.vtu does not exist; ")
    assert line.endswith("use --data-dir FOLDER or --file data.vtu=PATH")


def test_a_file_beside_the_scene_is_hinted_at(job, tmp_path):
    touch(tmp_path / "scenes" / "data.vtu")
    for saved in ("Y:\\Data\\data.vtu", "data.vtu", "/no/where/data.vtu"):
        line = relocated(state(reader(saved)), job())[2][0]
        assert f"found next to the scene: use --data-dir {tmp_path / 'scenes'}" in line


def test_a_relative_path_is_taken_from_where_one_stands(job, tmp_path):
    touch(tmp_path / "here" / "data.vtu")
    found, (file,), wrong = relocated(state(reader("data.vtu")), job())
    assert (found, file.path, wrong) == (["data.vtu"], str(tmp_path / "here" / "data.vtu"), [])


@pytest.mark.parametrize(
    "saved", ["Y:\\run\\deep\\data.vtu", "/gone/run/deep/data.vtu", "\\\\host\\run\\deep\\data.vtu"]
)
@pytest.mark.parametrize("place", ["data.vtu", "deep/data.vtu", "run/deep/data.vtu"])
def test_the_data_folder_is_searched_with_longer_and_longer_parts_of_the_old_path(job, tmp_path, saved, place):
    touch(tmp_path / "new" / place)
    found, (file,), wrong = relocated(state(reader(saved)), job(data_dir=tmp_path / "new"))
    assert (found, file.found, wrong) == ([str(tmp_path / "new" / place)], True, [])


def test_what_is_not_in_the_data_folder_stays_where_it_was_saved(job, tmp_path):
    touch(tmp_path / "old" / "data.vtu")
    (tmp_path / "new").mkdir()
    saved = str(tmp_path / "old" / "data.vtu")
    assert relocated(state(reader(saved)), job(data_dir=tmp_path / "new"))[0] == [saved]


def test_every_file_of_a_series_is_looked_for(job, tmp_path):
    touch(*(tmp_path / "new" / f"d_{step}.vtu" for step in range(30)))
    series = state(reader(*(f"/gone/d_{step}.vtu" for step in range(40))))
    (line,) = relocated(series, job(data_dir=tmp_path / "new"))[2]
    assert f"10 of 40 files do not exist there or in {tmp_path / 'new'}: /gone/d_30.vtu, " in line


def test_a_data_folder_that_is_not_there_is_refused(job, tmp_path):
    wrong = relocated(state(reader("/gone/a.vtu")), job(data_dir=tmp_path / "no"))[2]
    assert wrong[0] == f"--data-dir {tmp_path / 'no'}: no such folder"


def test_a_variable_at_the_start_of_a_path_is_replaced(job, tmp_path, monkeypatch):
    touch(tmp_path / "data.vtu")
    scene = state(reader("$SOME_DATA/data.vtu"))
    assert "set the environment variable SOME_DATA" in relocated(scene, job())[2][0]
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    assert relocated(scene, job())[::2] == ([str(tmp_path / "data.vtu")], [])


def test_a_chosen_file_replaces_the_readers(job, tmp_path):
    touch(tmp_path / "big.vtu")
    found, (file,), wrong = relocated(state(reader("/gone/a.vtu")), job(files={"data.vtu": "../big.vtu"}))
    assert (found, file.saved, wrong) == ([str(tmp_path / "big.vtu")], "/gone/a.vtu", [])


def test_a_pattern_replaces_a_series_in_the_order_of_its_numbers(job, tmp_path):
    touch(*(tmp_path / f"big_{step}.vtu" for step in (1, 10, 2, 9)))
    files = {"data.vtu": f"{tmp_path}/big_*.vtu"}
    found, _, wrong = relocated(state(reader("/gone/a0.vtu", "/gone/a1.vtu")), job(files=files))
    assert [Path(path).name for path in found] == ["big_1.vtu", "big_2.vtu", "big_9.vtu", "big_10.vtu"] and not wrong
    assert not relocated(state(reader("/gone/a.vtu")), job(files=files))[2], "a series may be saved with one file"
    single = state(reader("/gone/a.pvd")).replace(b"XMLUnstructuredGridReader", b"PVDReader")
    assert "the reader reads one; name one" in relocated(single, job(files=files))[2][0]


def test_wrong_choices_of_files_are_reported_together(job, tmp_path):
    files = {"data.vt": "/gone/a.vtu", "data.vtu": "/gone/b.vtu"}
    assert relocated(state(reader("/gone/a.vtu")), job(files=files))[2] == [
        "--file data.vt=/gone/a.vtu: the scene has no reader of that name, did you mean 'data.vtu'?; it has: data.vtu",
        "--file data.vtu=/gone/b.vtu: no such file",
    ]
    pattern = relocated(state(reader("/gone/a", "/gone/b")), job(files={"data.vtu": "/gone/*.x"}))[2]
    assert pattern == ["--file data.vtu=/gone/*.x: no file matches"]


def test_one_file_in_place_of_a_series_is_warned_of(job, tmp_path):
    touch(tmp_path / "a.vtu")
    (line,) = warnings(state(reader("/gone/a", "/gone/b")), job(files={"data.vtu": f"{tmp_path}/a.vtu"}))
    assert "replaces the 2 files of 'data.vtu'" in line


def test_signs_that_xml_escapes_survive_relocation(job, tmp_path):
    touch(tmp_path / "new" / "a & <b> ü.vtu")
    code = proxy(11, "filters", "ProgrammableFilter", prop("Script", "if a &lt; b:&#10;&#9;print(&quot;ü&amp;&quot;)"))
    content = state(reader("/gone/a &amp; &lt;b&gt; ü.vtu"), code)
    out, (file,), wrong = relocate(State.parse(content, "s"), job(data_dir=tmp_path / "new"))
    assert file.found and not wrong
    assert State.parse(out, "s").by_id["11"].values("Script") == ['if a < b:\n\tprint("ü&")']


def test_a_prefix_follows_its_files(job, tmp_path):
    touch(tmp_path / "new" / "can.ex2")
    extra = prop("FilePrefix", "/gone/can") + prop("FilePattern", "%s")
    content = state(reader("/gone/can.ex2", extra=extra))
    out, files, _ = relocate(State.parse(content, "s"), job(data_dir=tmp_path / "new"))
    assert State.parse(out, "s").by_id["10"].values("FilePrefix") == [str(tmp_path / "new" / "can")]
    assert len(files) == 1


def test_an_exodus_family_without_one_of_its_files_is_a_mistake(job, tmp_path):
    family = tmp_path / "can.e.4"
    touch(*(tmp_path / f"can.e.4.{number}" for number in (0, 1, 3)))
    content = state(reader(f"{family}.0"))
    assert relocated(content, job())[2] == [
        f"reader 'data.vtu': 1 of the 4 files of {family} do not exist: {family}.2"
    ]  # fmt: skip
    touch(tmp_path / "can.e.4.2")
    assert relocated(content, job())[2] == []


@pytest.mark.parametrize("version", [(101,), (102, 64)])
def test_an_spcth_family_without_one_of_its_files_is_a_mistake(job, tmp_path, version):
    """ParaView reads the files up to the first that is missing, and shows a part of the model."""

    def write(processor):
        numbers = (*version, 0, processor, 3, 30, 3, 1, 1)
        head = b"spydata\0" + bytes(128) + struct.pack(f">{len(numbers)}i", *numbers)
        (tmp_path / f"shock.{processor}").write_bytes(head)

    write(0)
    write(1)
    family = tmp_path / "shock"
    content = state(reader(f"{family}.1"))
    assert relocated(content, job())[2] == [
        f"reader 'data.vtu': 1 of the 3 files of {family} do not exist: {family}.2"
    ]  # fmt: skip
    write(2)
    assert relocated(content, job())[2] == []
