"""Run the comparison with the usual ways to render; check its pixel comparison and its summary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest

from benchmark_runs import MACHINE, told
from benchmarks import command, compare, measure, rows, summary
from images import assert_same_pictures
from mpirender.errors import LaunchFailed
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import preflight
from processes import Run, need
from repository import REPOSITORY

RENDERED = {"state": "cone.pvsm", "frames": "0-3", "sizes": ["HD=1920x1080", "160x90=160x90"], "ranks": 2}
WALLS = {"process-per-frame": (20.0, 10.0, 12.0), "save-animation": (6.0, 8.0, 4.5), "mpirender": (4.0, 3.0, 9.0)}
LIMIT = (
    "limit of mpirender: (4.6 CPU s of captures + 0.4 of encoding) ÷ 2 cores + 1.2 s of start-up = 3.7 s, "
    "by one process alone; its wall is 1.081 of that"
)


def recorded(different: int = 0) -> command.Raw:
    """Return raw results with three repeats of three rows and the limit of one row."""
    runs = [
        {"row": row, "repeat": repeat, "wall": wall, "cpu": 2 * wall, "load": 0.1, "images": 8, "different": different,
         "phases": [1.0, wall - 1.5, 0.5] if row == "mpirender" else []}
        for row, three in WALLS.items()
        for repeat, wall in enumerate(three, start=1)
    ]  # fmt: skip
    limits = [
        {"row": "mpirender", "way": "alone", "repeat": repeat, "startup": 1.2, "bare": bare, "encoding": 0.4,
         "cores": 2, "seconds": (bare + 0.4) / 2 + 1.2, "costs": []}
        for repeat, bare in enumerate((4.6, 4.4, 9.0), start=1)
    ]  # fmt: skip
    told = {"frames": "0-3", "repeats": 3, "rows": list(WALLS)}
    comparisons = [{**RENDERED, "runs": runs, "limits": limits}]
    return {"benchmark": "compare", "arguments": told, "machine": MACHINE, "comparisons": comparisons}


@pytest.mark.slow
def test_the_comparison_runs_every_row_for_real_and_mpirender_renders_paraviews_pixels(tmp_path: Path) -> None:
    for tool in ("pvbatch", "mpiexec", "Xvfb"):
        need(tool)
    output, plot = tmp_path / "out", tmp_path / "plot.png"
    options = ["--frames", "0-1", "--size", "160x90", "--repeats", "1", "--ranks", "2", "--limit", "alone"]
    done = told([*options, "--output", output, "--plot", plot])
    assert done.returncode == 0, done.stdout + done.stderr
    raw = json.loads((output / "raw.json").read_text())
    (cone,) = raw["comparisons"]
    names = [row.name for row in rows.PROGRAMS["paraview"].rows]
    assert [run["row"] for run in cone["runs"]] == names
    assert all(run["images"] == 2 and run["wall"] > 0 and run["cpu"] > 0 for run in cone["runs"])
    assert summary.different(cone, "mpirender") == 0
    reference, made = output / "cone" / "reference" / "160x90", output / "cone" / "repeat-1"
    assert_same_pictures(made / "mpirender" / "160x90", reference)
    # The limit is measured with the same images.
    assert_same_pictures(made / "limit-alone-mpirender" / "160x90", reference)
    limit = cone["limits"][0]
    assert [cost[:2] for cost in limit["costs"]] == [[0, "160x90"], [1, "160x90"]]
    assert all(cost[2] > 0 and cost[3] > 0 for cost in limit["costs"])
    assert limit["seconds"] == pytest.approx((limit["bare"] + limit["encoding"]) / limit["cores"] + limit["startup"])
    table = summary.summary(raw)
    assert all(any(line.startswith(name) for line in table.splitlines()) for name in names)
    assert done.stdout.endswith(table + "\n")
    assert iio.imread(plot).shape[1] > 300


@pytest.mark.slow
def test_the_comparison_runs_every_row_of_blender_for_real_and_a_wrong_pixel_is_found(
    need_bpy: None, tmp_path: Path
) -> None:
    """Frames keep the numbers of the file, whose first frame comes before them."""
    need("mpiexec")
    output = tmp_path / "out"
    options = ["--scene", "balls", "--frames", "1-2", "--size", "48x27", "--ranks", "2", "--output", output]
    done = told(options)
    assert done.returncode == 0, done.stdout + done.stderr
    raw = json.loads((output / "raw.json").read_text())
    (balls,) = raw["comparisons"]
    names = ["process-per-frame", "process-limited", "animation", "mpirender"]
    assert [run["row"] for run in balls["runs"]] == names
    assert all(run["images"] == 2 and run["wall"] > 0 and run["cpu"] > 0 for run in balls["runs"])
    assert [run["different"] for run in balls["runs"]] == [0, 0, 0, 0]
    assert balls["limits"] == []
    reference, made = output / "balls" / "reference", output / "balls" / "repeat-1" / "mpirender"
    assert_same_pictures(made / "48x27", reference / "48x27")
    first, second = (iio.imread(path) for path in sorted((reference / "48x27").iterdir()))
    assert (first != second).any()
    table = summary.summary(raw)
    assert done.stdout.endswith(table + "\n")
    assert "those of Blender's animation" in table
    assert all(any(line.startswith(name) for line in table.splitlines()) for name in names)
    second[13, 24, 1] ^= 1
    iio.imwrite(made / "48x27" / "frame_000002.png", second)
    job = RenderJob(output / "balls" / "balls.blend", output, sizes="48x27")
    assert measure.count_different(rows.Case(job, (1, 2)), made, reference) == 1


@pytest.mark.slow
def test_of_a_blender_file_the_first_frames_at_its_own_size_are_compared(blends: SimpleNamespace) -> None:
    (case,) = compare.cases_of(compare.parser().parse_args(["--state", str(blends.file("long"))]))
    assert (case.frames, case.sizes) == (tuple(range(1, 21)), ["160x90=160x90"])


@pytest.mark.slow
def test_physics_that_blenders_animation_does_not_play_are_not_compared(
    blends: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["--state", str(blends.file("falling")), "--output", str(tmp_path / "out")]) == 2
    assert "rigid bodies: not baked, and Blender's animation does not play it; bake it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["isosurfaces", "series"])
def test_the_benchmarks_own_scenes_have_the_frames_that_were_asked_for(pvbatch: Run, tmp_path: Path, name: str) -> None:
    state = tmp_path / f"{name}.pvsm"
    pvbatch(REPOSITORY / "benchmarks" / "make_scenes.py", name, state, 4)
    seen = preflight.inspect(RenderJob(scene=state, frames="0-3"))
    assert (len(seen.times), seen.mistakes) == (4, ())
    sizes = [path.stat().st_size for path in (tmp_path / "series").glob("*.vtp")]
    assert not sizes or max(sizes) > 5 * min(sizes), "the cost of frames varies"


def test_the_summary_shows_medians_how_much_faster_and_how_near_to_the_limit() -> None:
    assert summary.summary(recorded()).splitlines() == [
        "Some CPU, 2 cores; ParaView 5.11.0, mpirender 0.1.0; 2024-05-01T10:00:00",
        "",
        "frames 0-3 of cone.pvsm at HD and 160x90; 2 ranks; median of 3 runs of each row",
        "",
        "                   wall s    from - to  CPU s  images  vs process-per-frame  vs save-animation  differ",
        "process-per-frame    12.0  10.0 - 20.0   24.0       8                     -        0.50 (0.50)       0",
        "save-animation        6.0    4.5 - 8.0   12.0       8           2.00 (2.00)                  -       0",
        "mpirender             4.0    3.0 - 9.0    8.0       8           3.00 (3.00)        1.50 (1.50)       0",
        "",
        LIMIT,
        "mpirender: 1.0 s before the first frame, 2.5 s of frames, 0.5 s after",
        "",
        *summary.legend(recorded()),
    ]


def test_the_table_can_be_had_as_markdown_and_as_a_plot_from_the_raw_results_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(recorded()))
    options = ["--markdown", "--plot", str(tmp_path / "plot.png")]
    assert compare.main(["--summarise", str(tmp_path / "raw.json"), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| mpirender | 4.0 | 3.0 - 9.0 | 8.0 | 8 | 3.00 (3.00) | 1.50 (1.50) | 0 |" in lines
    assert iio.imread(tmp_path / "plot.png").ndim == 3


def test_a_plot_without_matplotlib_is_reported_with_its_fix_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert compare.main(["--plot", "plot.png", "--output", str(tmp_path / "out")]) == 3
    assert "plots need matplotlib; install it: python -m pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_summary_of_a_comparison_cut_short_shows_what_there_is() -> None:
    raw = recorded()
    (one,) = raw["comparisons"]
    one["runs"], one["limits"] = one["runs"][:1], []
    lines = summary.summary(raw).splitlines()
    assert "one run of each row" in lines[2]
    assert [line.split()[0] for line in lines[5:-3]] == ["process-per-frame"]


@pytest.mark.parametrize(("different", "code"), [(0, 0), (3, command.WRONG)])
def test_other_pixels_of_mpirender_fail_the_comparison_and_those_of_other_rows_are_only_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], different: int, code: int
) -> None:
    raw = recorded(different)
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    assert compare.main(["--summarise", str(tmp_path / "raw.json")]) == code
    said = capsys.readouterr()
    assert said.out == summary.summary(raw) + "\n"
    wrong = "compare: error: mpirender: 3 images of cone.pvsm are not pixel for pixel those of SaveAnimation\n"
    assert said.err == (wrong if different else "")


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"runs": []}'])
def test_a_file_that_is_no_raw_result_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "raw.json").write_text(content)
    assert compare.main(["--summarise", str(tmp_path / "raw.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("frames", ["0-8x2", "2-8"])
def test_wrong_arguments_are_reported_together_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], frames: str
) -> None:
    (tmp_path / "old.png").touch()
    assert compare.main(["--frames", frames, "--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "is not empty" in said[0]
    assert "must be frames in a row from 0" in said[1]
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scene", "cone", "balls"], "--scene cone balls: are not all ParaView's; compare the others alone"),
        (["--scene", "balls", "--frames", "1-8x2"], "must be frames in a row, such as 1-24, for Blender's animation"),
        (["--scene", "balls", "--rows", "save-animation"], "--rows save-animation: there is none of Blender"),
        (["--state", "a.pattern"], "a.pattern: no scene to compare with; give a ParaView state or a Blender file"),
    ],
    ids=["two programs", "gaps", "another's row", "no program"],
)
def test_scenes_of_two_programs_in_one_comparison_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert compare.main([*words, "--output", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "out").exists()


def test_a_missing_state_is_reported_and_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("parent", ["os.wait()", "os._exit(0)"])
def test_the_cpu_time_of_all_processes_of_a_row_counts_also_of_those_that_outlive_their_parents(parent: str) -> None:
    row = f"import os, time\nif os.fork():\n    {parent}\n    os._exit(0)\nwhile time.process_time() < 0.3: pass"
    script = (
        "import subprocess, sys\nfrom benchmarks import measure\nmeasure.adopt_orphans()\n"
        f"subprocess.run([sys.executable, '-c', {row!r}], check=True)\n"
        "measure.wait_for_orphans()\nprint(measure.cpu_of_children())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert float(done.stdout) >= 0.3
