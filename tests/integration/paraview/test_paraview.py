"""Real ParaView under real mpiexec: a frame is ParaView's frame, and wrong scenes are told."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender.engines.paraview import inspect
from mpirender.job.outputs import Size
from mpirender.launcher.environment import PACKAGES_OF_RANKS, package_folders
from mpirender.movie import encode
from mpirender.run_folder import journal
from processes import Run, marked, need, x_servers
from repository import REPOSITORY, SUPPORT

pytestmark = pytest.mark.slow

ORBIT_FRAMES = 7


@pytest.mark.parametrize("name", ["orbit", "annotated", "series"])
@pytest.mark.parametrize(
    ("schedule", "ranks"),
    [("interleaved", 1), ("interleaved", 3), ("contiguous", 5), ("dynamic", 2)],
)
def test_a_frame_is_paraviews_frame_whatever_the_ranks_and_the_schedule(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, name: str, schedule: str, ranks: int
) -> None:
    done = run(
        "render", scenes.state(name), "--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames(name))


@pytest.mark.parametrize("schedule", ["interleaved", "contiguous"])
def test_axes_around_data_that_grow_and_shrink_are_paraviews_too(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, schedule: str
) -> None:
    done = run(
        "render", scenes.state("pulse"), "--size", SIZE, "--ranks", 2, "--schedule", schedule, "--movie", "none",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("pulse"))


def test_frames_stay_paraviews_when_a_run_goes_on_after_losing_some(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    command = ("render", scenes.state("annotated"), "--size", SIZE, "--output", tmp_path / "out", "--movie", "none")
    assert run(*command, "--frames", "1,4").returncode == 0
    (tmp_path / "out" / SIZE / "frame_000004.png").unlink()
    again = run(*command, "--ranks", 2)
    assert "5 rendered, 1 kept from before" in again.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("annotated"))


def test_a_layout_and_a_view_of_it_are_as_paraview_saves_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state = scenes.state("two_views")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "800x450", "Both")
    done = run(
        "render", state, "--layout", "Both", "--size", "800x450", "--movie", "none", "--output", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "800x450", tmp_path / "reference")
    options = ("SeparatorWidth=9", "SeparatorColor=[1,0,0.5]")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "parted", "800x450", "Both", *options)
    words = ("--separator-width", 9, "--separator-color", "1,0,0.5", "--output", tmp_path / "out")
    done = run("render", state, "--layout", "Both", "--size", "800x450", "--movie", "none", *words)
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "800x450", tmp_path / "parted")
    by_number = run("render", state, "--layout", "1", "--size", "800x450", "--frames", "0", "--movie", "none")
    assert by_number.returncode == 0, by_number.stderr


def test_without_a_choice_the_first_view_is_rendered_and_the_user_is_told(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    done = run("render", scenes.state("two_views"), "--size", SIZE, "--movie", "none", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: .*--view.*--layout", done.stdout)
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("two_views"))


def test_a_view_is_chosen_by_its_name(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    for view in ("RenderView1", "RenderView2"):
        done = run(
            "render", scenes.state("two_views"), "--view", view, "--size", "320x450", "--frames", 1, "--movie", "none",
            "--output", tmp_path / view,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    first, second = (pixels(tmp_path / f"RenderView{n}" / "320x450" / "frame_000001.png") for n in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("option", "value", "paraview"),
    [
        ("--override-color-palette", "WhiteBackground", "OverrideColorPalette='WhiteBackground'"),
        ("--font-scaling", "Do not scale fonts", "FontScaling='Do not scale fonts'"),
        ("--transparent-background", None, "TransparentBackground=1"),
        ("--stereo-mode", "Red-Blue", "StereoMode='Red-Blue'"),
    ],
)
def test_paraviews_own_screenshot_options_give_paraviews_pictures(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, option: str, value: str | None, paraview: str
) -> None:
    state = scenes.state("annotated")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "960x540", paraview)
    given = (option,) if value is None else (option, value)
    done = run(
        "render", state, *given, "--size", "960x540", "--movie", "none", "--output", tmp_path / "out", "--ranks", 2
    )
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / "960x540", tmp_path / "reference")


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
        assert encode.read_back(tmp_path / "out" / f"annotated_{size}.mp4").frames == 6
    records = journal.read(tmp_path / "out" / ".mpirender")
    assert sum(record["event"] == "done" for record in records) == 6 * 3


def test_in_one_pass_every_image_is_paraviews_with_a_view_of_its_size(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Also with a size that cannot be put together of tiles, and two sizes in turn."""
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
    words = ("--layout", "Both", "--size", "900x500", "--one-pass", "--movie", "none", "--output", tmp_path / "out")
    done = run("render", state, *words)
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


