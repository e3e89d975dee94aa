"""Scenes and jobs that are too large are refused at once, before they take memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.ranks import resume
from mpirender.supervisor import preflight
from paraview_states import animation, state

GB = 1024**3
STEPS = tuple(range(2000))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("many.pattern", b'{"frames": 1000000000}'),
        ("many.pvsm", state(scene=animation(count=10**9))),
        ("many.pvsm", state(scene=animation(count="1e300"))),
        ("many.pvsm", state(scene=animation(mode=2, steps=STEPS, end=2000, extra=""))),
    ],
)
def test_a_scene_of_a_billion_frames_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    content = content.replace(
        b'name="Cues"', b'name="FramesPerTimestep"><Element value="1000000"/></Property><Property name="Cues"'
    )
    (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "mpirender", "inspect", name], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=60, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * GB, 2 * GB)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")
    assert f"{name}: more than 1000000 frames; give the scene fewer" in done.stdout


def test_a_file_too_large_for_a_state_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "x.pvsm").open("wb") as file:
        file.truncate(5 * GB)
    with pytest.raises(UsageError, match=r"x\.pvsm: 5369 MB are too much for a scene; is it a file of data\?"):
        preflight.inspect(RenderJob(tmp_path / "x.pvsm"))


def test_more_images_than_a_run_can_have_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pattern").write_text('{"frames": 1000000}')
    job = RenderJob(tmp_path / "x.pattern", sizes=("8x8", "16x16", "32x32"))
    with pytest.raises(UsageError, match="3000000 images are more than 2000000; render them in several runs"):
        preflight.check(job, tools=False)


def test_a_script_with_too_many_frames_is_refused_when_it_has_run() -> None:
    scene = SimpleNamespace(frames=range(1_000_001), open_ended=False)
    with pytest.raises(UsageError, match=r"x\.py: more than 1000000 frames"):
        resume.requested(RenderJob("x.py"), scene)
