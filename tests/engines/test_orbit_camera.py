"""Parse --camera orbit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender import engines
from mpirender.job.render_job import RenderJob
from paraview_states import state
from processes import Run


@pytest.mark.parametrize("text", ["around", "orbit:", "orbit:0", "orbit:-3", "orbit:1.5", "orbits"])
@pytest.mark.parametrize("scene", ["cone.py", "orbit.pvsm"])
def test_an_invalid_camera_is_reported(text: str, scene: str) -> None:
    content = b"" if scene == "cone.py" else state()
    seen = engines.for_scene(Path(scene)).inspect(content, RenderJob(scene, camera=text))
    assert f"--camera {text!r} is not valid; give orbit, or orbit:N for a turn of N frames" in seen.mistakes


@pytest.mark.parametrize("count", ["999999999", "9" * 5000])
def test_a_turn_in_a_billion_frames_is_refused(count: str) -> None:
    job = RenderJob("orbit.pvsm", camera=f"orbit:{count}")
    seen = engines.for_scene(job.scene).inspect(state(), job)
    assert f"--camera {f'orbit:{count}'[:40]}: a turn has at most 1000000 frames" in seen.mistakes


def test_a_pattern_has_no_camera(run: Run, pattern) -> None:
    done = run("render", pattern(), "--camera", "orbit")
    assert (done.returncode, "--camera does not apply to test patterns" in done.stderr) == (2, True)
