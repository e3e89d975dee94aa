from __future__ import annotations

import os
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from isal import isal_zlib

from images import pixels
from mpirender.launcher.environment import variables
from mpirender.movie.ffmpeg import ffmpeg
from mpirender.ranks import png
from processes import need


@pytest.fixture(params=[isal_zlib, zlib], ids=["isal", "zlib"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compress with isal, and as where it cannot be imported."""
    monkeypatch.setattr(png, "fast", request.param)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (33, 50)])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_is_written_is_read_back(tmp_path: Path, shape: tuple[int, int], channels: int, level: int) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (*shape, channels), dtype=np.uint8)
    png.write(tmp_path / "a.png", picture, level)
    assert np.array_equal(pixels(tmp_path / "a.png").reshape(picture.shape), picture)


def test_a_image_that_is_stored_upside_down_is_written_upright(tmp_path: Path) -> None:
    picture = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    png.write(tmp_path / "a.png", picture[::-1], 1)
    assert np.array_equal(pixels(tmp_path / "a.png"), picture[::-1])


def test_a_flat_image_is_small_at_every_level_but_0(tmp_path: Path) -> None:
    picture = np.full((500, 500, 3), 90, np.uint8)
    sizes = []
    for level in (0, 1, 9):
        png.write(tmp_path / "a.png", picture, level)
        sizes.append((tmp_path / "a.png").stat().st_size)
    assert sizes[0] > picture.size
    assert sizes[1] < 10_000
    assert sizes[2] <= sizes[1]


def test_an_image_of_many_strips_is_the_same_file_for_any_number_of_threads(tmp_path: Path) -> None:
    picture = np.random.default_rng(7).integers(0, 9, (3 * png.ROWS + 5, 40, 3), dtype=np.uint8).cumsum(0, np.uint8)
    png.write(tmp_path / "one.png", picture, 1)
    with ThreadPoolExecutor(3) as pool:
        png.write(tmp_path / "three.png", picture, 1, pool.map)
    assert np.array_equal(pixels(tmp_path / "one.png"), picture)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "three.png").read_bytes()
    strictly = ["-v", "error", "-xerror", "-err_detect", "crccheck+explode", "-i", str(tmp_path / "one.png")]
    ends = subprocess.run([ffmpeg(), *strictly, "-f", "null", "-"], capture_output=True, text=True, check=False)
    assert (ends.returncode, ends.stderr) == (0, ""), "a strict decoder must accept the checksums"


@pytest.mark.slow
@pytest.mark.parametrize("library", [isal_zlib], indirect=True)
def test_a_rank_inside_paraview_of_the_same_python_compresses_with_isal(tmp_path: Path) -> None:
    need("pvbatch")
    script = tmp_path / "script.py"
    script.write_text(
        "from mpirender.system import site\nsite.extend_module_path()\n"
        "from mpirender.ranks import png\nprint(png.fast.__name__)\n"
    )
    command = ["pvbatch", "--no-mpi", script]
    environment = {**os.environ, **variables(1, os.environ)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "isal.isal_zlib\n", done.stderr
