"""Find the files behind index files, when they are read, and what is missing of them."""

from __future__ import annotations

import pytest

from mpirender.cli.inspection_text import inspection_lines
from mpirender.engines.paraview import index_files
from mpirender.engines.paraview.inspect import State, inspect_state, relocate
from paraview_states import animation, collection, prop, proxy, state, warnings

ENSIGHT = """FORMAT
type: ensight gold
GEOMETRY
model: 1 geo.*** change_coords_only
VARIABLE
scalar per node: 1 p data/p.***
scalar per element: 2 q q.const
constant per case: viscosity 0.1
TIME
time set: 1
number of steps: 3
filename start number: 10
filename increment: 5
time values: 0.0 0.5
 1.0
time set: 2
number of steps: 1
time values: 0.0
"""
XDMF_GRID = """<Grid Name="m"><Geometry{}><DataItem Format="XML">0 0 0</DataItem></Geometry>
<Attribute><DataItem Format="HDF"> s{}.h5:/p </DataItem></Attribute><Time Value="{}"/>
<Attribute><DataItem Format="HDF">all.h5:/q</DataItem></Attribute></Grid>"""
XDMF = '<Xdmf><Domain><Grid GridType="Collection">{}</Grid></Domain></Xdmf>'
PVD = '<V><Collection><DataSet timestep="0" file="a.vtm"/><DataSet timestep="2" file="b.vtu"/></Collection></V>'
CASES = {
    "run.pvd": (
        {"run.pvd": PVD, "a.vtm": '<VTKFile><DataSet index="0" file="a/0.vti"/></VTKFile>'},
        {"a.vtm": {0.0}, "b.vtu": {2.0}, "a/0.vti": {0.0}},
    ),
    "x.pvtu": ({"x.pvtu": '<VTKFile><Piece Source="x/0.vtu"/></VTKFile>'}, {"x/0.vtu": None}),
    "x.vtpc": ({"x.vtpc": '<V><Partitions><DataSet file="x/0.vti"/></Partitions></V>'}, {"x/0.vti": None}),
    "x.vtu.series": (
        {"x.vtu.series": '{"files": [{"name": "x0.vtu", "time": 0.5}, {"name": "x1.vtu", "time": 1}, 7]}'},
        {"x0.vtu": {0.5}, "x1.vtu": {1.0}},
    ),
    "x.p3d": (
        {"x.p3d": '{"filenames": [{"time": 1, "xyz": "g.xyz", "q": "1.q"}, {"time": 2, "xyz": "g.xyz", "q": "2.q"}]}'},
        {"g.xyz": {1.0, 2.0}, "1.q": {1.0}, "2.q": {2.0}},
    ),
    "x.ex-timeseries": ({"x.ex-timeseries": "a.e\n\nb.e\n"}, {"a.e": None, "b.e": None}),
    "flow.case": (
        {"flow.case": ENSIGHT},
        {"geo.010": None, "geo.015": {0.5}, "geo.020": {1.0},
         "data/p.010": {0.0}, "data/p.015": {0.5}, "data/p.020": {1.0}, "q.const": None},
    ),
    "x.sos": ({"x.sos": "SERVERS\ncasefile: a.case\n", "a.case": "model: a.geo\n"}, {"a.case": None, "a.geo": None}),
    "x.xmf": (
        {"x.xmf": XDMF.format(XDMF_GRID.format("", 0, 0) + XDMF_GRID.format("", 1, 1))},
        {"s0.h5": {0.0}, "s1.h5": {1.0}, "all.h5": {0.0, 1.0}},
    ),
    "shared.xmf": (
        {"shared.xmf": XDMF.format(XDMF_GRID.format("", 0, 0) + XDMF_GRID.format(' Reference="/Xdmf"', 1, 1))},
        {"s0.h5": None, "s1.h5": None, "all.h5": None},
    ),
    "case.foam": (
        {"case.foam": "", "constant/polyMesh/points": "", "0.5/U": "", "0.5/air/p": "", "1/polyMesh/points": "",
         "processor0/1e-05/p": "", "postProcessing/1/log": "", "system/controlDict": ""},
        {"constant/polyMesh/points": None, "0.5/U": {0.5}, "0.5/air/p": {0.5}, "1/polyMesh/points": None,
         "processor0/1e-05/p": {1e-5}, "system/controlDict": None},
    ),
    "jet.nek5000": (
        {"jet.nek5000": "filetemplate: jet%01d.f%05d\nfirsttimestep: 1\nnumtimesteps: 2\n"},
        {"jet0.f00001": None, "jet0.f00002": None},
    ),
    "head.mhd": ({"head.mhd": "NDims = 3\nElementDataFile = head.raw\n"}, {"head.raw": None}),
    "x.vtkhdf": ({"x.vtkhdf": "\x00\x01part.h5\x00/VTKHDF\x00gone.h5\x00", "part.h5": ""}, {"part.h5": None}),
    "x.spcth": ({"x.spcth": "spycase\n# all\n\n x.0 \nmore/x.1\n"}, {"x.0": None, "more/x.1": None}),
    "x.e.2.0": ({"x.e.2.0": ""}, {"x.e.2.1": None}),
}  # fmt: skip


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize("name", CASES)
def test_the_files_behind_an_index_are_found_with_the_times_at_which_they_are_read(tmp_path, name):
    files, expected = CASES[name]
    write(tmp_path, files)
    found = index_files.all_files([str(tmp_path / name)])
    assert found.pop(str(tmp_path / name)) is None
    if name != "x.e.2.0":
        assert found == {str(tmp_path / path): steps for path, steps in expected.items()}
    else:
        assert set(found) == {str(tmp_path / path) for path in expected}


