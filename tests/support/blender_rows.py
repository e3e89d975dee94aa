"""Blender files that once gave wrong pictures, each rendered at several numbers of ranks and with several schedules.

    python tests/support/blender_rows.py [ROW...]

This is case_rows.py for Blender. The suite tests the same files with fewer combinations.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from case_rows import Row, check_all, compare, with_names
from images import pixels
from repository import SUPPORT

SIZE = (160, 90)
SCRIPTS = "--allow-scripts"
ROWS = (
    Row("plain", "quick"),
    Row("cameras of markers", "shot"),
    Row("passes", "passes"),
    Row("percentage of the resolution", "lines"),
    Row("script that adds", "adds", (SCRIPTS,), says="keep something from frame to frame"),
    Row("handlers of a render", "hooks", (SCRIPTS,)),
    Row("physics that are not baked", "falling", says="not baked"),
    Row("gap in a sequence", "parts/gaps", refused=True, says="wall_0003.png"),
    Row("image chosen by a driver", "parts/driven", fails=[2], says="wall_0003.png"),
    Row("image chosen by keys", "parts/keyed"),
    Row("library with a sequence", "linked", ("--frames", "1-2")),
    Row("add-on engine", "foreign", refused=True, says="is rendered by FOREIGN, which this Blender does not have"),
)
SMALL = ("parts/", "linked")  # files of make_gaps.py, which are smaller


def reference(row: Row, folder: Path) -> Path:
    """Render a file with Blender's own animation, once; return the folder of its images."""
    own = folder / "own" / row.scene
    if not own.exists():
        options: dict[str, object] = {"scripts": bool(row.options and row.options[0] == SCRIPTS)}
        size = (32, 16) if row.scene.startswith(SMALL) else SIZE
        if row.scene == "lines":
            size, options["render.resolution_percentage"] = (320, 180), 50
        if row.scene == "falling":
            options["played"] = True
        if row.scene == "linked":
            options["frame_end"] = 2
        run(SUPPORT / "animate.py", folder / f"{row.scene}.blend", own, *size, json.dumps(options))
    return own


def check(row: Row, folder: Path, ranks: int, schedule: str) -> None:
    """Render a row; raise AssertionError if it does not come out as it must."""
    output = folder / f"{row.name}-{ranks}-{schedule}".replace(" ", "-")
    words = ("--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", output, *row.options)
    command = [sys.executable, "-m", "mpirender", "render", folder / f"{row.scene}.blend", *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=600)
    said = done.stdout + done.stderr
    assert done.returncode == (2 if row.refused else 4 if row.fails else 0), said
    assert row.says in said, said
    images = {} if row.refused else {int(path.stem): pixels(path) for path in reference(row, folder).glob("*.png")}
    assert row.refused or images, "Blender itself has rendered nothing"
    expected = {frame: picture for frame, picture in images.items() if frame not in row.fails}
    compare(next(iter(output.glob("*x*")), output), expected)


def run(*words: object) -> None:
    """Run a script in this Python, which has bpy."""
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run rows with all combinations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="part of the name of rows, by default all")
    chosen = with_names(ROWS, parser.parse_args().rows)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HOOKS"] = str(folder / "hooks")  # where handlers write down what they see
        run(SUPPORT / "make_blends.py", folder)
        run(SUPPORT / "make_gaps.py", folder)
        check_all(chosen, lambda row, ranks, schedule: check(row, folder, ranks, schedule))


if __name__ == "__main__":
    main()
