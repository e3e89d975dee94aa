"""Find the files on which a frame depends: those that were read so far, except those of other timesteps."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mpirender.engines.paraview import frame_inputs
from mpirender.engines.paraview.frame_inputs import Inputs, Reader

OLD = time.time() - 1000


@pytest.fixture
def data(tmp_path):
    """Write old files; return a function that reads some of them, as ParaView would."""

    def write(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".").replace("_in_", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            os.utime(path, (OLD, OLD))

    def read(*names):
        for name in names:
            (tmp_path / name).read_text()

    write.read = read
    return write


@pytest.fixture
def names(tmp_path):
    """Return the names of the files of a frame."""

    def names(inputs, readers, others=()):
        return [os.path.relpath(state.path, tmp_path) for state in inputs.of_frame(readers, others)]

    return names


PVD = "<V>{}</V>".format("".join(f'<DataSet timestep="{step}" file="s{step}.vtu"/>' for step in range(3)))


def watching(*readers):
    inputs = Inputs()
    inputs.watch([reader.paths for reader in readers])
    return inputs


def test_of_an_index_file_only_the_files_of_the_frames_time_count(tmp_path, data, names):
    data(run__pvd=PVD, s0__vtu="", s1__vtu="", s2__vtu="")
    reader = Reader([str(tmp_path / "run.pvd")], (0.0, 1.0, 2.0), times={0.0})
    inputs = watching(reader)
    data.read("run.pvd", "s0.vtu")
    assert names(inputs, [reader]) == ["run.pvd", "s0.vtu"]
    reader.times = {2.0}
    data.read("s2.vtu")
    assert names(inputs, [reader]) == ["run.pvd", "s2.vtu"]
    reader.times = {0.0}  # nothing is read: the reader holds these data
    assert names(inputs, [reader]) == ["run.pvd", "s0.vtu"]
    reader.times = {0.5}  # readers differ in which timestep they take, and a filter may take both
    data.read("s1.vtu")
    assert names(inputs, [reader]) == ["run.pvd", "s0.vtu", "s1.vtu"]
    reader.any_time = True
    assert names(inputs, [reader]) == ["run.pvd", "s0.vtu", "s2.vtu", "s1.vtu"]


def test_times_that_the_reader_does_not_know_say_nothing(tmp_path, data, names):
    data(run__pvd=PVD, s0__vtu="", s1__vtu="", s2__vtu="")
    reader = Reader([str(tmp_path / "run.pvd")], (10.0, 11.0), times={10.0})
    inputs = watching(reader)
    data.read("run.pvd", "s0.vtu", "s1.vtu")
    assert names(inputs, [reader]) == ["run.pvd", "s0.vtu", "s1.vtu"]


def test_of_a_series_only_the_file_at_which_the_reader_is_counts_and_those_behind_it(tmp_path, data, names):
    data(x0__vtm='<V><DataSet file="b/0.vti"/></V>', x1__vtm='<V><DataSet file="b/1.vti"/></V>')
    data(b_in_0__vti="", b_in_1__vti="")
    series = [str(tmp_path / "x0.vtm"), str(tmp_path / "x1.vtm")]
    reader = Reader(series, (0.0, 1.0), times={0.0}, at={series[0]})
    inputs = watching(reader)
    data.read("x0.vtm", "b/0.vti")
    assert names(inputs, [reader]) == ["x0.vtm", "b/0.vti"]
    reader.at = {series[1]}
    data.read("x1.vtm", "b/1.vti")
    assert names(inputs, [reader]) == ["x1.vtm", "b/1.vti"]


def test_a_file_of_which_no_reader_is_known_counts_for_all_later_frames(tmp_path, data, names):
    data(a__xyz="", mesh="", s1="", note="")
    reader = Reader([str(tmp_path / "a.xyz")], (0.0, 1.0), times={0.0})
    inputs = watching(reader)
    data.read("a.xyz", "mesh")
    assert names(inputs, [reader]) == ["a.xyz", "mesh"]
    data.read("s1")
    reader.times = {1.0}
    assert names(inputs, [reader], [str(tmp_path / "note")]) == ["note", "a.xyz", "mesh", "s1"]


def test_files_in_folders_that_were_not_watched_while_loading_count_as_read(tmp_path, data, names):
    data(run__pvd=PVD, s0__vtu="", s1__vtu="", s2__vtu="")
    reader = Reader([str(tmp_path / "run.pvd")], (0.0, 1.0, 2.0), times={1.0})
    inputs = Inputs()
    inputs.watch([reader.paths], late=True)
    assert names(inputs, [reader]) == ["run.pvd", "s1.vtu"]


def test_a_symbolic_link_counts_under_its_own_name(tmp_path, data, names):
    data(far_in_x__vtu="")
    (tmp_path / "x.vtu").symlink_to(tmp_path / "far" / "x.vtu")
    reader = Reader([str(tmp_path / "x.vtu")])
    inputs = watching(reader)
    data.read("x.vtu")
    assert names(inputs, [reader]) == ["x.vtu"]


def test_a_file_that_changes_meanwhile_has_no_state_that_it_could_keep(tmp_path, data):
    data(a__vtu="1")
    path = tmp_path / "a.vtu"
    reader = Reader([str(path)])
    inputs = watching(reader)
    data.read("a.vtu")
    assert inputs.of_frame([reader]) == (frame_inputs.state_of(str(path)),)
    path.write_text("2")
    assert inputs.of_frame([reader]) != (frame_inputs.state_of(str(path)),)  # the reader may hold the old one
    data.read("a.vtu")
    (state,) = inputs.of_frame([reader])
    assert state.modified == 0


def test_a_file_that_is_written_while_it_is_read_has_no_state_that_it_could_keep(tmp_path):
    path = tmp_path / "a.vtu"
    path.write_text("1")
    reader = Reader([str(path)])
    inputs = watching(reader)
    path.read_text()
    path.write_text("2")
    assert inputs.of_frame([reader])[0].modified == 0


def test_files_from_the_future_keep_their_states(tmp_path, data):
    data(a__vtu="")
    os.utime(tmp_path / "a.vtu", (time.time() + 1000,) * 2)
    reader = Reader([str(tmp_path / "a.vtu")])
    inputs = watching(reader)
    data.read("a.vtu")
    assert inputs.of_frame([reader])[0].modified > 0


def test_after_lost_events_no_state_is_known(tmp_path, data):
    data(a__vtu="", b="")
    reader = Reader([str(tmp_path / "a.vtu")])
    inputs = watching(reader)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(most // 2 + 1):  # equal events that follow one another are merged
        os.close(os.open(tmp_path / "a.vtu", os.O_RDONLY))
        os.close(os.open(tmp_path / "b", os.O_RDONLY))
    assert {state.modified for state in inputs.of_frame([reader])} == {0}
