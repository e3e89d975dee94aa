"""Ranks that render each frame together: the pattern engine for what they do, ParaView for what comes out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender.engines import DataFile, Inspection
from mpirender.job.render_job import RenderJob
from mpirender.launcher.environment import settings
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record
from mpirender.supervisor import memory_estimate
from mpirender.system import host as host_limits
from processes import Run, need
from repository import SUPPORT

Pattern = Callable[..., Path]
SMALL = ("--size", "80x50", "--movie", "none")


def records(output: Path, event: str) -> list[Record]:
    return [record for record in journal.read(output / ".mpirender") if record["event"] == event]


@pytest.mark.parametrize("schedule", ["interleaved", "contiguous", "dynamic"])
def test_groups_share_the_frames_as_ranks_do(run: Run, pattern: Pattern, tmp_path: Path, schedule: str) -> None:
    words = ("--ranks", 5, "--ranks-per-frame", 2, "--schedule", schedule)
    done = run("render", pattern('{"frames": 6, "seconds": 0.05}'), *SMALL, *words)
    assert done.returncode == 0, done.stderr
    assert "4 ranks make 2 groups of 2 ranks; 1 more is not started" in done.stdout
    assert re.search(r"groups 0-1 of 2 ranks on \S+: cores? .*, numpy", done.stdout)
    assert "slowest group" in done.stdout or "each on a group" in done.stdout
    output = tmp_path / "test_renders"
    assert sorted(record["frame"] for record in records(output, "done")) == list(range(6))
    starts = records(output, "start")
    assert sorted((start["rank"], start["ranks"], len(start["followers"])) for start in starts) == [
        (0, 2, 1),
        (1, 2, 1),
    ]
    logs = sorted(path.name for path in (output / ".mpirender").glob("rank-*.log"))
    assert logs[:4] == ["rank-0000-1.log", "rank-0000.log", "rank-0001-1.log", "rank-0001.log"]


def test_a_dry_run_tells_the_groups_and_what_is_left_over(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(), *SMALL, "--ranks", 7, "--ranks-per-frame", 3, "--dry-run")
    lines = done.stdout.splitlines()
    assert lines[0] == "6 frames at 80x50: 6 images on 2 groups of 3 ranks"
    assert lines[1] == "6 ranks make 2 groups of 3 ranks; 1 more is not started"
    assert lines[2:4] == ["group 0: 0-4x2", "group 1: 1-5x2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ranks-per-frame", 0), "--ranks-per-frame 0 must be at least 1"),
        (("--ranks", 2, "--ranks-per-frame", 3), "--ranks 2 is less than --ranks-per-frame 3; give at least as many"),
        (("--launcher", "none", "--ranks-per-frame", 2), "--launcher none starts one rank, and --ranks-per-frame 2"),
    ],
)
def test_numbers_that_do_not_go_together_are_told(
    run: Run, pattern: Pattern, words: Sequence[object], told: str
) -> None:
    done = run("render", pattern(), *SMALL, *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_ranks_started_by_hand_must_make_whole_groups(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    assert run("render", pattern(), *SMALL, "--ranks-per-frame", 2, "--ranks", 2, "--dry-run").returncode == 0
    variables = {**os.environ, **settings(1, os.environ, root=os.geteuid() == 0)}
    command = [need("mpiexec"), "-n", "3", sys.executable, "-m", "mpirender.ranks",
               str(tmp_path / "test_renders/.mpirender/job.json")]  # fmt: skip
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--ranks-per-frame 2: 3 ranks make no whole groups; start a multiple of it" in done.stderr


def test_frames_of_another_number_of_ranks_are_never_mixed_in(run: Run, pattern: Pattern) -> None:
    scene = pattern()
    assert run("render", scene, *SMALL, "--ranks", 1).returncode == 0
    done = run("render", scene, *SMALL, "--ranks", 2, "--ranks-per-frame", 2)
    assert "6 images here are made with other options; rendered again" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_rank_killed_costs_its_group_the_frames_in_flight_and_nothing_else(
    pattern: Pattern, tmp_path: Path, who: str
) -> None:
    scene, output = pattern('{"frames": 30, "seconds": 0.1}'), tmp_path / "test_renders"
    words = ["render", str(scene), *SMALL, "--ranks", "4", "--ranks-per-frame", "2"]
    command = [sys.executable, "-m", "mpirender", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not output.joinpath(".mpirender").is_dir() or len(records(output, "done")) < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        start = next(record for record in records(output, "start") if record["rank"] == 1)
        os.kill(start["pid"] if who == "leader" else start["followers"][0]["pid"], signal.SIGKILL)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert f"warning: group 1 on {os.uname().nodename} died (signal SIGKILL)" in said
    assert sorted(record["frame"] for record in records(output, "done")) == list(range(30))
    (death,) = records(output, "death")
    assert [frame for frame, _ in death["blamed"]] in ([], [frame for one, frame, _ in death["flight"] if one == 1])


@pytest.mark.slow
def test_a_poison_frame_is_set_aside_and_the_command_to_try_it_starts_a_group(run: Run, pattern: Pattern) -> None:
    scene = pattern('{"frames": 8, "seconds": 0.02, "kill": [3]}')
    done = run("render", scene, *SMALL, "--ranks", 4, "--ranks-per-frame", 2)
    assert done.returncode == 4
    assert "80x50 frames 3: set aside after 2 deaths at it; the last: group" in done.stderr
    assert re.search(r"to try .* alone: .* --ranks 2 --ranks-per-frame 2", done.stderr)


# --- ParaView ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["annotated", "flow"])
def test_a_frame_is_what_paraview_itself_makes_of_it_on_so_many_ranks(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str
) -> None:
    """Whichever group renders it, and after which other one: data in pieces, axes around them, particles."""
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), tmp_path / "reference", SIZE, ranks=2)
    words = ("--size", SIZE, "--movie", "none", "--ranks", 4, "--ranks-per-frame", 2, "--output", tmp_path / "out")
    done = run("render", scenes.state(name), *words)
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


@pytest.mark.slow
def test_edges_differ_from_those_of_one_rank_by_little_and_memory_by_more(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """K = 1, 2 and 3 of 4 ranks."""
    whole = ("--set", f"can.ex2.WholeExtent={[-150, 150] * 3}", "--set", "Contour1.Isosurfaces=[220]")
    peaks, pictures = [], []
    for count in (1, 2, 3):
        output = tmp_path / f"{count}"
        words = ("--size", "320x200", "--movie", "none", "--frames", "0-1", "--ranks", 4, "--output", output)
        done = run("render", scenes.state("cut"), *words, *whole, "--ranks-per-frame", count)
        assert done.returncode == 0, done.stderr
        peaks.append(max(record["memory"] for record in records(output, "done")))
        pictures.append([pixels(path).astype(int) for path in sorted((output / "320x200").glob("*.png"))])
    assert peaks[0] > peaks[1] + 20e6 > peaks[2] + 40e6, "27 million points of 4 bytes, shared by more and more ranks"
    for pair in zip(*pictures):
        for other in pair[1:]:
            far = np.abs(pair[0] - other).max(axis=-1)
            assert (far > 0).mean() < 2e-3
            assert (far > 16).mean() < 2e-4


SLOPE = """
import sys
from paraview import simple
view = simple.CreateView("RenderView")
simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Main"))
view.ViewSize = [320, 200]
whole = simple.Wavelet(WholeExtent=[-10, 10, -10, 10, -10, 10])
slope = simple.Elevation(Input=whole, LowPoint=[-10, -10, -10], HighPoint=[10, 10, 10])
shown = simple.Show(slope, view)
shown.SetRepresentationType("Surface")
simple.ColorBy(shown, ("POINTS", "Elevation"))
simple.GetColorTransferFunction("Elevation").RescaleTransferFunction(-2, 3)
simple.ResetCamera(view)
simple.GetAnimationScene().NumberOfFrames = 2
simple.SaveState(sys.argv[1])
"""


@pytest.mark.slow
def test_ranges_of_colour_maps_are_found_over_all_pieces(run: Run, pvbatch: Run, tmp_path: Path) -> None:
    """Where no rank has both the least and the greatest value."""
    maker, state = tmp_path / "maker.py", tmp_path / "slope.pvsm"
    maker.write_text(SLOPE)
    pvbatch(maker, state)
    pictures = []
    for count in (1, 2):
        output = tmp_path / f"{count}"
        words = ("--size", "320x200", "--movie", "none", "--color-range", "global", "--output", output)
        done = run("render", state, *words, "--ranks", count, "--ranks-per-frame", count)
        assert done.returncode == 0, done.stderr
        assert records(output, "survey")[0]["ranges"] == {"Elevation": [0.0, 1.0]}
        pictures.append(pixels(output / "320x200" / "frame_000000.png").astype(int))
    for other in pictures[1:]:
        assert (np.abs(pictures[0] - other).max(axis=-1) > 8).mean() < 1e-3
    refused = run("render", state, "--color-range", "clamp", "--ranks", 2, "--ranks-per-frame", 2)
    assert refused.returncode == 2
    assert "--color-range clamp is updated every timestep, and where ranks share frames" in refused.stderr


@pytest.mark.slow
def test_an_error_in_the_piece_of_one_rank_fails_the_frame_and_no_other(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    broken = scenes.folder / "pieces_data" / "step_3_1.vtp"
    content = broken.read_bytes()
    words = (
        "render",
        scenes.state("pieces"),
        *SMALL,
        "--ranks",
        4,
        "--ranks-per-frame",
        2,
        "--output",
        tmp_path / "out",
    )
    try:
        broken.write_bytes(content[:3000])
        done = run(*words)
        assert done.returncode == 4
        assert re.search(
            r"80x50 frames 3: rank \d on \S+: vtkXMLPolyDataReader: Cannot read .* \(tried twice\)", done.stderr
        )
    finally:
        broken.write_bytes(content)
    again = run(*words)
    assert "kept from before" in again.stdout
    assert again.returncode == 0, again.stderr
    one = tmp_path / "one"
    assert run("render", scenes.state("pieces"), *SMALL, "--ranks", 1, "--output", one).returncode == 0
    for frame in range(6):
        name = f"80x50/frame_{frame:06d}.png"
        assert np.abs(pixels(tmp_path / "out" / name).astype(int) - pixels(one / name)).max() <= 8


@pytest.mark.slow
def test_pictures_that_paraview_writes_itself_are_those_of_one_rank(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--size", SIZE, "--movie", "none", "--image-format", "jpg", "--ranks", 2)
    for count in (1, 2):
        done = run(
            "render", scenes.state("orbit"), *words, "--ranks-per-frame", count, "--output", tmp_path / f"{count}"
        )
        assert done.returncode == 0, done.stderr
    for path in sorted((tmp_path / "1" / SIZE).iterdir()):
        assert np.abs(pixels(path).astype(int) - pixels(tmp_path / "2" / SIZE / path.name)).mean() < 1


# --- Memory -----------------------------------------------------------------------------------------------------------


def opened(rank: int, host: str, node_memory: int, followers: Sequence[str] = ()) -> Record:
    return {"event": "phase", "phase": "opened", "rank": rank, "host": host, "node_memory": node_memory,
            "with": list(followers)}  # fmt: skip


def test_memory_that_will_not_do_is_told_with_the_number_of_ranks_that_it_holds(tmp_path: Path) -> None:
    estimate = memory_estimate.Estimate(RenderJob(scene="x.pvsm", output=tmp_path))
    estimate.add([opened(rank, "n1", 16_000_000_000) for rank in range(8)])
    assert estimate.shortage() == ""
    estimate.add([{"event": "done", "rank": 3, "memory": 1_700_000_000}])
    assert estimate.shortage() == "", "13.6 of 16 GB"
    estimate.add([{"event": "done", "rank": 5, "memory": 2_500_000_000}])
    assert estimate.shortage() == (
        "memory will be short: 8 ranks on n1 take about 19 GB (up to 2.5 GB each), it has 16 GB; take 5 ranks there "
        "(--ranks), or let ranks share frames (--ranks-per-frame 2)"
    )


def test_the_ranks_of_a_group_count_where_they_are(tmp_path: Path) -> None:
    estimate = memory_estimate.Estimate(RenderJob(scene="x.pvsm", output=tmp_path, ranks_per_frame=3))
    estimate.add([opened(0, "n1", 4_000_000_000, ["n1", "n2"]), opened(1, "n2", 9_000_000_000, ["n2", "n2"])])
    estimate.add([{"event": "done", "rank": 1, "memory": 1_900_000_000}])
    assert "2 ranks on n1 take about 3.8 GB" in estimate.shortage()
    assert "(--ranks-per-frame 4)" in estimate.shortage()


def test_ranks_of_a_start_before_do_not_count(tmp_path: Path) -> None:
    """As when a node is lost, and the others are numbered anew."""
    estimate = memory_estimate.Estimate(RenderJob(scene="x.pvsm", output=tmp_path))
    estimate.add([opened(rank, f"n{rank // 2}", 4_000_000_000) for rank in range(6)])
    estimate.add([{"event": "launch"}, *(opened(rank, f"n{rank}", 4_000_000_000) for rank in range(3))])
    estimate.add([{"event": "done", "rank": 0, "memory": 1_900_000_000}])
    assert estimate.shortage() == "", "one rank on each"


def test_the_memory_of_this_machine_is_what_the_kernel_says_and_slurm_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < host_limits.memory() <= total
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert host_limits.memory() == 100 * 1024**2


def test_a_run_warns_of_it_once(run: Run, pattern: Pattern) -> None:
    little = {**os.environ, "SLURM_MEM_PER_NODE": "100"}
    done = run("render", pattern('{"frames": 12, "seconds": 0.1}'), *SMALL, "--ranks", 3, env=little)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("memory will be short: 3 ranks on") == 1


def test_data_that_a_rank_will_not_hold_are_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for name, size in (("a_0.vtu", 500), ("a_1.vtu", 700), ("b.vtu", 400)):
        (tmp_path / name).write_bytes(bytes(size))
        files.append(DataFile(name[0], "FileName", name, str(tmp_path / name), found=True))
    monkeypatch.setattr(memory_estimate, "cores", lambda: 4)
    monkeypatch.setattr(host_limits, "memory", lambda: 2000)
    scene = Inspection(engine="paraview", data_files=tuple(files))
    (told,) = memory_estimate.advice(scene)
    assert told == (
        "the data of a frame take 1.1 kB as files and each of 4 ranks has 450 bytes of memory here: give "
        "--ranks-per-frame 3, or fewer --ranks"
    )
    monkeypatch.setattr(host_limits, "memory", lambda: 20000)
    assert memory_estimate.advice(scene) == []
