"""Show which ranks share a host, a backend and its cores."""

from __future__ import annotations

import subprocess
import sys

from mpirender.monitor import rank_table
from processes import need
from sample_events import opened

CPU = "llvmpipe (LLVM 15.0.6, 256 bits)"


def test_ranks_that_share_everything_share_a_line() -> None:
    shared = {"cores": "0-3", "threads": 2, "backend": "egl", "renderer": "NVIDIA H100"}
    entries = {rank: opened(rank, host=f"n{rank // 4}", device=rank % 2, **shared) for rank in range(8)}
    entries[8] = opened(8, host="n2", cores="5", renderer="numpy")
    assert rank_table.table(entries) == [
        "ranks 0,2 on n0: cores 0-3, 2 threads each, EGL device 0, NVIDIA H100",
        "ranks 1,3 on n0: cores 0-3, 2 threads each, EGL device 1, NVIDIA H100",
        "ranks 4,6 on n1: cores 0-3, 2 threads each, EGL device 0, NVIDIA H100",
        "ranks 5,7 on n1: cores 0-3, 2 threads each, EGL device 1, NVIDIA H100",
        "rank 8 on n2: core 5, 1 thread, numpy",
    ]


def test_a_table_of_very_many_lines_is_cut_short() -> None:
    entries = {rank: opened(rank, host=f"n{rank}", backend="osmesa", renderer=CPU) for rank in range(1000)}
    lines = rank_table.table(entries)
    assert len(lines) == rank_table.LINES_SHOWN + 1
    assert lines[-1] == "and 968 lines more"


def test_the_cores_are_those_of_the_process() -> None:
    code = "from mpirender.system import host; print(host.cores())"
    words = [need("taskset"), "-c", "0", sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0\n"
