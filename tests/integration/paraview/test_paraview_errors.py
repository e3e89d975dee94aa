"""Fail the frames for which ParaView reports an error, and no others."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engine_scripts import engine_script
from images import SIZE, pixels
from mpirender.run_folder import events, journal
from processes import Run

pytestmark = pytest.mark.slow


def test_an_error_of_paraview_while_loading_stops_before_anything_is_rendered(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(scenes.folder / "data", folder / "data")
    (folder / "data" / "shape_0.vtp").write_text("<VTKFile")
    command = ("render", scenes.state("series"), "--data-dir", folder, "--size", SIZE, "--movie", "none")
    done = run(*command)
    assert done.returncode == 2
    assert "error while loading" in done.stderr
    assert f"{folder}/data/shape_0.vtp" in done.stderr
    assert "(restore the data, or render it nevertheless with --on-error warn)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_error_of_paraview_in_mid_animation_fails_the_frames_it_shows_in(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """The axes of the next frame are drawn around this frame's data, so that frame fails, too."""
    folder = tmp_path / "broken"
    shutil.copytree(scenes.folder / "data", folder / "data")
    (folder / "data" / "shape_4.vtp").write_text("<VTKFile")
    command = ("render", scenes.state("series"), "--data-dir", folder, "--size", SIZE, "--movie", "none", "--ranks", 1)
    done = run(*command)
    assert done.returncode == 4
    assert f"{SIZE} frames 4: rank " in done.stderr
    assert re.search(rf"{SIZE} frames 5: rank .*\(at time 4, around whose data axes are drawn\)", done.stderr)
    assert "2 of 6 images missing" in done.stderr
    kept = run(*command, "--on-error", "warn")
    assert kept.returncode == 0
    assert "errors were reported during 2 images" in kept.stdout


@pytest.mark.parametrize(("damage", "ranks"), [("removed", 2), ("overwritten", 1)])
def test_a_file_lost_while_rendering_fails_the_frames_that_use_it_and_no_other(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, ranks: int, damage: str
) -> None:
    """VTK reports an unreadable file only once, on the first read; three frames use this file."""
    state = holed(scenes, tmp_path / "copy", open_gate=False)
    output, lost = tmp_path / "out", tmp_path / "copy" / "data" / "step_2.vtp"
    ungated = "--allow-order-dependence"  # else the order test would wait at the gate before the first frame
    with rendering(state, "--ranks", ranks, ungated, "--output", output, cwd=tmp_path) as process:
        wait_for_first_frames(output, ranks, process)
        lost.unlink()
        if damage == "overwritten":
            lost.write_text("<VTKFile")
        (lost.parent / "go").touch()
        _, told = process.communicate(timeout=200)
    assert process.returncode == 4, told
    reasons = [line for line in told.splitlines() if f"{SIZE} frames" in line]
    assert reasons
    assert damage == "overwritten" or all(str(lost) in line for line in reasons), told
    assert frames_in(output) == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    whole = tmp_path / "whole"
    words = ("--size", SIZE, "--ranks", 1, "--movie", "none", "--output", tmp_path / "undisturbed")
    assert run("render", holed(scenes, whole), *words).returncode == 0
    for frame in frames_in(output):
        name = f"{SIZE}/frame_{frame:06d}.png"
        assert np.array_equal(pixels(output / name), pixels(tmp_path / "undisturbed" / name)), frame


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_script_that_raises_fails_its_frame_with_the_exception(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, ranks: int
) -> None:
    state, output = scenes.folder / "broken" / "raises.pvsm", tmp_path / "out"
    done = run("render", state, "--size", SIZE, "--ranks", ranks, "--output", output)
    assert done.returncode == 4
    assert re.search(rf"{SIZE} frames 3: rank .*: Shape: ValueError: no shape today", done.stderr)
    assert frames_in(output) == [0, 1, 2, 4, 5, 6, 7]
    logs = "".join(path.read_text() for path in (output / ".mpirender").glob("rank-*.log"))
    assert "Traceback (most recent call last):\n" in logs