def test_files_behind_a_series_of_index_files_belong_to_one_of_them(tmp_path):
    for step in range(2):
        write(tmp_path, {f"x{step}.vtm": f'<V><DataSet file="{step}.vti"/><DataSet file="all.vti"/></V>'})
    series = [str(tmp_path / f"x{step}.vtm") for step in range(2)]
    found = index_files.all_files(series)
    assert found[str(tmp_path / "1.vti")] == {series[1]}
    assert found[str(tmp_path / "all.vti")] == set(series)


@pytest.mark.parametrize(
    "content",
    ["", "<", "\x00\xff" * 100, "[1]", '{"files": 3}', "[" * 10_000, '<!DOCTYPE a [<!ENTITY b "c">]><V file="&b;"/>',
     "TIME\ntime set: x\n", "filetemplate: %s\nfirsttimestep: 9\nnumtimesteps: 99999999999\n"],
)  # fmt: skip
def test_damaged_index_files_refer_to_nothing(tmp_path, content):
    for suffix in ("pvd", "series", "case", "xmf", "nek5000", "ex-timeseries.gone", "vtkhdf", "mhd"):
        write(tmp_path, {f"x.{suffix}": content})
        assert list(index_files.all_files([str(tmp_path / f"x.{suffix}")])) == [str(tmp_path / f"x.{suffix}")]


def test_an_index_that_refers_to_itself_is_read_once(tmp_path):
    write(tmp_path, {"a.vtm": '<V><DataSet file="b.vtm"/></V>', "b.vtm": '<V><DataSet file="a.vtm"/></V>'})
    assert index_files.all_files([str(tmp_path / "a.vtm")]) == dict.fromkeys(
        [str(tmp_path / "a.vtm"), str(tmp_path / "b.vtm")]
    )


def reader(*files, steps=()):
    one = proxy(10, "sources", "PVDReader", prop("FileName", *files, files=True), prop("TimestepValues", *steps))
    return one + collection("sources", p10="data")


def test_inspect_shows_the_files_behind_an_index_and_names_missing_ones(job, tmp_path):
    write(tmp_path, {"run.pvd": PVD, "a.vtm": "<V/>"})
    found = inspect_state(state(reader(tmp_path / "run.pvd")), job())
    (line,) = (line for line in inspection_lines(found, "") if "data file" in line)
    assert line.endswith("run.pvd (found, data), refers to 2 files: a.vtm to b.vtu, 1 of them MISSING")
    (mistake,) = found.mistakes
    assert mistake.startswith(f"reader 'data': a file to which {tmp_path}/run.pvd refers does not exist: b.vtu; ")
    assert inspect_state(state(reader(tmp_path / "run.pvd")), job(on_error="warn")).mistakes == ()


def test_files_of_a_run_include_those_behind_an_index(job, tmp_path):
    write(tmp_path, {"run.pvd": PVD, "a.vtm": "<V/>", "b.vtu": ""})
    _, files, _ = relocate(State.parse(state(reader(tmp_path / "run.pvd")), "s"), job())
    assert [file.path for file in files] == [str(tmp_path / name) for name in ("run.pvd", "a.vtm", "b.vtu")]


def test_data_that_grew_since_the_state_was_saved_are_warned_of(job, tmp_path):
    write(tmp_path, {"run.pvd": PVD, "a.vtm": "<V/>", "b.vtu": ""})
    saved = reader(tmp_path / "run.pvd", steps=(0, 1))
    (line,) = warnings(state(saved), job())
    assert line == (
        "reader 'data': its data have 1 more timestep than when the state was saved, up to 2; the animation ends at 8"
    )
    assert warnings(state(reader(tmp_path / "run.pvd", steps=(0, 2))), job()) == []
    (line,) = warnings(state(saved, scene=animation(mode=2, steps=(0, 1))), job())
    assert line.endswith("they are rendered as well")


def test_a_series_that_has_more_files_than_the_state_is_warned_of(job, tmp_path):
    write(tmp_path, {f"s_{number:02}.vtu": "" for number in (0, 5, 10, 12, 15, 20)})
    series = [tmp_path / f"s_{number:02}.vtu" for number in (0, 5, 10)]
    (line,) = (text for text in warnings(state(reader(*series)), job()) if "more file" in text)
    assert "'data': 2 more files of its series exist than the state reads" in line
    assert f"{tmp_path}/s_20.vtu is the last" in line
    assert f"--file data='{tmp_path}/s_*.vtu'" in line
    whole = state(reader(*series, tmp_path / "s_15.vtu", tmp_path / "s_20.vtu"))
    assert not any("more file" in text for text in warnings(whole, job()))
