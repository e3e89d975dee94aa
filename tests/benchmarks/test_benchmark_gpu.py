"""Measure a GPU; here without one, so on the processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark_runs import MACHINE
from benchmarks import gpu
from processes import need
from repository import REPOSITORY

CARD = {"name": "NVIDIA Some Card", "driver": "570.1", "total": 10_000, "used": 100}


def run(device: str, ranks: int, rate: float, *, peak: int = 0, renderer: str = "NVIDIA Some Card") -> dict[str, Any]:
    return {
        "device": device, "size": "HD", "ranks": ranks, "images": 48, "renderer": renderer, "rate": rate,
        "rendering": 0.1, "writing": 0.02, "memory": peak / ranks, "peak": peak,
    }  # fmt: skip


def recorded() -> dict[str, Any]:
    return {
        "benchmark": "gpu", "machine": MACHINE, "arguments": {"scene": "s", "frames": 48, "sizes": ["HD"]}, "gpu": CARD,
        "doctor": "", "pixels": [{"device": "gpu", "ranks": 1, "images": 48, "different": 0}],
        "runs": [run("gpu", 1, 9.5), run("gpu", 2, 19.0), run("gpu", 4, 19.5, peak=9500), run("cpu", 2, 2.0)],
        "cycles": [{"device": "gpu", "problem": "no Blender"}],
    }  # fmt: skip


def test_the_table_says_how_many_ranks_are_best_and_what_holds_them_back() -> None:
    raw = recorded()
    assert gpu.best_ranks(raw, "HD") == 2, "4 ranks are hardly faster"
    told = gpu.summary(raw, markdown=False)
    assert "NVIDIA Some Card, driver 570.1, 10000 MiB" in told
    assert "1 rank on the gpu: 48 of 48 images have the pixels of SaveAnimation" in told
    assert "at HD the best number of ranks on this GPU is 2" in told
    assert "warning: 4 ranks at HD write 19.5 images a second, of the 40.0 that they render" in told
    assert "warning: 4 ranks at HD used 9500 of the 10000 MiB of the GPU" in told
    assert "Cycles on the gpu: no Blender" in told
    assert told.count("warning:") == 2


def test_other_pixels_and_a_run_that_was_to_use_the_gpu_and_did_not_are_wrong() -> None:
    raw = recorded()
    assert gpu.wrong(raw) == []
    raw["pixels"][0]["different"] = 3
    raw["runs"][0]["renderer"] = "llvmpipe (LLVM 15.0.6, 256 bits)"
    assert gpu.wrong(raw) == [
        "1 rank on the gpu: 3 images differ from SaveAnimation's",
        "1 rank at HD: rendered with llvmpipe (LLVM 15.0.6, 256 bits), not on the GPU",
    ]


@pytest.mark.parametrize(
    ("printed", "code", "found"),
    [
        ("NVIDIA Some Card, 570.1, 10000, 100", 0, CARD),
        ("Some, 570.1, [N/A], [N/A]\nsecond", 0, {"name": "Some", "driver": "570.1", "total": 0, "used": 0}),
        ("No devices were found", 6, None),
    ],
)
def test_the_first_gpu_is_what_nvidia_smi_says(
    printed: str, code: int, found: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{printed}'\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpu.first_gpu() == found


@pytest.mark.slow
@pytest.mark.skipif(gpu.first_gpu() is not None, reason="there is a GPU: run bash tests/gpu.sh")
def test_the_script_runs_to_its_end_on_a_processor(tmp_path: Path) -> None:
    for tool in ("pvbatch", "mpiexec", "Xvfb"):
        need(tool)
    output = tmp_path / "out"
    words = ["bash", "tests/gpu.sh", "--scene", "cone", "--frames", "3", "--size", "160x90", "--output", output]
    environment = {**os.environ, "PYTHON": sys.executable, "MPIRENDER_BLENDER": str(tmp_path / "none")}
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no NVIDIA GPU: only the processor" in done.stdout
    raw = json.loads((output / "raw.json").read_text())
    assert [one["different"] for one in raw["pixels"]] == [0]
    assert [(one["device"], one["images"]) for one in raw["runs"]] == [("cpu", 3)]
    assert "2-rank run" in raw["doctor"]
    assert "problem" in raw["cycles"][0]
