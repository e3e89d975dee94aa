"""Scenes and data that once gave wrong pictures, each rendered at several numbers of ranks and with several schedules.

    python tests/support/case_rows.py [ROW...]

A row is a scene with what must become of it: the pictures of ParaView's SaveAnimation, a refusal in one line, or frames
that fail with the name of a file. test_case_rows.py runs each row once, this command runs it with all of
``COMBINATIONS``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from case_scripts import CHANGES, SCRIPTS
from images import pixels
from mpirender.system import xvfb
from random_scenes import SIZE, Programs, in_second_root, on_this_machine
from records import records
from repository import SUPPORT

Damage = Callable[[Path], object]  # what happens to the folder of a scene before it is rendered
# Neighbors in the list of rows differ most.
COMBINATIONS = (
    (2, "interleaved"), (3, "contiguous"), (2, "contiguous"), (3, "interleaved"), (1, "contiguous"), (1, "interleaved"),
)  # fmt: skip
RANDOM = ("MaskPoints", "RandomVectors", "Seeds", "Probe")  # scenes of make_random_scenes.py
LAYOUTS = ("spreadsheet", "orthographic")
CHANGED = "made from data that changed since"
FOUND = "(found by a test)"
TRACK = "depends on earlier frames"
AN_HOUR = 3600


class Row(NamedTuple):
    """A scene, and what must become of it."""

    name: str
    scene: str
    options: tuple[str, ...] = ()  # {folder} is that of the scene
    says: str | Sequence[str] = ""
    says_not: str = ""
    refused: bool = False
    damage: Damage | None = None
    fails: Sequence[int] = ()  # frames
    change: Damage | None = None  # what happens to the folder between this run and a second one
    then: Mapping[int, int] = {}  # frames rendered again: the frames of the reference that they are now
    after: str = ""  # the scene whose pictures are the reference now, by default the same
    says_then: str = ""


def copies(*pairs: tuple[str, str]) -> Damage:
    """Return what replaces files by others of the folder."""
    return lambda folder: [shutil.copyfile(folder / one, folder / other) for one, other in pairs]


def removes(*names: str) -> Damage:
    """Return what removes files."""
    return lambda folder: [(folder / name).unlink() for name in names]


def cuts(name: str) -> Damage:
    """Return what cuts a file to a half."""
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def _moves(folder: Path) -> None:
    """Let the state name a file of another machine."""
    state, data = folder / "scene.pvsm", folder / "data.csv"
    state.write_text(state.read_text().replace(str(data), r"Y:\ParaView\Data\data.csv"))


ROWS = (
    Row("camera path", "orbit"),
    Row("Python track of a script", "track", says=TRACK),
    Row("Python track of a state", "track_of_state", says=TRACK),
    Row("view at another time", "view_time"),
    Row("script without its arguments", "arguments", refused=True, says="mpirender render scene.py -- ARGUMENTS"),
    Row("key frames that nobody registered", "path", says_not="camera"),
    Row("layout with a spreadsheet", "spreadsheet", ("--layout", "Both")),
    Row("layout with orthographic slices", "orthographic", ("--layout", "Both")),
    Row("points masked at random", "MaskPoints", says=FOUND,
        change=removes(f"out/{SIZE}/frame_000004.png"), then={4: 4}),
    Row("random vectors", "RandomVectors", says=FOUND),
    Row("loop over times", "times", refused=True, says="scene.PlayMode = 'Snap To TimeSteps'"),
    Row("loop over views", "turns", refused=True, says="orbit:36"),
    Row("moving seeds", "Seeds", says=FOUND),
    Row("growing probe", "Probe", says=FOUND),
    Row("XDMF with HDF5", "xdmf"),
    Row("table of another machine", "table", ("--data-dir", "{folder}"), damage=_moves),
    Row("incomplete family of Exodus files", "exodus", refused=True, damage=removes("run.e.2.1"), says="run.e.2.1"),
    Row("whole family of Exodus files", "exodus"),
    Row("script with arguments", "arguments", ("--", "0.7")),
    Row("script that disconnects", "ends"),
    Row("changed field of OpenFOAM", "foam", change=copies(("foam/3/p", "foam/2/p")), then={2: 3},
        says_then=CHANGED),
    Row("changed file of a .pvd", "pvd", change=copies(("pvd/data/3.vtp", "pvd/data/2.vtp")), then={2: 3},
        says_then=CHANGED),
    Row("missing file of a .pvd", "pvd", refused=True, damage=removes("pvd/data/2.vtp"), says="2.vtp"),
    Row("missing file of EnSight", "case", refused=True, damage=removes("case/p.2"), says="p.2"),
    Row("changed file of EnSight", "case",
        change=copies(("case/geo.3", "case/geo.2"), ("case/p.3", "case/p.2")), then={2: 3},
        says_then=CHANGED),
    Row("changed files behind indexes", "indexes", change=copies(*CHANGES),
        then={2 * n: 2 * n for n in range(len(CHANGES))},
        after="indexes_changed", says_then=CHANGED),
    Row("missing files behind indexes", "indexes", refused=True, damage=removes(*(name for _, name in CHANGES)),
        says=[Path(name).name for _, name in CHANGES]),
    Row("missing field of OpenFOAM", "foam", damage=removes("foam/2/p"), fails=[2], says="foam/2/p does not exist"),
    Row("image that is cut short", "images", damage=cuts("step_1.vti"), fails=[1], says="step_1.vti"),
    Row("surface that crashes its reader", "surfaces", damage=cuts("step_1.ply"), fails=[1], says="step_1.ply"),
    Row("ray tracing", "traced"),
    Row("script of ParaView 6.0", "set"),
)  # fmt: skip
OF_VERSION: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "5.11": {
        "ray tracing": {"says": "asks for ray tracing, which this ParaView does not have"},
        "script of ParaView 6.0": {"refused": True, "says": "(line 1: generated by ParaView 6.0.1, this is 5.11"},
    },
    "6.1": {},
}


def rows(version: str) -> list[Row]:
    """Return the rows as they must come out with a version of ParaView."""
    special = OF_VERSION[version]
    return [row._replace(**special.get(row.name, {})) for row in ROWS]


def make(folder: Path, rows: Sequence[Row], programs: Programs) -> None:
    """Make the scenes of rows, and ParaView's own pictures of them in the folder ``own`` of each."""
    made, saved = [], []
    for scene in dict.fromkeys(scene for row in rows for scene in (row.scene, row.after) if scene):
        place = folder / scene
        if scene in RANDOM:
            place.mkdir()
            made.append([SUPPORT / "make_random_scenes.py", place / "scene.pvsm", scene])
        else:
            made.append([SUPPORT / "make_case_scenes.py", folder, scene])
        if "SaveAnimation" in SCRIPTS.get(scene, ""):
            saved.append([place / "scene.py", *["0.7"] * (scene == "arguments")])
        elif scene not in SCRIPTS:
            state, layout = "straight" if scene == "view_time" else "scene", ["Both"] * (scene in LAYOUTS)
            saved.append([SUPPORT / "save_animation.py", place / f"{state}.pvsm", place / "own", SIZE, *layout])
    for name, commands in (("make", made), ("save", saved)):
        file = folder / f"{name}.json"
        file.write_text(json.dumps(commands, default=str))
        done = programs.pvbatch(SUPPORT / "run_in_turn.py", file)
        assert done.returncode == 0 or commands is saved, done.stdout + done.stderr


