"""Compositor nodes write files next to the images, with the names and the content that Blender gives them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from blender_runs import rendered
from images import assert_same_pictures
from processes import Run

pytestmark = pytest.mark.slow
SIZE = "160x90"
COMPARE = """
import sys
from pathlib import Path
import bpy, numpy as np
one, other = map(Path, sys.argv[-2:])
def pixels(path):
    image = bpy.data.images.load(str(path))
    if image.source == "FILE" and image.type == "MULTILAYER":
        return np.frombuffer(path.read_bytes()[-4000:], np.uint8)
    return np.array(image.pixels[:])
for path in sorted(other.rglob("*.*")):
    assert np.array_equal(pixels(path), pixels(one / path.relative_to(other))), path
"""


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_passes_are_those_of_blender_and_are_made_again_if_they_are_lost(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    file = Path(shutil.copy(blends.file("passes"), tmp_path / "passes.blend"))
    own = blends.animate(file, tmp_path / "own")
    (tmp_path / "passes").rename(tmp_path / "expected")
    mine = tmp_path / "0" / SIZE / "passes" / "Image0002.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    refused = run("render", file, "--size", SIZE, "--output", tmp_path / "0")
    assert (refused.returncode, f"{mine}: mpirender did not make this file" in refused.stderr) == (2, True)
    for ranks, schedule in ((1, "interleaved"), (3, "contiguous")):
        images = tmp_path / str(ranks) / SIZE
        words = (file, "--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", tmp_path / str(ranks))
        rendered(run, *words)
        assert_same_pictures(images, own)
        assert names(images / "passes") == names(tmp_path / "expected")
        compare = [sys.executable, "-c", COMPARE, images / "passes", tmp_path / "expected"]
        subprocess.run(compare, check=True, stdout=subprocess.DEVNULL)
    assert not (tmp_path / "passes").exists(), "nothing is written where Blender would write"
    (images / "passes" / "data" / "depth0002.exr").unlink()
    (images / "passes" / "Image0004.png").write_bytes(b"another")
    assert "2 rendered, 2 kept" in rendered(run, *words)
    assert names(images / "passes") == names(tmp_path / "expected")
    assert [path.name for path in images.iterdir() if path.name.startswith(".")] == []
