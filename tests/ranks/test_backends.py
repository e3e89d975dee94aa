"""Which backend and which GPU each rank gets, and what is said where there is none; test_second_root.py renders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpirender.engines import BackendDevice, probe_cache
from mpirender.engines.paraview import backends as paraview_backends
from mpirender.engines.paraview.backend_probe import SAYS
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.monitor import rank_table
from mpirender.ranks import backends
from mpirender.ranks.backends import Kind
from processes import need

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"
SLURM = {"SLURM_JOB_GPUS": "0"}


def job(**options: object) -> Programs:
    return Programs(**options)


def gpus(count: int) -> list[BackendDevice]:
    return [BackendDevice("egl", number, "NVIDIA H100") for number in range(count)]


# --- The device of a rank


@pytest.mark.parametrize(
    ("count", "ranks", "devices"),
    [
        (1, 4, [0, 0, 0, 0]),
        (2, 4, [0, 1, 0, 1]),
        (2, 5, [0, 1, 0, 1, 0]),
        (4, 3, [0, 1, 2]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (8, 10, [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]),
    ],
)
def test_the_ranks_of_a_node_take_its_gpus_in_turn(count: int, ranks: int, devices: list[int]) -> None:
    found = [backends.of_rank(gpus(count), rank, job(), {}).device for rank in range(ranks)]
    assert found == devices


@pytest.mark.parametrize(
    ("environ", "places"),
    [
        ({}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, [2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "3"}, [3]),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_GPUS": "2,3"}, [0, 1]),
        ({"SLURM_JOB_GPUS": "1,2"}, [1, 2]),
        ({"SLURM_STEP_GPUS": "3", "SLURM_JOB_GPUS": "2,3"}, [3]),
        # Fenced off, EGL shows only what is granted, while the numbers count all of the node.
        ({"SLURM_JOB_GPUS": "6,7"}, [0, 1, 2, 3]),
        # Names that EGL does not tell.
        ({"CUDA_VISIBLE_DEVICES": "GPU-8f7a,GPU-11bc"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "MIG-8f7a"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": ""}, [0, 1, 2, 3]),
    ],
)
def test_gpus_that_slurm_and_cuda_hide_are_left_alone(environ: dict[str, str], places: list[int]) -> None:
    assert backends.visible(4, environ) == places


def test_with_a_gpu_bound_to_each_rank_the_rank_takes_that() -> None:
    for rank, number in enumerate("0213"):
        assert backends.of_rank(gpus(4), rank, job(), {"CUDA_VISIBLE_DEVICES": number}).device == int(number)


def test_the_gpus_that_were_named_win_over_those_that_are_visible() -> None:
    usable, problem = backends.fitting(Kind("egl", gpu=True), gpus(4), job(gpus="3,1"))
    assert not problem
    hidden = {"CUDA_VISIBLE_DEVICES": "0"}
    assert [backends.of_rank(usable, rank, job(gpus="3,1"), hidden).device for rank in range(3)] == [3, 1, 3]


def test_on_the_cpu_all_ranks_take_the_same() -> None:
    both = [BackendDevice("egl", 0, CPU), BackendDevice("egl", 1, CPU)]
    assert {backends.of_rank(both, rank, job(), {}).device for rank in range(4)} == {0}


# --- The backend


@pytest.mark.parametrize(
    ("options", "environ", "kinds"),
    [
        ({}, {}, "egl+gpu osmesa egl+cpu glx"),
        ({"backend": "egl"}, {}, "egl+gpu egl+cpu"),
        ({"backend": "osmesa"}, SLURM, "osmesa"),
        ({"gpus": "none"}, SLURM, "osmesa egl+cpu glx"),
        ({"gpus": "0,1"}, {}, "egl+gpu"),
        ({"gpus": "0,1", "allow_software": True}, {}, "egl+gpu osmesa egl+cpu glx"),
        ({}, SLURM, "egl+gpu"),
        ({"allow_software": True}, SLURM, "egl+gpu osmesa egl+cpu glx"),
        ({}, {"SLURM_GPUS_ON_NODE": "0"}, "egl+gpu osmesa egl+cpu glx"),
    ],
)
def test_a_gpu_that_was_asked_for_is_not_silently_replaced(
    options: dict[str, object], environ: dict[str, str], kinds: str
) -> None:
    what = {True: "+gpu", False: "+cpu", None: ""}
    assert " ".join(f"{kind.backend}{what[kind.gpu]}" for kind in backends.candidates(job(**options), environ)) == kinds


def test_a_device_that_is_no_gpu_is_told_with_what_there_is() -> None:
    here = [*gpus(1), BackendDevice("egl", 1, CPU)]
    asked = job(gpus="1")
    usable, problem = backends.fitting(Kind("egl", gpu=True), here, asked)
    assert not usable
    line = backends.refusal(asked, [(f"n1, egl: {problem}", False)], {})
    assert line.startswith(
        "--gpus 1 is not possible; n1, egl: device 1 is no GPU; device 0 is NVIDIA H100, device 1 is"
    )
    assert line.endswith("--allow-software renders on the CPU all the same")


def test_gpus_of_slurm_on_which_nothing_can_be_rendered_are_told() -> None:
    _, problem = backends.fitting(Kind("egl", gpu=True), [BackendDevice("egl", 0, CPU)], job())
    line = backends.refusal(job(), [(f"n1, egl: {problem}", False)], SLURM)
    assert line.startswith("Slurm gave this job GPUs, and ParaView can render on none; n1, egl: there is no GPU")


def test_what_a_program_was_never_made_for_is_told_only_if_nothing_else_is_left() -> None:
    problems = [("n1, egl: built without", True), ("n1, glx: no Xvfb", False)]
    assert backends.refusal(job(), problems, {}).endswith("render with; n1, glx: no Xvfb")
    assert "built without" in backends.refusal(job(), problems[:1], {})


def test_a_rank_that_was_to_render_on_a_gpu_and_does_not_is_an_error() -> None:
    one = BackendDevice("egl", 3, "NVIDIA H100")
    with pytest.raises(ToolMissing, match=r"EGL device 3 on .* was to be NVIDIA H100 but .* on the CPU \(llvmpipe"):
        backends.check(one, CPU, job())
    backends.check(one, CPU, job(allow_software=True))
    backends.check(one, "NVIDIA H100", job())
    backends.check(BackendDevice("osmesa", None, CPU), CPU, job())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--backend", "vulkan"), "--backend 'vulkan'"),
        (("--gpus", "one"), "--gpus 'one' must be numbers of EGL devices, such as 0,1, or none"),
        (("--gpus", "0,0"), "--gpus '0,0' must be numbers"),
        (("--gpus", "0", "--backend", "osmesa"), "--gpus chooses devices of EGL; leave it out, or --backend osmesa"),
        (("--display", ":0"), "--display is an X server to render on with GLX; add --backend glx"),
    ],
)
def test_options_that_do_not_go_together_are_told(run, pattern, options: tuple[str, ...], line: str) -> None:
    done = run("render", pattern(), *options)
    assert done.returncode == 2
    assert line in done.stderr


def test_thread_pools_are_no_larger_than_the_cores_that_a_rank_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    for name in backends.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LP_NUM_THREADS", "16")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    backends.limit_threads()
    assert [os.environ[name] for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OSPRAY_NUM_THREADS")] == ["3", "2", "3"]


# --- What pvbatch answers


def answer(window: str, devices: int = 0, **more: object) -> str:
    lines = [{"window": window, "devices": devices}, *([more] if more else [])]
    return "noise\n" + "".join(f"{SAYS}{json.dumps(line)}\n" for line in lines)


GOOD = {"painted": True, "capabilities": f"OpenGL vendor string:  Mesa\nOpenGL renderer string:  {CPU}\n"}


def test_a_window_that_is_painted_is_an_ability() -> None:
    said = answer("vtkEGLRenderWindow", 2, **GOOD)
    assert paraview_backends.judge(BackendDevice("egl", 1), 0, said, "") == (BackendDevice("egl", 1, CPU), 2)


@pytest.mark.parametrize(
    ("wanted", "code", "said", "complained", "problem"),
    [
        ("osmesa", -11, answer("vtkOSOpenGLRenderWindow"), "WARN| libOSMesa not found. It appears", "libosmesa6"),
        ("egl", 0, answer("vtkXOpenGLRenderWindow"), "", "built for glx alone; take ParaView 6.0 or newer"),
        ("egl", 0, answer("vtkOSOpenGLRenderWindow"), "Failed to create a vtkOpenGLRenderWindow", "no EGL device can"),
        ("glx", -6, answer("vtkXOpenGLRenderWindow"), "bad X server", "pvbatch dies of it (signal 6)"),
        ("egl", 0, answer("vtkEGLRenderWindow", 1, painted=False), "", "it paints nothing"),
        ("egl", 127, "", "pvbatch: error while loading shared libraries: libvtk.so", "does not start (pvbatch: error"),
        ("egl", 1, "", "", "does not start (exit code 1)"),
    ],
)
def test_what_cannot_be_has_a_reason_and_a_cure(
    wanted: str, code: int, said: str, complained: str, problem: str
) -> None:
    found, _ = paraview_backends.judge(BackendDevice(wanted), code, said, complained)
    assert problem in found.problem
    assert "; " in found.problem
    assert found.not_built == ("built for" in problem)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a program that answers as pvbatch does, and counts how often it was asked."""
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
    """VTK opens another kind of window then, which knows nothing of the devices."""
    program = asked[0]
    (tmp_path / "another").write_text(answer("vtkOSOpenGLRenderWindow"))
    broken = f"echo Failed to create >&2; exec cat {tmp_path}/another"
    program.write_text(f'#!/bin/sh\n[ "$VTK_EGL_DEVICE_INDEX" = 0 ] && {{ {broken}; }}\ncat {tmp_path}/answer\n')
    first, second = paraview_backends.backend_devices([str(program)], "egl")
    assert (first.device, "no EGL device can be used" in first.problem) == (0, True)
    assert second == BackendDevice("egl", 1, CPU)


