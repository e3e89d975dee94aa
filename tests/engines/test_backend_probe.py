"""Probe the backends of pvbatch once and cache the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice
from mpirender.engines.paraview import backends as paraview_backends
from mpirender.engines.paraview.backend_probe import PREFIX
from processes import need

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"


def answer(window: str, devices: int = 0, **more: object) -> str:
    lines = [{"window": window, "devices": devices}, *([more] if more else [])]
    return "noise\n" + "".join(f"{PREFIX}{json.dumps(line)}\n" for line in lines)


GOOD = {"painted": True, "capabilities": f"OpenGL vendor string:  Mesa\nOpenGL renderer string:  {CPU}\n"}


def test_a_window_that_is_painted_can_be_used() -> None:
    said = answer("vtkEGLRenderWindow", 2, **GOOD)
    assert paraview_backends.judge(BackendDevice("egl", 1), 0, said, "") == (BackendDevice("egl", 1, CPU), 2)


@pytest.mark.parametrize(
    ("wanted", "code", "said", "complained", "problem"),
    [
        ("osmesa", -11, answer("vtkOSOpenGLRenderWindow"), "WARN| libOSMesa not found. It appears", "libosmesa6"),
        ("egl", 0, answer("vtkXOpenGLRenderWindow"), "", "built for glx only; use ParaView 6.0 or newer"),
        ("egl", 0, answer("vtkOSOpenGLRenderWindow"), "Failed to create a vtkOpenGLRenderWindow", "no EGL device can"),
        ("glx", -6, answer("vtkXOpenGLRenderWindow"), "bad X server", "pvbatch crashed (SIGABRT)"),
        ("egl", 0, answer("vtkEGLRenderWindow", 1, painted=False), "", "the rendered image is empty"),
        ("egl", 127, "", "pvbatch: error while loading shared libraries: libvtk.so", "does not start (pvbatch: error"),
        ("egl", 1, "", "", "does not start (exit code 1)"),
    ],
)
def test_what_cannot_be_has_a_reason_and_a_fix(
    wanted: str, code: int, said: str, complained: str, problem: str
) -> None:
    found, _ = paraview_backends.judge(BackendDevice(wanted), code, said, complained)
    assert problem in found.problem
    assert "; " in found.problem
    assert found.not_built == ("built for" in problem)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a fake pvbatch and the file in which it records its calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program, count = tmp_path / "pvbatch", tmp_path / "count"
    (tmp_path / "answer").write_text(answer("vtkEGLRenderWindow", 2, **GOOD))
    program.write_text(f"#!/bin/sh\necho $VTK_EGL_DEVICE_INDEX >>{count}\ncat {tmp_path}/answer\n")
    program.chmod(0o755)
    return program, count


def test_every_egl_device_is_asked_for_once_and_remembered(asked: tuple[Path, Path]) -> None:
    program, count = asked
    first = paraview_backends.backend_devices([str(program)], "egl")
    assert [(one.device, one.renderer) for one in first] == [(0, CPU), (1, CPU)]
    assert paraview_backends.backend_devices([str(program)], "egl") == first
    assert count.read_text().split() == ["0", "1"]
    paraview_backends.backend_devices([str(program)], "egl", afresh=True)
    assert count.read_text().split() == ["0", "1"] * 2


def test_a_first_device_that_is_broken_hides_no_other(asked: tuple[Path, Path], tmp_path: Path) -> None:
    """VTK then falls back to another window class, which does not report the EGL devices."""
    program = asked[0]
    (tmp_path / "another").write_text(answer("vtkOSOpenGLRenderWindow"))
    broken = f"echo Failed to create >&2; exec cat {tmp_path}/another"
    program.write_text(f'#!/bin/sh\n[ "$VTK_EGL_DEVICE_INDEX" = 0 ] && {{ {broken}; }}\ncat {tmp_path}/answer\n')
    first, second = paraview_backends.backend_devices([str(program)], "egl")
    assert (first.device, "no EGL device can be used" in first.problem) == (0, True)
    assert second == BackendDevice("egl", 1, CPU)


def test_another_binary_or_driver_is_probed_again(asked: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    program, count = asked
    paraview_backends.backend_devices([str(program)], "egl")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/driver")
    paraview_backends.backend_devices([str(program)], "egl")
    program.write_text(program.read_text() + "# newer\n")
    paraview_backends.backend_devices([str(program)], "egl")
    assert len(count.read_text().split()) == 6


def test_a_backend_that_failed_is_probed_again_if_the_user_asks_for_it(
    asked: tuple[Path, Path], tmp_path: Path
) -> None:
    program, count = asked
    (tmp_path / "answer").write_text("")
    for insisted in (False, False, True):
        assert paraview_backends.backend_devices([str(program)], "osmesa", insisted=insisted)[0].problem
    assert len(count.read_text().splitlines()) == 2


def test_what_was_kept_from_answering_is_not_remembered(asked: tuple[Path, Path]) -> None:
    program, count = asked
    program.write_text(f"#!/bin/sh\necho x >>{count}\nkill -KILL $$\n")
    for _ in range(2):
        assert "killed during the probe" in paraview_backends.backend_devices([str(program)], "osmesa")[0].problem
    assert len(count.read_text().split()) == 2


def test_a_signal_for_the_rank_does_not_reach_what_it_asks(asked: tuple[Path, Path]) -> None:
    """Slurm signals every process of a step."""
    program = asked[0]
    program.write_text(program.read_text().replace("cat ", "kill -TERM $$; kill -USR1 $$\ncat "))
    assert not paraview_backends.backend_devices([str(program)], "egl")[0].problem


def test_without_a_cache_folder_the_probe_still_works(
    asked: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert len(paraview_backends.backend_devices([str(asked[0])], "egl")) == 2


def test_an_answer_that_was_cut_short_is_asked_for_again(asked: tuple[Path, Path]) -> None:
    place = probe_cache.path_of([str(asked[0])], "egl")
    place.parent.mkdir(parents=True)
    place.write_text('[{"backend": "eg')
    assert len(paraview_backends.backend_devices([str(asked[0])], "egl")) == 2


@pytest.mark.slow
def test_a_real_pvbatch_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's pvbatch supports only GLX. Each backend is probed in its own process, which may abort."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pvbatch = need("pvbatch")
    (glx,) = paraview_backends.backend_devices([pvbatch], "glx")
    assert (glx.problem, glx.software) == ("", True)
    (egl,) = paraview_backends.backend_devices([pvbatch], "egl")
    assert egl.not_built
    monkeypatch.setenv("PATH", str(tmp_path))
    (glx,) = paraview_backends.backend_devices([pvbatch], "glx")
    assert "Xvfb is not installed" in glx.problem
    (glx,) = paraview_backends.backend_devices([pvbatch], "glx", display=":987")
    assert "pvbatch crashed" in glx.problem
    assert not list(tmp_path.glob("core*"))
