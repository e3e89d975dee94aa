"""Report mistakes in a Blender file or a command before rendering."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from blender_runs import rendered
from mpirender.engines.blender.inspect import inspection_of
from mpirender.job.render_job import RenderJob
from processes import Run

pytestmark = pytest.mark.slow


def test_mistakes_of_the_command_are_reported_together(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--camera", "Sid", "--view-layer", "x", "--set", "A.B=1", "--device", "gpu", "--samples", 3)
    done = run("render", blends.file("quick"), *words)
    assert done.returncode == 2
    assert sorted(line.split(": ", 2)[2] for line in done.stderr.splitlines()) == [
        "--camera 'Sid' is not a camera of scene 'Scene', did you mean 'Side'?; it has: Camera, Side",
        "--device applies to Cycles only; Workbench uses OpenGL; remove --device",
        "--samples applies to Cycles and EEVEE only; remove it for Workbench",
        "--set does not apply to Blender files",
        "--view-layer 'x' is not in scene 'Scene'; it has: ViewLayer",
    ]
    assert not (tmp_path / "quick_renders").exists()
    done = run("render", blends.file("quick"), "--scene", "Othr")
    assert "--scene 'Othr' is not in the file, did you mean 'Other'?; it has: Other, Scene" in done.stderr
    done = run("render", blends.file("eyeless"))
    assert "scene 'Scene' has no active camera; choose one with --camera: Camera" in done.stderr


def test_files_that_are_missing_are_named_before_anything_is_rendered(
    run: Run, blends: SimpleNamespace, tmp_path: Path
) -> None:
    """Blender renders without them silently. Files that no image needs may be missing."""
    shutil.copytree(blends.folder, tmp_path / "here")
    (tmp_path / "here" / "library.blend").unlink()
    done = run("render", tmp_path / "here" / "gone.blend")
    assert done.returncode == 2
    told = [line.split("; restore it")[0] for line in done.stderr.splitlines()]
    assert sorted(told) == [
        f"mpirender: error: cache 'sim.abc' is missing: {blends.folder}/sim.abc",
        f"mpirender: error: image 'wood' is missing: {tmp_path}/here/textures/wood.png",
        f"mpirender: error: library 'library.blend' is missing: {tmp_path}/here/library.blend",
    ]
    assert "unused" not in done.stderr
    assert "none.wav" not in done.stderr
    said = rendered(run, tmp_path / "here" / "gone.blend", "--on-error", "warn", "--frames", "1")
    assert said.count("is missing") == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a Blender file; it is empty"),
        (b"<svg/>", "not a Blender file"),
        (None, r"Blender cannot open it \(.+\); check that it opens in Blender; it may be damaged"),
    ],
    ids=["empty", "another", "cut short"],
)
def test_an_incomplete_blender_file_is_reported(
    run: Run, blends: SimpleNamespace, tmp_path: Path, content: bytes | None, told: str
) -> None:
    whole = blends.file("quick").read_bytes()
    (tmp_path / "a.blend").write_bytes(whole[: len(whole) // 2] if content is None else content)
    done = run("render", "a.blend")
    assert done.returncode == 2
    assert re.fullmatch(rf"mpirender: error: a\.blend: {told}.*\n", done.stderr), done.stderr


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error(run: Run, blends: SimpleNamespace) -> None:
    for device in ("gpu", "cuda"):
        done = run("render", blends.file("shot"), "--device", device, "--ranks", 2)
        assert done.returncode == 3
        assert re.search(
            rf"--device {device}: Cycles finds no such GPU on \S+; mpirender doctor lists its GPUs", done.stderr
        )


def test_without_blender_the_error_says_how_to_install_it(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    for words, told in (
        (("--blender", "/no/blender"), "/no/blender: no such program; pip install 'mpirender[blender]'"),
        (("--blender", "/usr/bin/python3"), "/usr/bin/python3 cannot import bpy (No module named 'bpy'); pip install"),
        (("--blender", "/bin/true"), "/bin/true did not report a Blender version"),
    ):
        done = run("render", blends.file("quick"), *words)
        assert (done.returncode, told in done.stderr) == (3, True), done.stderr
    assert "absent  blender" in run("doctor", env={**os.environ, "MPIRENDER_BLENDER": "/no/blender"}).stdout
    assert re.search(r"ok  blender +\S+, Blender 4\.5\.\d+ LTS\n +ok  cycles .*\n +ok  eevee", run("doctor").stdout)


def test_a_scene_of_an_engine_that_is_not_installed_is_refused_by_its_name(run: Run, blends: SimpleNamespace) -> None:
    """Blender would render it with EEVEE."""
    done = run("render", blends.file("foreign"))
    told = "is rendered by FOREIGN, which this Blender does not have"
    assert (done.returncode, f"foreign.blend: scene 'Scene' {told}" in done.stderr) == (2, True), done.stderr
    done = run("render", blends.file("foreign"), "--scene", "Edit", "--size", "32x18")
    assert f"scene 'Edit' shows scene 'Scene', which {told}" in done.stderr
    done = run("render", blends.file("foreign"), "--blender-engine", "workbench", "--dry-run")
    assert done.returncode == 0, done.stderr


def facts(blends: SimpleNamespace, name: str, tmp_path: Path) -> dict[str, object]:
    answer = tmp_path / "answer.json"
    look = [sys.executable, "-m", "mpirender.engines.blender.query", str(answer), str(blends.file(name))]
    subprocess.run(look, check=True, stdout=subprocess.DEVNULL)
    return json.loads(answer.read_text())


def test_other_surprising_settings_are_reported(blends: SimpleNamespace, tmp_path: Path) -> None:
    found = facts(blends, "quick", tmp_path)
    scene = found["scenes"]["Scene"]
    job = RenderJob(blends.file("quick"))
    assert inspection_of(found, job).warnings == inspection_of(found, job).mistakes == ()
    newer = {**found, "saved": [found["app"][0], found["app"][1] + 1, 0]}
    assert "but rendered by the older 4.5" in inspection_of(newer, job).warnings[0]
    for change, told in (
        ({"stamp": True}, "images show when or where they were rendered"),
        ({"format": "OPEN_EXR"}, "the scene is set to OPEN_EXR images, but mpirender writes png"),
        ({"time_limit": 2.5}, "Cycles stops each frame after 2.5 s (Time Limit), so the same frame differs"),
        ({"sound": True}, "the scene has sound, but the movie will be silent"),
    ):
        changed = {**found, "scenes": {"Scene": {**scene, **change}}}
        assert told in inspection_of(changed, job).warnings[0]
    drivers = inspection_of({**found, "random": ["location of A"]}, RenderJob(blends.file("quick"), allow_scripts=True))
    assert "drivers use random numbers or the clock (location of A)" in drivers.warnings[0]
    for change, told in (
        ({"first": -2, "last": 1}, "begins at frame -2, but images count from 0"),
        ({"last": 0}, "has no frames: its end (0) is before its start (1)"),
        ({"engine": "LUXCORE"}, "is rendered by LUXCORE, which this Blender does not have"),
        ({"eyes": True}, "renders a separate image for each eye"),
        ({"layers": {"A": False}}, "renders none of its view layers"),
        ({"size": [20000, 2]}, "the size 20000x2 is not possible"),
    ):
        changed = {**found, "scenes": {"Scene": {**scene, **change}}}
        assert told in inspection_of(changed, job).mistakes[0]
    many = inspection_of({**found, "missing": [["image 'a'", f"/{n}"] for n in range(12)]}, job).mistakes
    assert (len(many), many[-1]) == (11, "and 2 more files that are missing")
