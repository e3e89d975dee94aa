"""Choose the GPUs that the ranks of a node use, and assign one to each rank."""

from __future__ import annotations

import pytest

from mpirender.engines.base import BackendDevice
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.ranks import backends, gpu_assignment
from mpirender.ranks.backends import Kind
from mpirender.ranks.gpu_assignment import device_of_rank

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"


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
    found = [device_of_rank(gpus(count), rank, Programs(), {}).device for rank in range(ranks)]
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
        # With device constraints, EGL shows only the granted GPUs, but Slurm numbers all GPUs of the node.
        ({"SLURM_JOB_GPUS": "6,7"}, [0, 1, 2, 3]),
        # EGL does not report UUIDs.
        ({"CUDA_VISIBLE_DEVICES": "GPU-8f7a,GPU-11bc"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "MIG-8f7a"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": ""}, [0, 1, 2, 3]),
    ],
)
def test_gpus_that_slurm_and_cuda_hide_are_left_alone(environ: dict[str, str], places: list[int]) -> None:
    assert gpu_assignment.visible(4, environ) == places


def test_with_a_gpu_bound_to_each_rank_the_rank_takes_that() -> None:
    for rank, number in enumerate("0213"):
        assert device_of_rank(gpus(4), rank, Programs(), {"CUDA_VISIBLE_DEVICES": number}).device == int(number)


def test_the_gpus_that_were_named_win_over_those_that_are_visible() -> None:
    usable, problem = backends.usable(Kind("egl", gpu=True), gpus(4), Programs(gpus="3,1"))
    assert not problem
    hidden = {"CUDA_VISIBLE_DEVICES": "0"}
    assert [device_of_rank(usable, rank, Programs(gpus="3,1"), hidden).device for rank in range(3)] == [3, 1, 3]


def test_on_the_cpu_all_ranks_take_the_same() -> None:
    both = [BackendDevice("egl", 0, CPU), BackendDevice("egl", 1, CPU)]
    assert {device_of_rank(both, rank, Programs(), {}).device for rank in range(4)} == {0}


def test_a_rank_that_was_to_render_on_a_gpu_and_does_not_is_an_error() -> None:
    one = BackendDevice("egl", 3, "NVIDIA H100")
    with pytest.raises(ToolMissing, match=r"on the CPU \(llvmpipe.*\) instead of EGL device 3 on .*, NVIDIA H100"):
        gpu_assignment.check(one, CPU, Programs())
    gpu_assignment.check(one, CPU, Programs(allow_software=True))
    gpu_assignment.check(one, "NVIDIA H100", Programs())
    gpu_assignment.check(BackendDevice("osmesa", None, CPU), CPU, Programs())
