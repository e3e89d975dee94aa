"""Render many ParaView states with a pool."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

import errands
from images import pixels
from mpirender.pool import run_jobs
from pools import either_way, slow
from processes import Run


@slow
@either_way
def test_many_states_are_rendered_by_ranks_as_one_process_does_it(
    launcher: str, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    jobs = [
        (str(scenes.state(name)), angle, str(tmp_path / f"{name}{angle}.png"))
        for name in ("orbit", "cut", "series")
        for angle in (20.0, 40.0)
    ]
    crash = ("crash", 0.0, "")
    options = {"ranks": 2, "launcher": launcher, "logs": tmp_path / "logs", "max_restarts": 0}
    crashed, *outcomes = run_jobs.run(errands.picture, [crash, *jobs], **options)
    assert crashed.error == "set aside after 2 deaths; the last: the renderer died (signal SIGSEGV)"
    alone = tmp_path / "alone.py"
    (tmp_path / "serial").mkdir()
    serial = [(state, angle, str(tmp_path / "serial" / Path(picture).name)) for state, angle, picture in jobs]
    folder = str(Path(errands.__file__).parent)
    alone.write_text(
        f"import sys\nsys.path.append({folder!r})\nimport errands\n"
        f"open({str(tmp_path / 'said')!r}, 'w').write(repr([errands.picture(job) for job in {serial!r}]))\n"
    )
    pvbatch(alone)
    assert repr([outcome.get() for outcome in outcomes]) == (tmp_path / "said").read_text()
    for (*_, ours), (*_, theirs) in zip(jobs, serial):
        assert np.array_equal(pixels(Path(ours)), pixels(Path(theirs))), ours