def check(row: Row, folder: Path, programs: Programs, ranks: int, schedule: str) -> None:
    """Render a row; raise AssertionError if it does not come out as it must.

    :param folder: with the scenes and ParaView's own pictures.
    """
    place = _copied(folder / row.scene, folder / f"{row.name}-{ranks}-{schedule}".replace(" ", "-"))
    if row.damage:
        row.damage(place)
    scene = next(place.glob("scene.*"))
    output, options = place / "out", [option.format(folder=place) for option in row.options]
    words = ("--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", output, *options)

    def render() -> subprocess.CompletedProcess[str]:
        done = programs.mpirender("render", scene, *words)
        assert done.returncode == (2 if row.refused else 4 if row.fails else 0), f"{done.stdout}{done.stderr}"
        return done

    done = render()
    said = done.stderr if done.returncode else done.stdout
    for text in [row.says] if isinstance(row.says, str) else row.says:
        assert text in said, said
    assert not row.says_not or row.says_not not in done.stdout, done.stdout
    expected = {} if row.refused else _own(folder / row.scene)
    assert row.refused or len(expected) > 1, "ParaView itself has rendered nothing"
    assert row.refused or len(records(output, "launch")) == 1, "a rank has died"
    for frame in row.fails:
        del expected[frame]
    compare(output / SIZE, expected)
    if row.change:
        row.change(place)
        again = render()
        assert row.says_then in again.stdout, again.stdout
        now = _own(folder / (row.after or row.scene))
        compare(output / SIZE, {**expected, **{frame: now[other] for frame, other in row.then.items()}})
        frames = sorted(event.image.frame for event in records(output, "done")[len(expected) :])
        assert frames == list(row.then), f"rendered again: {frames}"