def test_another_binary_or_driver_is_asked_anew(asked: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    program, count = asked
    paraview_backends.backend_devices([str(program)], "egl")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/driver")
    paraview_backends.backend_devices([str(program)], "egl")
    program.write_text(program.read_text() + "# newer\n")
    paraview_backends.backend_devices([str(program)], "egl")
    assert len(count.read_text().split()) == 6


def test_what_was_impossible_is_asked_again_when_it_is_insisted_on(asked: tuple[Path, Path], tmp_path: Path) -> None:
    program, count = asked
    (tmp_path / "answer").write_text("")
    for insisted in (False, False, True):
        assert paraview_backends.backend_devices([str(program)], "osmesa", insisted=insisted)[0].problem
    assert len(count.read_text().splitlines()) == 2


def test_what_was_kept_from_answering_is_not_remembered(asked: tuple[Path, Path]) -> None:
    program, count = asked
    program.write_text(f"#!/bin/sh\necho x >>{count}\nkill -KILL $$\n")
    for _ in range(2):
        assert "killed while it was asked" in paraview_backends.backend_devices([str(program)], "osmesa")[0].problem
    assert len(count.read_text().split()) == 2


def test_a_signal_for_the_rank_does_not_reach_what_it_asks(asked: tuple[Path, Path]) -> None:
    """Slurm sends it to every process of a step."""
    program = asked[0]
    program.write_text(program.read_text().replace("cat ", "kill -TERM $$; kill -USR1 $$\ncat "))
    assert not paraview_backends.backend_devices([str(program)], "egl")[0].problem


def test_where_nothing_can_be_remembered_it_works_all_the_same(
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
    """Debian's, which can only do GLX; each answer comes from a process that may have aborted."""
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
    (glx,) = paraview_backends.backend_devices([pvbatch], "glx", shown_on=":987")
    assert "pvbatch dies of it" in glx.problem
    assert not list(tmp_path.glob("core*"))


# --- The table


def test_ranks_that_share_everything_share_a_line() -> None:
    shared = {"cores": "0-3", "threads": 2, "backend": "egl", "renderer": "NVIDIA H100"}
    entries = {rank: {**shared, "host": f"n{rank // 4}", "device": rank % 2} for rank in range(8)}
    entries[8] = {"host": "n2", "cores": "5", "threads": 1, "backend": "", "device": None, "renderer": "numpy"}
    assert rank_table.table(entries) == [
        "ranks 0,2 on n0: cores 0-3, 2 threads each, EGL device 0, NVIDIA H100",
        "ranks 1,3 on n0: cores 0-3, 2 threads each, EGL device 1, NVIDIA H100",
        "ranks 4,6 on n1: cores 0-3, 2 threads each, EGL device 0, NVIDIA H100",
        "ranks 5,7 on n1: cores 0-3, 2 threads each, EGL device 1, NVIDIA H100",
        "rank 8 on n2: core 5, 1 thread, numpy",
    ]


def test_a_table_of_very_many_lines_is_cut_short() -> None:
    one = {"cores": "0", "threads": 1, "backend": "osmesa", "device": None, "renderer": CPU}
    lines = rank_table.table({rank: {**one, "host": f"n{rank}"} for rank in range(1000)})
    assert len(lines) == rank_table.LINES_SHOWN + 1
    assert lines[-1] == "and 968 lines more"


def test_the_cores_are_those_of_the_process() -> None:
    code = "from mpirender.system import host; print(host.cores())"
    words = [need("taskset"), "-c", "0", sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0\n"
