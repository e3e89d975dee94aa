"""Read the properties of a job from Slurm's environment variables."""

from __future__ import annotations

import pytest

from mpirender.system import slurm


@pytest.mark.parametrize(
    ("environ", "granted"),
    [
        ({}, False),
        ({"SLURM_JOB_GPUS": "0"}, True),
        ({"SLURM_STEP_GPUS": "2,3"}, True),
        ({"SLURM_GPUS_ON_NODE": "2"}, True),
        ({"SLURM_GPUS_ON_NODE": "0", "SLURM_JOB_GPUS": ""}, False),
    ],
)
def test_a_job_has_gpus_if_slurm_gave_it_some(environ: dict[str, str], granted: bool) -> None:
    assert slurm.has_gpus(environ) is granted


def test_the_memory_limit_is_in_bytes() -> None:
    assert slurm.memory_limit({"SLURM_MEM_PER_NODE": "2048"}) == 2 * 1024**3
    assert slurm.memory_limit({}) is None


def test_outside_of_slurm_there_is_no_job() -> None:
    assert (slurm.job_number({}), slurm.tasks_of_step({})) == ("", 1)
    assert (slurm.job_number({"SLURM_JOB_ID": "17"}), slurm.tasks_of_step({"SLURM_STEP_NUM_TASKS": "4"})) == ("17", 4)
