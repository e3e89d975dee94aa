"""Check that the images are identical to those of Blender's own animation render."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest

from blender_runs import rendered, say
from disks import disk
from images import assert_same_pictures, pixels
from movies import read_back
from mpirender.ranks import image_metadata
from mpirender.run_folder import events, journal
from mpirender.run_folder.journal import Tail
from processes import Run, need

pytestmark = pytest.mark.slow
SIZE = "160x90"  # resolution set in the files


def description(output: Path) -> str:
    """Return the description of the renderer that a rank recorded."""
    records = journal.read(output / ".mpirender")
    return next(record.description for record in records if isinstance(record, events.Opened))


def test_on_any_number_of_ranks_frames_are_those_of_blenders_animation(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    """Frames, size and frame rate come from the file. A marker switches the camera even if its frame is skipped."""
    reference = blends.animate(blends.file("shot"), tmp_path / "reference")
    for ranks in (1, 3):
        output = tmp_path / f"on{ranks}"
        rendered(run, blends.file("shot"), "--ranks", ranks, "--output", output)
        assert_same_pictures(output / SIZE, reference)
        assert [path.name for path in sorted((output / SIZE).iterdir())] == [f"frame_{n:06d}.png" for n in range(3, 9)]
    made = read_back(tmp_path / "on3" / f"shot_{SIZE}.mp4")
    assert (made.frames, made.frame_rate) == (6, pytest.approx(24000 / 1001))
    shown = [pixels(path).astype(int) for path in sorted(reference.iterdir())]
    assert all(np.abs(one - other).max() > 50 for one, other in zip(shown, shown[1:])), "consecutive frames must differ"


def test_what_the_command_asks_for_is_what_blender_does_when_asked(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    values = {
        "render.engine": "CYCLES", "cycles.samples": 2, "camera": "Side", "render.film_transparent": True,
        "render.image_settings.color_mode": "RGBA", "frame_end": 4,
    }  # fmt: skip
    reference = blends.animate(blends.file("quick"), tmp_path / "own", size=(96, 64), **values)
    words = ("--blender-engine", "cycles", "--samples", 2, "--camera", "Side", "--transparent-background")
    rendered(run, blends.file("quick"), *words, "--size", "96x64", "--frames", "1-4x2", "--ranks", 2)
    assert_same_pictures(tmp_path / "quick_renders" / "96x64", reference)


def test_another_scene_of_the_file_and_one_of_its_view_layers(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    hidden = {'view_layers["ViewLayer"].use': False}
    pictures = {}
    for name, more, values in (("both", (), {}), ("second", ("--view-layer", "Second"), hidden)):
        own = blends.animate(blends.file("quick"), tmp_path / f"own_{name}", scene="Other", **values)
        words = ("--scene", "Other", *more, "--size", SIZE, "--ranks", 1, "--output", tmp_path / name)
        rendered(run, blends.file("quick"), *words)
        assert_same_pictures(tmp_path / name / SIZE, own)
        pictures[name] = pixels(tmp_path / name / SIZE / "frame_000005.png").astype(int)
    assert np.abs(pictures["both"] - pictures["second"]).max() > 50, "only one view layer shows the ball"


def test_a_frame_is_asked_for_by_its_number_also_one_that_the_scene_leaves_out(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    """Also checks the warning for a node with too little memory for one Blender per rank, and its suggested fix."""
    words = ("--frames", "4,30", "--movie", "none", "--size", "64x36", "--ranks", 2)
    said = rendered(run, blends.file("quick"), *words, env={**os.environ, "SLURM_MEM_PER_NODE": "500"})
    assert "frame 30 is outside the scene's frame range, 1-23" in said
    told = r"memory will be short: 2 ranks on \S+ take about .*, it has 500 MB|524 MB; take 1 rank there \(--ranks\)\n"
    assert re.search(told, said), said
    names = sorted(path.name for path in (tmp_path / "quick_renders" / "64x36").iterdir())
    assert names == ["frame_000004.png", "frame_000030.png"]
    seen = json.loads(run("inspect", blends.file("quick"), "--json").stdout)
    assert (seen["first"], seen["step"], len(seen["times"]), seen["frame_rate"]) == (1, 2, 12, "24000/1001")
    other = run("inspect", blends.file("quick"), "--scene", "Other")
    assert re.search(r"frames +5-6 .*\n +scene +Other \(and Scene\)\n.*\n +layers +ViewLayer, Second", other.stdout)


@pytest.mark.parametrize("kind", ["jpg", "tiff", "png"])
def test_files_that_blender_makes_itself_are_its_own(
    run: Run, blends: SimpleNamespace, tmp_path: Path, kind: str
) -> None:
    """Includes png with 16 bits per channel, if the file is set to that."""
    settings = {"render.image_settings.file_format": {"jpg": "JPEG", "tiff": "TIFF", "png": "PNG"}[kind]}
    words = {"jpg": ("--quality", 71), "tiff": ("--compression", "Deflate"), "png": ()}[kind]
    if kind == "jpg":
        settings.update({"render.image_settings.color_mode": "RGB", "render.image_settings.quality": 71})
    if kind == "tiff":
        settings.update({"render.image_settings.color_depth": "8", "render.image_settings.color_mode": "RGBA"})
    own = blends.animate(blends.file("deep"), tmp_path / "own", **settings)
    rendered(run, blends.file("deep"), "--image-format", kind, *words, "--ranks", 1)
    made = sorted((tmp_path / "deep_renders" / SIZE).iterdir())
    assert len(made) == 2
    for image, other in zip(made, sorted(own.iterdir())):
        pictures = [iio.imread(path, plugin="pillow") for path in (image, other)]
        assert np.array_equal(*pictures), image
        content = image.read_bytes()
        assert image_metadata.read(content).scene == "deep.blend"
        assert not re.search(rb"Date|RenderTime|20\d\d:|" + str(tmp_path).encode(), content), "differs in every run"
    if kind == "png":
        assert made[0].read_bytes()[24] == 16, "bits per channel"


def test_a_cropped_region_in_grey_is_as_blender_crops_it(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    reference = blends.animate(blends.file("grey"), tmp_path / "own")
    rendered(run, blends.file("grey"), "--ranks", 1)
    assert_same_pictures(tmp_path / "grey_renders" / "84x63", reference)
    done = run("render", blends.file("grey"), "--size", "HD")
    assert (done.returncode, "a cropped region" in done.stderr) == (2, True)


def test_the_percentage_of_the_resolution_stays_as_it_is(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    """The width of the lines depends on it."""
    own = {"render.resolution_percentage": 50}
    reference = blends.animate(blends.file("lines"), tmp_path / "own", size=(320, 180), **own)
    full = blends.animate(blends.file("lines"), tmp_path / "full")
    rendered(run, blends.file("lines"), "--ranks", 2)
    assert_same_pictures(tmp_path / "lines_renders" / SIZE, reference)
    assert not np.array_equal(pixels(reference / "0001.png"), pixels(full / "0001.png"))


def test_physics_that_are_not_baked_are_named_and_played_from_the_first_frame(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    played = blends.animate(blends.file("falling"), tmp_path / "played", played=True)
    seen = run("inspect", blends.file("falling")).stdout
    assert "rigid bodies: not baked, so frames depend on earlier frames" in seen
    for how in ("auto", "interleaved"):
        output = tmp_path / how
        rendered(run, blends.file("falling"), "--ranks", 3, "--schedule", how, "--output", output)
        assert_same_pictures(output / SIZE, played)
    jumped = blends.animate(blends.file("falling"), tmp_path / "jumped")  # the operator skips the physics
    first, last = ([pixels(end(folder.iterdir())) for folder in (played, jumped)] for end in (min, max))
    assert np.array_equal(*first)
    assert np.abs(last[0].astype(int) - last[1]).max() > 50, "the images must show that the cube fell"
    starts = [record for record in journal.read(tmp_path / "auto" / ".mpirender") if isinstance(record, events.Take)]
    assert sorted(record.image.frame for record in starts if record.rank == 0) == [1, 2, 3, 4], "a contiguous block"


def test_eevee_by_the_name_that_people_use(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--blender-engine", "eevee", "--samples", 1, "--size", "48x27", "--frames", "3", "--movie", "none")
    said = rendered(run, blends.file("quick"), *words, "--ranks", 1)
    assert "llvmpipe" in said
    (image,) = (tmp_path / "quick_renders" / "48x27").iterdir()
    assert pixels(image).std() > 10
    said_of_it = description(tmp_path / "quick_renders")
    assert re.fullmatch(r"Blender 4\.5\.\d+ LTS, EEVEE, llvmpipe .*", said_of_it)


def test_a_blender_program_renders_its_own_images_too(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    """Debian's Blender, with ranks inside it. It is too old for files saved by bpy, which mpirender reports."""
    blender = need("blender")
    script = (
        "import bpy; s = bpy.context.scene; s.frame_start, s.frame_end = 2, 5; s.render.engine = 'BLENDER_WORKBENCH'\n"
        "s.render.resolution_x, s.render.resolution_y = 160, 90; s.render.image_settings.color_mode = 'RGB'\n"
        "c = bpy.data.objects['Cube']; c.keyframe_insert('location', frame=2); c.location.x = 2\n"
        "c.keyframe_insert('location', frame=5); "
        f"bpy.ops.wm.save_as_mainfile(filepath='{tmp_path}/old.blend')"
    )
    alone = [blender, "--background", "--factory-startup"]
    subprocess.run([*alone, "--python-expr", script], cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    own = [*alone, str(tmp_path / "old.blend"), "--render-output", "//own/", "--render-anim"]
    subprocess.run(own, cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    rendered(run, "old.blend", "--blender", blender, "--ranks", 2)
    assert re.match(r"Blender \d+\.\d+\.\d+[^,]*, Workbench, ", description(tmp_path / "old_renders"))
    done = run("inspect", blends.file("quick"), "--blender", blender)
    assert (done.returncode, "it was saved by Blender 4.5; use that version or a newer one" in done.stderr) == (2, True)
    assert_same_pictures(tmp_path / "old_renders" / SIZE, tmp_path / "own")
    again = rendered(run, "old.blend", "--blender", sys.executable, "--ranks", 1)
    assert "4 images here are made with other program or renderer; rendered again" in again


def test_scripts_run_only_when_they_are_allowed_to(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    """The script registers a handler, with which Blender hangs at its normal exit."""
    still = blends.animate(blends.file("moves"), tmp_path / "still")
    moved = blends.animate(blends.file("moves"), tmp_path / "moved", scripts=True)
    said = rendered(run, blends.file("moves"), "--ranks", 1)
    assert "scripts in the file do not run (Text 'moves.py'), so images may differ" in said
    assert_same_pictures(tmp_path / "moves_renders" / SIZE, still)
    assert "script  text 'moves.py' (registered); does not run" in run("inspect", blends.file("moves")).stdout
    refused = run("render", blends.file("counts"), "--no-scripts")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "refuses the scripts of this scene: text 'counts.py' (registered), driver of location" in refused.stderr
    said = rendered(run, blends.file("moves"), "--ranks", 2, "--allow-scripts")
    assert "scripts in this scene run with your permissions: text 'moves.py' (registered); --no-scripts" in said
    assert "4 images here are made with other options; rendered again" in said
    assert_same_pictures(tmp_path / "moves_renders" / SIZE, moved)
    assert not np.array_equal(pixels(still / "0002.png"), pixels(moved / "0002.png"))


def test_a_frame_at_which_a_script_fails_fails(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    done = run("render", blends.file("fails"), "--allow-scripts", "--ranks", 2)
    assert done.returncode == 4
    assert re.search(rf"{SIZE} frames 3: rank \d on \S+: ZeroDivisionError: division by zero", done.stderr)
    said = rendered(run, blends.file("fails"), "--allow-scripts", "--ranks", 2, "--on-error", "warn")
    assert "1 rendered" in said


def test_a_file_whose_script_fails_when_it_is_opened_is_refused(run: Run, blends: SimpleNamespace) -> None:
    done = run("render", blends.file("broken"), "--allow-scripts", "--ranks", 1)
    assert done.returncode == 2
    assert "broken.blend: error while loading: ZeroDivisionError: division by zero" in done.stderr


def test_a_frame_that_kills_its_renderer_fails_alone(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = run("render", blends.file("kills"), "--allow-scripts", "--ranks", 2, env=environment)
    assert done.returncode == 4
    assert re.search(rf"{SIZE} frames 3: rank \d on \S+: the renderer died .* \(tried ", done.stderr)
    records = journal.read(tmp_path / "kills_renders" / ".mpirender")
    assert sorted(record.image.frame for record in records if isinstance(record, events.Done)) == [1, 2, 4]
    left = [path.name for path in temporary.iterdir() if path.name.startswith("blender_")]
    assert left == [], "the folders of killed renderers are removed"


def test_a_full_disk_is_reported_and_no_image_is_incomplete(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    """Blender reports success but leaves a truncated file."""
    words = ("--size", "HD", "--image-format", "tiff", "--compression", "None", "--ranks", 1, "--movie", "none")
    with disk(tmp_path / "disk", "size=24m") as small:
        done = run("render", blends.file("long"), *words, "--output", small / "out")
        assert done.returncode == 4, say(done)
        assert "no space left on the disk, or in your quota" in done.stderr
        images = list((small / "out" / "HD").iterdir())
        assert 1 <= len(images) < 20
        for image in images:
            assert iio.imread(image, plugin="pillow").shape == (1080, 1920, 3)


def test_a_signal_is_handled_while_a_frame_is_rendered(blends: SimpleNamespace, tmp_path: Path) -> None:
    """Blender does not let Python handle signals until the frame is finished."""
    words = ["--size", "HD", "--samples", 400, "--blender-engine", "cycles", "--ranks", 1, "--grace-period", 1]
    command = [sys.executable, "-m", "mpirender", "render", blends.file("long"), *words, "--output", tmp_path / "o"]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        tail, ranks = Tail(tmp_path / "o" / ".mpirender"), []
        taken = False
        while not taken and process.poll() is None:
            records = tail.read()
            ranks += [record.pid for record in records if isinstance(record, events.Start)]
            taken = any(isinstance(record, events.Take) for record in records)
            time.sleep(0.05)
        time.sleep(1)
        os.kill(ranks[0], signal.SIGUSR1)
        said = process.stderr.read()
        assert process.wait(60) == 75, said
    stops = [record for record in journal.read(tmp_path / "o" / ".mpirender") if isinstance(record, events.Stop)]
    assert stops[0].rank == 0, "the rank must record the stop first"


def test_a_file_that_has_changed_is_rendered_again(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    """The test inserts a byte that Blender ignores."""
    shutil.copy(blends.file("quick"), tmp_path / "a.blend")
    words = ("a.blend", "--frames", "1-2", "--movie", "none", "--ranks", 1)
    rendered(run, *words)
    assert "0 rendered" in rendered(run, *words)
    content = bytearray((tmp_path / "a.blend").read_bytes())
    at = content.index(b"ENDB") + 20
    content = content[:at] + b"\0" + content[at:]
    (tmp_path / "a.blend").write_bytes(content)
    assert "2 images here are made with other scene file; rendered again" in rendered(run, *words)
