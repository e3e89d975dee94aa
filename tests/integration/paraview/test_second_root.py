"""Render with ParaView 6.1 through EGL and OSMesa, in a Debian without display, Xvfb or GPU."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from records import records
from second_root import MPIRENDER, WITH_OSMESA, Root

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(second_root: Root) -> Root:
    return second_root


@pytest.fixture(scope="module")
def scenes(scenes_of_second_root: SimpleNamespace) -> SimpleNamespace:
    return scenes_of_second_root


@pytest.mark.parametrize(
    ("name", "backend", "ranks"),
    [("annotated", "egl", 3), ("annotated", "osmesa", 1), ("series", "egl", 1), ("series", "osmesa", 3)],
)
def test_a_frame_is_paraviews_frame(
    root: Root, scenes: SimpleNamespace, tmp_path: Path, name: str, backend: str, ranks: int
) -> None:
    words = ["render", scenes.state(name), "--size", SIZE, "--movie", "none", "--backend", backend, "--ranks", ranks]
    done = root.run(MPIRENDER, *words, "--output", "out", cwd=tmp_path, **WITH_OSMESA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames(name, backend))
    device = " device 0" if backend == "egl" else ""
    who = "rank 0 on" if ranks == 1 else f"ranks 0-{ranks - 1} on"
    assert re.search(rf"{who} \S+: cores? [\d,-]+, \d+ threads?.*, {backend.upper()}{device}, llvmpipe", done.stdout)


def test_the_backend_is_chosen_without_being_asked(root: Root, scenes: SimpleNamespace, tmp_path: Path) -> None:
    """Without a GPU, mpirender uses OSMesa if it is installed, otherwise EGL on the CPU."""
    words = ["render", scenes.state("orbit"), "--size", SIZE, "--frames", "0", "--movie", "none", "--output", "out"]
    with_it = root.run(MPIRENDER, *words, cwd=tmp_path, **WITH_OSMESA)
    assert ", OSMESA, llvmpipe" in with_it.stdout, with_it.stderr
    without = root.run(MPIRENDER, *words, cwd=tmp_path)
    assert ", EGL device 0, llvmpipe" in without.stdout, without.stderr
    assert "1 image here is made with other program or renderer; rendered again" in without.stdout


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--backend", "osmesa"), r"--backend osmesa is not possible; .*libOSMesa is not found; .*libosmesa6"),
        (("--backend", "glx"), r"--backend glx is not possible; .*Xvfb is not installed; .*apt-get install xvfb"),
        (("--gpus", "0"), r"--gpus 0 is not possible; .*device 0 is no GPU; device 0 is llvmpipe.*--allow-software"),
        (("--gpus", "7"), r"--gpus 7 is not possible; .*device 7 is no GPU"),
    ],
)
def test_what_is_not_possible_gets_one_line(
    root: Root, scenes: SimpleNamespace, tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    done = root.run(MPIRENDER, "render", scenes.state("orbit"), "--output", "out", *options, cwd=tmp_path)
    assert done.returncode == 3, done.stdout
    assert re.fullmatch(f"mpirender: error: {line}.*\n", done.stderr), done.stderr
    assert not list((tmp_path / "out").glob("*/*.png"))


def test_a_gpu_of_slurm_that_cannot_be_used_is_reported(root: Root, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ["render", scenes.state("orbit"), "--size", SIZE, "--frames", "0", "--output", "out"]
    done = root.run(MPIRENDER, *words, cwd=tmp_path, SLURM_JOB_GPUS="0")
    assert done.returncode == 3
    assert "Slurm gave this job GPUs, but ParaView cannot render on them" in done.stderr
    allowed = root.run(MPIRENDER, *words, "--allow-software", cwd=tmp_path, SLURM_JOB_GPUS="0")
    assert allowed.returncode == 0, allowed.stderr


def test_a_state_of_another_major_version_is_reported_before_rendering(
    root: Root, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    state = tmp_path / "old.pvsm"
    text = scenes.state("orbit").read_text()
    old = re.sub(r'(<ServerManagerState version=)"[\d.]+"', r'\1"5.4.1"', text)
    assert old != text
    state.write_text(old)
    words = ["render", state, "--size", SIZE, "--frames", "0", "--movie", "none"]
    done = root.run(MPIRENDER, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (plan,), (take,) = (records(tmp_path / "old_renders", kind) for kind in ("plan", "take"))
    told = "the state was saved by ParaView 5.4.1 but is rendered by 6.1.1; check one frame first"
    assert any(told in warning for warning in plan.warnings)
    assert plan.time < take.time
    assert f"warning: {told}" in done.stdout


def test_doctor_shows_what_can_be_rendered_with(root: Root) -> None:
    done = root.run(MPIRENDER, "doctor", **WITH_OSMESA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"ok  pvbatch +/usr/bin/pvbatch, ParaView 6\.1", done.stdout)
    assert re.search(r"ok  egl +device 0, llvmpipe .* \(on the CPU\)", done.stdout)
    assert re.search(r"ok  osmesa +llvmpipe", done.stdout)
    assert re.search(r"absent  glx +.*Xvfb is not installed", done.stdout)
    assert re.search(r"ok  rendering +egl, osmesa", done.stdout)
