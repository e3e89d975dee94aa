"""Assign backends and GPUs to ranks."""

from __future__ import annotations

import os

import pytest

from mpirender.engines.base import BackendDevice
from mpirender.job.programs import Programs
from mpirender.ranks import backends
from mpirender.ranks.backends import Kind
from mpirender.system import host, slurm

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"

SLURM = {"SLURM_JOB_GPUS": "0"}


def job(**options: object) -> Programs:
    return Programs(**options)


def gpus(count: int) -> list[BackendDevice]:
    return [BackendDevice("egl", number, "NVIDIA H100") for number in range(count)]


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
    assert (
        " ".join(
            f"{kind.backend}{what[kind.gpu]}" for kind in backends.candidates(job(**options), slurm.has_gpus(environ))
        )
        == kinds
    )


def test_a_device_that_is_no_gpu_is_reported_with_what_there_is() -> None:
    here = [*gpus(1), BackendDevice("egl", 1, CPU)]
    asked = job(gpus="1")
    usable, problem = backends.usable(Kind("egl", gpu=True), here, asked)
    assert not usable
    line = backends.refusal(asked, [(f"n1, egl: {problem}", False)], granted=False)
    assert line.startswith(
        "--gpus 1 is not possible; n1, egl: device 1 is no GPU; device 0 is NVIDIA H100, device 1 is"
    )
    assert line.endswith("--allow-software renders on the CPU instead")


def test_gpus_of_slurm_on_which_nothing_can_be_rendered_are_reported() -> None:
    _, problem = backends.usable(Kind("egl", gpu=True), [BackendDevice("egl", 0, CPU)], job())
    line = backends.refusal(job(), [(f"n1, egl: {problem}", False)], granted=True)
    assert line.startswith("Slurm gave this job GPUs, but ParaView cannot render on them; n1, egl: there is no GPU")


def test_a_backend_that_a_program_lacks_is_reported_only_if_no_other_works() -> None:
    problems = [("n1, egl: built without", True), ("n1, glx: no Xvfb", False)]
    assert backends.refusal(job(), problems, granted=False).endswith("with no backend; n1, glx: no Xvfb")
    assert "built without" in backends.refusal(job(), problems[:1], granted=False)


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
def test_options_that_do_not_go_together_are_reported(run, pattern, options: tuple[str, ...], line: str) -> None:
    done = run("render", pattern(), *options)
    assert done.returncode == 2
    assert line in done.stderr


def test_thread_pools_are_no_larger_than_the_cores_that_a_rank_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    for name in host.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LP_NUM_THREADS", "16")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    host.limit_threads()
    assert [os.environ[name] for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OSPRAY_NUM_THREADS")] == ["3", "2", "3"]
