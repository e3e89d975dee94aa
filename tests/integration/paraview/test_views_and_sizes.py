"""Render several views, layouts and sizes, each identical to what ParaView saves."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from movies import read_back
from mpirender.engines.paraview import inspect
from mpirender.job.outputs import Size
from mpirender.run_folder import events, journal
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow


def test_a_layout_and_a_view_of_it_are_as_paraview_saves_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state = scenes.state("two_views")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "800x450", "Both")
    command = ("render", state, "--size", "800x450", "--movie", "none", "--ranks", 1)
    done = run(*command, "--layout", "Both", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "800x450", tmp_path / "reference")
    options = ("SeparatorWidth=9", "SeparatorColor=[1,0,0.5]")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "parted", "800x450", "Both", *options)
    words = ("--separator-width", 9, "--separator-color", "1,0,0.5", "--output", tmp_path / "out")
    done = run(*command, "--layout", "Both", *words)
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "800x450", tmp_path / "parted")
    by_number = run(*command, "--layout", "1", "--frames", "0")
    assert by_number.returncode == 0, by_number.stderr


def test_without_a_choice_the_first_view_is_rendered_and_the_user_is_reported(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--size", SIZE, "--movie", "none", "--ranks", 1, "--output", tmp_path / "out")
    done = run("render", scenes.state("two_views"), *words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: .*--view.*--layout", done.stdout)
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("two_views"))


def test_a_view_is_chosen_by_its_name(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    for view in ("RenderView1", "RenderView2"):
        done = run(
            "render", scenes.state("two_views"), "--view", view, "--size", "320x450", "--frames", 1, "--movie", "none",
            "--ranks", 1, "--output", tmp_path / view,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    first, second = (pixels(tmp_path / f"RenderView{n}" / "320x450" / "frame_000001.png") for n in (1, 2))
    assert not np.array_equal(first, second)


def test_several_sizes_are_each_paraviews_and_each_frame_is_rendered_once_a_size(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    sizes = (SIZE, "640x400", "1600x900")
    for size in sizes[1:]:
        pvbatch(SUPPORT / "save_animation.py", scenes.state("annotated"), tmp_path / size, size)
    done = run(
        "render", scenes.state("annotated"), *(word for size in sizes for word in ("--size", size)), "--ranks", 2,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for size in sizes:
        reference = scenes.frames("annotated") if size == SIZE else tmp_path / size
        assert_same_pictures(tmp_path / "out" / size, reference)
        assert read_back(tmp_path / "out" / f"annotated_{size}.mp4").frames == 6
    records = journal.read(tmp_path / "out" / ".mpirender")
    assert sum(isinstance(record, events.Done) for record in records) == 6 * 3


def test_in_one_pass_every_image_is_paraviews_with_a_view_of_its_size(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Covers a size that cannot be composed of tiles, and two sizes in turn."""
    sizes, state = ("400x300", "961x541"), scenes.state("annotated")
    for size in sizes:
        pvbatch(SUPPORT / "save_animation.py", state, tmp_path / size, size, "fit=True")
    words = [word for size in sizes for word in ("--size", size)]
    done = run("render", state, *words, "--one-pass", "--ranks", 2, "--movie", "none", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for size in sizes:
        assert_same_pictures(tmp_path / "out" / size, tmp_path / size)


def test_in_one_pass_a_layout_has_the_size_of_the_image(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state = scenes.state("two_views")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "900x500", "Both", "fit=True")
    words = ("--layout", "Both", "--size", "900x500", "--one-pass", "--movie", "none", "--ranks", 1)
    done = run("render", state, *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "900x500", tmp_path / "reference")


def test_inspect_counts_the_passes_as_paraview_does(pvbatch: Run, tmp_path: Path) -> None:
    views = [(640, 400), (1554, 1027), (300, 300), (1920, 1080), (844, 1200), (2000, 700)]
    cases = [(size.width, size.height, *view) for size in map(Size.parse, ("HD", "4K", "720p", "2K")) for view in views]
    script = tmp_path / "passes.py"
    script.write_text(
        "from paraview.modules.vtkRemotingViews import vtkSMSaveScreenshotProxy as proxy\n"
        "from vtkmodules.vtkCommonDataModel import vtkVector2i as pair\n"
        f"for width, height, across, down in {cases}:\n"
        "    print('times', *proxy.GetScaleFactorsAndSize(pair(width, height), pair(across, down)))\n"
    )
    lines = [line.split()[1:] for line in pvbatch(script).stdout.splitlines() if line.startswith("times")]
    assert [tuple(map(int, line)) for line in lines] == [inspect.passes(case[:2], case[2:]) for case in cases]


def test_sizes_far_apart_do_not_change_each_others_images(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """ParaView rounds the corner of the orientation axes depending on the previous image. Also checks a resumed run."""
    sizes = ("160x90", "3840x2160")
    for size in sizes:
        pvbatch(SUPPORT / "save_animation.py", scenes.state("orbit"), tmp_path / size, size)
    command = ("render", scenes.state("orbit"), "--size", sizes[0], "--size", sizes[1], "--movie", "none", "--ranks", 1)
    output = tmp_path / "out"
    assert run(*command, "--output", output).returncode == 0
    for frame, size in ((1, "160x90"), (3, "3840x2160"), (5, "3840x2160"), (6, "160x90")):
        (output / size / f"frame_{frame:06d}.png").unlink()
    assert "4 rendered, 10 kept" in run(*command, "--output", output).stdout
    for size in sizes:
        assert_same_pictures(output / size, tmp_path / size)


def test_several_views_and_layouts_are_each_what_they_are_alone(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Rendered in one run, by name and with `all`; each frame's data is computed once."""
    state, output = scenes.state("two_views"), tmp_path / "out"
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "800x450", "Both")
    common = ("--size", "800x450", "--movie", "none")
    single = ("render", state, *common, "--ranks", 1)
    alone = [run(*single, "--view", f"RenderView{n}", "--output", tmp_path / f"v{n}") for n in (1, 3)]
    assert [done.returncode for done in alone] == [0, 0]
    words = ("--view", "RenderView1", "--view", "RenderView3", "--layout", "Both", "--ranks", 2, "--output", output)
    done = run("render", state, *words, *common[:2])
    assert done.returncode == 0, done.stderr
    assert_same_pictures(output / "Both_800x450", tmp_path / "reference")
    for number in (1, 3):
        assert_same_pictures(output / f"RenderView{number}_800x450", tmp_path / f"v{number}" / "800x450")
    assert read_back(output / "two_views_Both_800x450.mp4").frames == 4
    every = run("render", state, "--view", "all", "--layout", "all", *common, "--ranks", 2, "--output", output)
    assert "8 rendered, 12 kept from before" in every.stdout, every.stdout + every.stderr
    another = run(*single, "--view", "RenderView2", "--output", tmp_path / "v1", "--frames", 0)
    assert "1 image here is of another view or size; rendered again" in another.stdout, another.stdout


def test_axes_of_two_views_around_changing_data_are_those_of_each_alone(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    maker = tmp_path / "maker.py"
    maker.write_text(
        "import sys\nfrom paraview import simple\nsimple.LoadState(sys.argv[1])\n"
        "first = simple.GetActiveView()\nsecond = simple.CreateView('RenderView')\nsecond.ViewSize = [640, 400]\n"
        "simple.AssignViewToLayout(view=second, layout=simple.CreateLayout('Other'))\n"
        "simple.Show(next(iter(simple.GetSources().values())), second)\nsecond.AxesGrid.Visibility = 1\n"
        "second.CameraPosition = [-9, 8, 21]\nsimple.SaveState(sys.argv[2])\n"
    )
    state = tmp_path / "both.pvsm"
    pvbatch(maker, scenes.state("pulse"), state)
    common = ("--size", SIZE, "--movie", "none")
    views = ("RenderView1", "RenderView2")
    for view in views:
        done = run("render", state, "--view", view, *common, "--ranks", 1, "--output", tmp_path / view)
        assert done.returncode == 0, done.stderr
    words = [word for view in views for word in ("--view", view)]
    done = run("render", state, *words, *common, "--ranks", 2, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for view in views:
        assert_same_pictures(tmp_path / "out" / f"{view}_{SIZE}", tmp_path / view / SIZE)
