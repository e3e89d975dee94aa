"""Assign backends and GPUs to ranks."""

from __future__ import annotations

import os

import pytest

from mpirender.engines import BackendDevice
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.ranks import backends
from mpirender.ranks.backends import Kind

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"

SLURM = {"SLURM_JOB_GPUS": "0"}


def job(**options: object) -> Programs:
    return Programs(**options)


def gpus(count: int) -> list[BackendDevice]:
    return [BackendDevice("egl", number, "NVIDIA H100") for number in range(count)]


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
        (
            ("--gpus", "0", "--backend", "osmesa"),
            "--gpus selects EGL devices, which --backend osmesa does not use; leave out one of them",
        ),
        (("--display", ":0"), "--display is the X server of GLX; add --backend glx"),
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
