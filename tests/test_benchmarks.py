"""The comparison with what people do today: it runs for real, checks pixels, and sums up what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from benchmarks import compare, measure, rows, summary
from conftest import REPOSITORY, assert_same_pictures, need
from mpirender.errors import LaunchFailed

TOLD = {"state": "cone.pvsm", "frames": "0-3", "sizes": ["HD=1920x1080", "160x90=160x90"], "ranks": 2, "repeats": 3}
MACHINE = {"cpu": "Some CPU", "cores": 2, "paraview": "5.11.0", "mpirender": "0.1.0", "date": "2024-05-01T10:00:00"}


def recorded(different: int = 0) -> summary.Raw:
    """Return the raw results of three repeats of two rows."""
    walls = {"process-per-frame": (20.0, 10.0, 12.0), "mpirender": (4.0, 3.0, 9.0)}
    runs = [
        {"row": row, "repeat": repeat, "wall": wall, "cpu": 2 * wall, "load": 0.1, "images": 8, "different": different}
        for row, three in walls.items()
        for repeat, wall in enumerate(three, start=1)
    ]
    return {"arguments": {**TOLD, "rows": list(walls)}, "machine": MACHINE, "runs": runs}


@pytest.mark.slow
def test_the_comparison_runs_every_row_for_real_and_mpirender_renders_paraviews_pixels(tmp_path: Path) -> None:
    for tool in ("pvbatch", "mpiexec", "Xvfb"):
        need(tool)
    output = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.compare"]
    options = ["--frames", "0-1", "--size", "160x90", "--repeats", "1", "--ranks", "2", "--output", str(output)]
    done = subprocess.run(
        [*command, *options], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    raw = json.loads((output / "raw.json").read_text())
    assert [run["row"] for run in raw["runs"]] == [row.name for row in rows.ROWS]
    assert all(run["images"] == 2 and run["wall"] > 0 and run["cpu"] > 0 for run in raw["runs"])
    assert_same_pictures(output / "repeat-1" / "mpirender" / "160x90", output / "reference" / "160x90")
    assert summary.different(raw, "mpirender") == 0
    table = summary.summary(raw)
    assert all(any(line.startswith(row.name) for line in table.splitlines()) for row in rows.ROWS)
    assert done.stdout.endswith(table + "\n")


def test_the_summary_shows_medians_and_their_ratio_to_the_first_row() -> None:
    assert summary.summary(recorded()).splitlines() == [
        "frames 0-3 of cone.pvsm at HD and 160x90; 2 ranks; median of 3 runs of each row",
        "Some CPU, 2 cores; ParaView 5.11.0, mpirender 0.1.0; 2024-05-01T10:00:00",
        "",
        "                   wall s    from - to  CPU s  images  wall   CPU  differ",
        "process-per-frame    12.0  10.0 - 20.0   24.0       8  100%  100%       0",
        "mpirender             4.0    3.0 - 9.0    8.0       8   33%   33%       0",
        "",
        "wall, CPU: share of process-per-frame's; differ: images that are not pixel for pixel SaveAnimation's",
    ]


def test_the_summary_of_a_comparison_cut_short_shows_what_there_is() -> None:
    raw = recorded()
    raw["runs"] = raw["runs"][:1]
    lines = summary.summary(raw).splitlines()
    assert "one run of each row" in lines[0]
    assert [line.split()[0] for line in lines[4:-2]] == ["process-per-frame"]


@pytest.mark.parametrize(("different", "code"), [(0, 0), (3, compare.PIXELS_DIFFER)])
def test_other_pixels_of_mpirender_fail_the_comparison_and_those_of_other_rows_are_only_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], different: int, code: int
) -> None:
    raw = recorded(different)
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    assert compare.main(["--summarise", str(tmp_path / "raw.json")]) == code
    told = capsys.readouterr()
    assert told.out == summary.summary(raw) + "\n"
    wrong = "compare: error: mpirender: 3 images are not pixel for pixel SaveAnimation's\n"
    assert told.err == (wrong if different else "")


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"runs": []}'])
def test_a_file_that_is_no_raw_result_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "raw.json").write_text(content)
    assert compare.main(["--summarise", str(tmp_path / "raw.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_arguments_are_told_together_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.png").touch()
    assert compare.main(["--frames", "0-8x2", "--output", str(tmp_path)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "is not empty" in told[0]
    assert "only frames in a row" in told[1]
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]


def test_a_missing_state_is_told_and_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--state", str(tmp_path / "no.pvsm"), "--output", str(tmp_path / "out")]) == 2
    assert "no.pvsm: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_images_are_compared_pixel_by_pixel_and_not_byte_by_byte(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    first, repacked, other = (tmp_path / f"{name}.png" for name in ("first", "repacked", "other"))
    iio.imwrite(first, picture, compress_level=0)
    iio.imwrite(repacked, picture, compress_level=9)
    picture[3, 4, 2] = 1
    iio.imwrite(other, picture)
    assert first.read_bytes() != repacked.read_bytes()
    assert not measure.differ(first, repacked)
    assert measure.differ(first, other)


def test_a_program_that_fails_ends_the_comparison_with_its_exit_code_and_log(tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match=r"a_row: exit code 7; its output is in .*a_row\.log"):
        rows.call(["sh", "-c", "echo seen; exit 7"], {}, tmp_path / "a_row.log")
    assert (tmp_path / "a_row.log").read_text() == "seen\n"


def test_rows_start_from_the_same_environment_whatever_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LP_NUM_THREADS", "7")
    monkeypatch.setenv("DISPLAY", ":99")
    assert not {"LP_NUM_THREADS", "DISPLAY"} & rows.plain_environment().keys()


def test_the_cpu_time_of_all_processes_of_a_row_counts() -> None:
    before = measure.cpu_of_children()
    grandchild = "import os; os.wait() if os.fork() else sum(range(3_000_000))"
    subprocess.run([sys.executable, "-c", grandchild], check=True)
    assert measure.cpu_of_children() > before