def test_labels_of_axes_do_not_jump_between_frames_of_different_ranks(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """In the series only the shape and the step number change: everything around them is equal in all frames."""
    done = run(
        "render", scenes.state("series"), "--size", SIZE, "--ranks", 3, "--movie", "none", "--output", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    pictures = [pixels(path) for path in sorted((tmp_path / "out" / SIZE).glob("*.png"))]
    borders = {picture[240:].tobytes() for picture in pictures}
    assert len(borders) == 1


def test_data_that_moved_is_found_with_data_dir_and_with_file(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    state = tmp_path / "moved.pvsm"
    content = scenes.state("series").read_text().replace(f"{scenes.folder}/data/", "Y:\\Users\\me\\data\\")
    state.write_text(content)
    shutil.copytree(scenes.folder / "data", tmp_path / "elsewhere" / "data")

    lost = run("render", state, "--size", SIZE)
    assert lost.returncode == 2
    assert "reader 'shape'" in lost.stderr
    assert "--data-dir" in lost.stderr
    assert len(lost.stderr.splitlines()) == 1

    given = {
        "dir": ("--data-dir", tmp_path / "elsewhere"),
        "file": ("--file", f"shape={tmp_path}/elsewhere/data/shape_*.vtp"),
    }
    for name, option in given.items():
        done = run("render", state, *option, "--size", SIZE, "--output", tmp_path / name, "--movie", "none")
        assert done.returncode == 0, done.stderr
        assert_same_pictures(tmp_path / name / SIZE, scenes.frames("series"))


def test_a_changed_data_file_makes_its_frames_stale(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(scenes.folder / "data", folder / "data")
    command = ("render", scenes.state("series"), "--data-dir", folder, "--size", SIZE, "--movie", "none")
    assert "6 rendered" in run(*command).stdout
    assert "0 rendered, 6 kept" in run(*command).stdout
    os.utime(folder / "data" / "shape_3.vtp", ns=(1, 1))
    assert "6 rendered," in run(*command).stdout


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
    assert "--on-error warn" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_error_of_paraview_in_mid_animation_fails_the_frames_it_shows_in(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """The axes of a frame are drawn around the data of the frame before as well."""
    folder = tmp_path / "broken"
    shutil.copytree(scenes.folder / "data", folder / "data")
    (folder / "data" / "shape_4.vtp").write_text("<VTKFile")
    command = ("render", scenes.state("series"), "--data-dir", folder, "--size", SIZE, "--movie", "none")
    done = run(*command)
    assert done.returncode == 4
    assert f"{SIZE} frames 4: rank " in done.stderr
    assert re.search(rf"{SIZE} frames 5: rank .*\(at time 4, around whose data axes are drawn\)", done.stderr)
    assert "2 of 6 images missing" in done.stderr
    kept = run(*command, "--on-error", "warn")
    assert kept.returncode == 0
    assert "errors were reported during 2 images" in kept.stdout


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("damage", ["removed", "overwritten"])
def test_a_file_lost_while_rendering_fails_the_frames_that_use_it_and_no_other(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, ranks: int, damage: str
) -> None:
    """VTK reports a file that cannot be read only once, when it tries to; three frames use this one."""
    state = holed(scenes, tmp_path / "copy", open_gate=False)
    output, lost = tmp_path / "out", tmp_path / "copy" / "data" / "step_2.vtp"
    ungated = "--allow-order-dependence"  # the gate would be tried before the first frame is there
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
    assert run("render", holed(scenes, whole), "--size", SIZE, "--output", tmp_path / "undisturbed").returncode == 0
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
    """Warnings of Python and VTK, and what ParaView says of extractors that it does not know, which draw nothing."""
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
    """Return the holed scene with data of its own in a folder."""
    shutil.copytree(scenes.folder / "broken" / "data", folder / "data")
    if open_gate:
        (folder / "data" / "go").touch()
    state = folder / "holed.pvsm"
    state.write_text(
        (scenes.folder / "broken" / "holed.pvsm").read_text().replace(f"{scenes.folder}/broken", f"{folder}")
    )
    return state


def rendering(state: Path, *options: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the command and do not wait for it."""
    command = [sys.executable, "-m", "mpirender", "render", state, "--size", SIZE, *options]
    return subprocess.Popen(
        list(map(str, command)), cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_first_frames(output: Path, ranks: int, process: subprocess.Popen[str]) -> None:
    """Return when every rank has loaded the scene and taken up a frame."""
    end = time.monotonic() + 100
    while time.monotonic() < end and process.poll() is None:
        taken = [record for record in journal.read(output / ".mpirender") if record["event"] == "take"]
        if len({record["rank"] for record in taken}) == ranks:
            return
        time.sleep(0.1)
    process.terminate()  # else the end of the block would wait for it
    raise AssertionError("no rank renders anything")


def frames_in(output: Path) -> Sequence[int]:
    return sorted(int(path.stem.removeprefix("frame_")) for path in (output / SIZE).glob("frame_*.png"))


def engine_script(folder: Path, state: Path, body: str) -> Path:
    """Write a script for pvbatch that opens a state as a rank does and goes on with body: scene and job are set."""
    script = folder / "script.py"
    script.write_text(
        f"""
import sys
sys.path += {[str(REPOSITORY), *package_folders(PACKAGES_OF_RANKS)]!r}
from mpirender.engines.paraview import engine as paraview
from mpirender.job.render_job import RenderJob
job = RenderJob(scene={str(state)!r}, sizes=("640x360",))
scene = paraview.open_scene(paraview.prepare(job.scene.read_bytes(), job)[0], job)
{body}"""
    )
    return script


def test_what_a_rank_says_leaves_pvbatch_in_one_piece(tmp_path: Path) -> None:
    """Otherwise mpiexec's own words get between a line and its end. Every write is a message of this socket."""
    script = tmp_path / "say.py"
    script.write_text(
        f"import sys\nsys.path.append({str(REPOSITORY)!r})\nfrom mpirender.ranks.log import tell\ntell('no')"
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        subprocess.run([need("pvbatch"), "--no-mpi", script], stderr=theirs, check=True)
        theirs.close()
        assert b"mpirender: error: no\n" in iter(lambda: ours.recv(65536), b"")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--view", "Nowhere"), r"--view '?Nowhere'?.*RenderView1"),
        (("--layout", "Nowhere"), r"--layout '?Nowhere'?.*Main"),
        (("--frames", "0-2000"), r"--frames 0-2000: .*0-6"),
        (("--size", "641x359"), r"--size 641x359: ParaView cannot render this size from a view of 400x400.*640x359"),
        (("--data-dir", "/nowhere"), r"--data-dir .*/nowhere"),
        (("--file", "nothing=/etc/hosts"), r"--file .*nothing"),
    ],
)
def test_what_the_scene_does_not_have_gets_one_line(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    done = run("render", scenes.state("orbit"), "--output", tmp_path / "out", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(line, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*/frame*"))


def test_all_mistakes_of_scene_and_options_are_told_at_once(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    done = run(
        "render", scenes.state("orbit"), "--view", "Nowhere", "--frames", "9999", "--data-dir", "/nowhere",
        "--pvbatch", "/no/pvbatch",
    )  # fmt: skip
    assert done.returncode == 2
    assert [word in done.stderr for word in ("Nowhere", "9999", "/nowhere", "/no/pvbatch")] == [True] * 4


@pytest.mark.parametrize("kind", ["empty", "cut", "other", "binary"])
def test_a_broken_state_gets_one_line(run: Run, scenes: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    content = scenes.state("orbit").read_bytes()
    broken = {"empty": b"", "cut": content[:5000], "other": b"<html></html>", "binary": bytes(range(256)) * 40}[kind]
    state = tmp_path / "broken.pvsm"
    state.write_bytes(broken)
    done = run("render", state)
    assert done.returncode == 2
    assert "broken.pvsm" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.pvsm"]


def test_a_state_in_real_time_mode_gets_a_clear_answer(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    state = tmp_path / "real_time.pvsm"
    content = scenes.state("orbit").read_text()
    changed = re.sub(r'(name="PlayMode"[^>]*>\s*<Element index="0" value=)"0"', r'\1"1"', content)
    assert changed != content
    state.write_text(changed)
    done = run("render", state)
    assert done.returncode == 2
    assert "Real Time" in done.stderr
    assert "Sequence" in done.stderr


def test_without_pvbatch_it_ends_with_3_and_the_line_that_installs_it(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    path = only("mpiexec", tmp_path / "bin")
    done = run("render", scenes.state("orbit"), env={**os.environ, "PATH": path})
    assert done.returncode == 3
    assert "pvbatch is not found" in done.stderr
    assert "apt-get install paraview" in done.stderr


def test_without_xvfb_a_paraview_that_needs_it_ends_with_3(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    path = only("mpiexec", tmp_path / "bin")
    environment = {**os.environ, "PATH": path}
    programs = ("--pvbatch", need("pvbatch"), "--mpiexec", Path(path) / "mpiexec")
    done = run("render", scenes.state("orbit"), *programs, env=environment)
    assert done.returncode == 3, done.stderr
    assert "Xvfb is not installed" in done.stderr
    assert "apt-get install xvfb" in done.stderr
    assert "built for" not in done.stderr, "what cannot be mended is not worth a word"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/etc/hostname"])
def test_a_pvbatch_that_is_none_ends_with_3(run: Run, scenes: SimpleNamespace, program: str) -> None:
    done = run("render", scenes.state("orbit"), "--pvbatch", program)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert re.search(rf"{program}( does not say that it is ParaView|: no such program)", done.stderr)


def test_pvbatch_is_asked_once_and_again_when_no_rank_starts(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module whose libraries are gone: the wrapper that was asked yesterday is still there."""
    program, asked, library = tmp_path / "pvbatch", tmp_path / "asked", tmp_path / "library"
    asked.touch()
    library.touch()
    program.write_text(
        f"#!/bin/sh\n[ -e {library} ] || exit 127\n"
        f'[ "$2" = --version ] || exec {need("pvbatch")} "$@"\necho x >>{asked}\necho paraview version 5.11.0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ("render", scenes.state("orbit"), "--pvbatch", program, "--size", "80x50", "--ranks", 1, "--frames")
    for frame in (0, 1):
        done = run(*command, frame)
        assert done.returncode == 0, done.stderr
    assert len(asked.read_text().split()) == 1
    library.unlink()
    done = run(*command, 2)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"mpirender: error: {program} does not say that it is ParaView")


def only(tool: str, folder: Path) -> str:
    """Return a PATH on which there is nothing but this tool (and what it needs to start)."""
    folder.mkdir()
    for name in (tool, "orted", "env", "sh"):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(Path(found).resolve() if name != tool else found)
    return str(folder)


def test_no_x_server_and_no_rank_is_left_behind(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("render", scenes.state("orbit"), "--size", SIZE, "--ranks", 3, "--frames", "0-2")
    assert run(*words, env=marked(tmp_path)).returncode == 0
    assert x_servers(tmp_path) == []


def test_a_frame_repeated_for_each_timestep_is_repeated(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """In Snap To TimeSteps mode ParaView plays each timestep FramesPerTimestep times."""
    state = tmp_path / "repeated.pvsm"
    content = scenes.state("series").read_text()
    changed = re.sub(r'(name="FramesPerTimestep"[^>]*>\s*<Element index="0" value=)"1"', r'\1"2"', content)
    assert changed != content
    state.write_text(changed)
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    done = run("render", state, "--size", SIZE, "--movie", "none", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_inspect_shows_what_is_in_a_state(run: Run, scenes: SimpleNamespace) -> None:
    shown = run("inspect", scenes.state("series"))
    assert shown.returncode == 0, shown.stderr
    assert "0-5 (6, Snap To TimeSteps, times 0 to 5)" in shown.stdout
    assert shown.stdout.count("found, shape") == 6
    assert re.search(r"written by  ParaView \d+\.\d+", shown.stdout)
    assert re.search(r"read by  \d+\.\d+", shown.stdout)


def test_sizes_far_apart_do_not_change_each_others_pictures(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """The corner of the orientation axes is rounded to pixels from what the image before left; also after a restart."""
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


def test_memory_of_a_rank_does_not_grow_with_the_frames(scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    script = engine_script(
        tmp_path,
        scenes.state("orbit"),
        f"""
import resource
from pathlib import Path
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for turn in range(300):
    assert scene.render(turn % len(scene.frames), job.outputs[0], Path({str(tmp_path)!r}) / "a.png").errors == []
    if turn == 50:
        early = peak()
print("grown by", peak() - early)
""",
    )
    grown = float(pvbatch(script).stdout.rpartition("grown by ")[2])
    assert grown < 10, f"{grown:.0f} MB over 250 frames; a leaked image would make 170"


def test_several_views_and_layouts_are_each_what_they_are_alone(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """In one run, each frame's data computed once; by the names that all stands for."""
    state, output = scenes.state("two_views"), tmp_path / "out"
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", "800x450", "Both")
    common = ("--size", "800x450", "--movie", "none")
    alone = [run("render", state, "--view", f"RenderView{n}", *common, "--output", tmp_path / f"v{n}") for n in (1, 3)]
    assert [done.returncode for done in alone] == [0, 0]
    words = ("--view", "RenderView1", "--view", "RenderView3", "--layout", "Both", "--ranks", 2, "--output", output)
    done = run("render", state, *words, *common[:2])
    assert done.returncode == 0, done.stderr
    assert_same_pictures(output / "Both_800x450", tmp_path / "reference")
    for number in (1, 3):
        assert_same_pictures(output / f"RenderView{number}_800x450", tmp_path / f"v{number}" / "800x450")
    assert encode.read_back(output / "two_views_Both_800x450.mp4").frames == 4
    every = run("render", state, "--view", "all", "--layout", "all", *common, "--ranks", 2, "--output", output)
    assert "8 rendered, 12 kept from before" in every.stdout, every.stdout + every.stderr
    another = run("render", state, "--view", "RenderView2", *common, "--output", tmp_path / "v1", "--frames", 0)
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


@pytest.mark.parametrize(("schedule", "ranks"), [("auto", 3), ("interleaved", 2)])
def test_particles_and_their_trails_are_those_of_one_process(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, schedule: str, ranks: int
) -> None:
    """Also where a run goes on after losing frames from the middle."""
    words = ("--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", tmp_path / "out")
    done = run("render", scenes.state("flow"), *words)
    assert done.returncode == 0, done.stderr
    assert "Tracer1, Trails1 carries something on from frame to frame" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("flow"))
    for frame in (2, 5):
        (tmp_path / "out" / SIZE / f"frame_{frame:06d}.png").unlink()
    again = run("render", scenes.state("flow"), *words)
    assert "2 rendered, 6 kept from before" in again.stdout, again.stdout + again.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("flow"))