def test_a_frame_fails_as_long_as_its_data_are_lost_and_is_right_as_soon_as_they_are_back(
    scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state = holed(scenes, tmp_path)
    script = engine_script(
        tmp_path,
        state,
        f"""
from pathlib import Path
def shown(frame):
    errors, picture, *_ = scene.render(frame, job.outputs[0], Path({str(tmp_path)!r}) / "shown.png")
    return errors or picture.tobytes()
whole = [shown(frame) for frame in scene.frames]
lost, away = Path({str(tmp_path)!r}) / "data" / "step_2.vtp", Path({str(tmp_path)!r}) / "away"
lost.rename(away)
for frame in (7, 7, 8, 8, 6, 7):
    assert str(lost) in shown(frame)[0]
assert shown(5) == whole[5]
assert str(lost) in shown(8)[0]
away.rename(lost)
assert [shown(frame) for frame in scene.frames] == whole
print("as it should be")
""",
    )
    assert "as it should be" in pvbatch(script).stdout


def test_what_is_no_error_is_a_warning(scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    """Covers warnings of Python and VTK, and unknown extractors, which do not affect the images."""
    state = tmp_path / "extractor.pvsm"
    content = scenes.state("orbit").read_text()
    state.write_text(content.replace('group="extract_writers" type="VTP"', 'group="extract_writers" type="Newer"'))
    assert state.read_text() != content
    script = engine_script(
        tmp_path,
        state,
        f"""
import logging, sys, warnings
from pathlib import Path
from paraview import simple
from vtkmodules.vtkCommonCore import vtkOutputWindow
assert scene.errors == []
notes = scene.take_warnings()
assert any("group=extract_writers and proxy=Newer" in text for text in notes), notes
for turn in range(2):
    warnings.warn("too loud", stacklevel=1)
    logging.warning("too quiet")
    print("so so", file=sys.stderr)
    vtkOutputWindow.GetInstance().DisplayWarningText("Warning: In here, line 1\\nvtkThing (0x12ab): too old\\n")
assert scene.render(0, job.outputs[0], Path({str(tmp_path)!r}) / "a.png").errors == []
notes = scene.take_warnings()
assert [text.rpartition(":")[2].strip() for text in notes] == ["too loud", "too quiet", "too old"], notes
assert "vtkThing: too old" in notes
assert scene.take_warnings() == []
print("as it should be")
""",
    )
    assert "as it should be" in pvbatch(script).stdout


def holed(scenes: SimpleNamespace, folder: Path, *, open_gate: bool = True) -> Path:
    """Copy the holed scene and its data to a folder; return the state."""
    shutil.copytree(scenes.folder / "broken" / "data", folder / "data")
    if open_gate:
        (folder / "data" / "go").touch()
    state = folder / "holed.pvsm"
    state.write_text(
        (scenes.folder / "broken" / "holed.pvsm").read_text().replace(f"{scenes.folder}/broken", f"{folder}")
    )
    return state


def rendering(state: Path, *options: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the command without waiting for it."""
    command = [sys.executable, "-m", "mpirender", "render", state, "--size", SIZE, *options]
    return subprocess.Popen(
        list(map(str, command)), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_first_frames(output: Path, ranks: int, process: subprocess.Popen[str]) -> None:
    """Wait until every rank has loaded the scene and started a frame."""
    end = time.monotonic() + 100
    while time.monotonic() < end and process.poll() is None:
        taken = [record for record in journal.read(output / ".mpirender") if isinstance(record, events.Take)]
        if len({record.rank for record in taken}) == ranks:
            return
        time.sleep(0.1)
    process.terminate()  # otherwise the with block would wait for it
    raise AssertionError("no rank renders anything")


def frames_in(output: Path) -> Sequence[int]:
    return sorted(int(path.stem.removeprefix("frame_")) for path in (output / SIZE).glob("frame_*.png"))