def _own(scene: Path) -> dict[int, np.ndarray]:
    """Return ParaView's own pictures of a scene, by frame."""
    return dict(enumerate(map(pixels, sorted((scene / "own").glob("*.png")))))


def _copied(scene: Path, place: Path) -> Path:
    """Copy the folder of a scene, an hour old."""
    shutil.copytree(scene, place, ignore=shutil.ignore_patterns("own"))
    for path in place.rglob("*"):
        if path.name.startswith("scene."):
            path.write_text(path.read_text().replace(str(scene), str(place)))
        os.utime(path, (time.time() - AN_HOUR,) * 2)
    return place


def compare(images: Path, expected: Mapping[int, np.ndarray]) -> None:
    """Compare the images in a folder with the expected pictures, by the number of the frame."""
    found = {int(path.stem[-6:]): pixels(path) for path in sorted(images.glob("*.png"))}
    assert sorted(found) == sorted(expected), f"frames {sorted(found)} instead of {sorted(expected)}"
    different = [frame for frame, picture in expected.items() if not np.array_equal(found[frame], picture)]
    assert not different, f"frames {different} differ"


def check_all(chosen: Sequence[Row], check: Callable[[Row, int, str], object]) -> NoReturn:
    """Check rows with all combinations; print what came out, and end with exit code 1 if one is wrong."""
    wrong = count = 0
    for row in chosen:
        for ranks, schedule in COMBINATIONS:
            count += 1
            outcome = "right"
            try:
                check(row, ranks, schedule)
            except AssertionError as error:
                wrong += 1
                outcome = f"WRONG\n{error}"
            print(f"{row.name}, {ranks} ranks, {schedule}: {outcome}", flush=True)
    print(f"{count - wrong} of {count} are right")
    sys.exit(bool(wrong))


def with_names(rows: Sequence[Row], parts: Sequence[str]) -> list[Row]:
    """Return the rows whose names contain one of some parts; all without any."""
    return [row for row in rows if not parts or any(part in row.name for part in parts)]


def main() -> None:
    """Run rows with all combinations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="part of the name of rows, by default all")
    parser.add_argument("--second-root", action="store_true", help="with the ParaView 6.1 of second_root.py")
    parser.add_argument("--keep", type=Path, help="new folder for scenes and pictures, by default a temporary one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, xvfb.server() as display:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        programs = in_second_root() if asked.second_root else on_this_machine(display)
        chosen = with_names(rows("6.1" if asked.second_root else "5.11"), asked.rows)
        make(folder, chosen, programs)
        check_all(chosen, lambda row, ranks, schedule: check(row, folder, programs, ranks, schedule))


if __name__ == "__main__":
    main()
