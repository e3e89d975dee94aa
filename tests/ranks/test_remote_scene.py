"""A scene that is open in the renderer process: pictures in shared memory, and renderers that are replaced."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mpirender.engines.pattern import draw
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks.remote_scene import RemoteScene, SceneRenderer
from mpirender.ranks.renderer import RendererLost
from mpirender.ranks.renderer_process import SLOTS
from mpirender.run_folder import events
from mpirender.run_folder.journal import Journal
from mpirender.system import host
from processes import Pattern
from records import records

NODE = SimpleNamespace(rank=0, size=1)  # a communicator of one rank
OpenScene = Callable[..., RemoteScene]


@pytest.fixture
def open_scene(pattern: Pattern, tmp_path: Path) -> Iterator[OpenScene]:
    """Open a pattern with these settings in a renderer, for a job with these options."""
    renderer, stack = SceneRenderer(), ExitStack()

    def open_scene(settings: dict[str, object], **options: object) -> RemoteScene:
        job = RenderJob(pattern(json.dumps(settings)), tmp_path / "out", sizes=("80x50", "40x30"), **options)
        job.folder.mkdir(parents=True)
        log = stack.enter_context(Journal(job.folder, 0, "host"))
        renderer.take_job(job, log, job.folder / "rank-0000.log")
        content, _ = renderer.prepare()
        return renderer.open_scene(content, NODE)

    with stack:
        yield open_scene
        renderer.close()


def rendered(scene: RemoteScene, frame: int, tmp_path: Path, size: int = 0) -> np.ndarray:
    output = RenderJob(tmp_path / "test.pattern", sizes=("80x50", "40x30")).outputs[size]
    assert scene.ready() == ""
    picture = scene.render(frame, output, tmp_path / "x.png").picture
    assert picture is not None
    return picture


def expected(frame: int, count: int, width: int = 80, height: int = 50) -> np.ndarray:
    return draw(frame, count, SimpleNamespace(width=width, height=height))


def test_pictures_of_all_sizes_arrive_unchanged_and_stay_until_others_need_their_place(
    open_scene: OpenScene, tmp_path: Path
) -> None:
    scene = open_scene({"frames": 9})
    assert (list(scene.frames), scene.description) == (list(range(9)), "test pattern, drawn by numpy")
    for first in range(0, 9, SLOTS):
        sizes = [(0, 80, 50), (1, 40, 30), (0, 80, 50)]
        pictures = [rendered(scene, first + n, tmp_path, size) for n, (size, _, _) in enumerate(sizes)]
        for n, (_, width, height) in enumerate(sizes):
            assert np.array_equal(pictures[n], expected(first + n, 9, width, height))


def test_an_image_that_the_engine_writes_itself_has_no_pixels(open_scene: OpenScene, tmp_path: Path) -> None:
    scene = open_scene({"frames": 2}, image_format="jpg")
    output = RenderJob(tmp_path / "test.pattern", sizes=("80x50",)).outputs[0]
    assert scene.render(0, output, tmp_path / "x.jpg").picture is None
    assert (tmp_path / "x.jpg").stat().st_size > 0


def test_a_scene_survives_the_death_of_its_renderer(open_scene: OpenScene, tmp_path: Path) -> None:
    scene = open_scene({"frames": 4, "kill": [2], "how": "SIGSEGV"})
    for frame in (0, 1):
        assert np.array_equal(rendered(scene, frame, tmp_path), expected(frame, 4))
    with pytest.raises(RendererLost, match="signal SIGSEGV"):
        rendered(scene, 2, tmp_path)
    assert np.array_equal(rendered(scene, 3, tmp_path), expected(3, 4))
    kinds = [(type(one).__name__, getattr(one, "phase", "")) for one in records(tmp_path / "out")]
    assert kinds == [("Reload", ""), ("Phase", "reload"), ("Phase", "render")]
    assert records(tmp_path / "out", "reload")[0].image == Image(2, "80x50")


def test_a_renderer_killed_between_two_images_costs_no_more(open_scene: OpenScene, tmp_path: Path) -> None:
    scene = open_scene({"frames": 4})
    rendered(scene, 0, tmp_path)
    os.kill(scene._renderer.renderer.pid, signal.SIGKILL)
    with pytest.raises(RendererLost) as caught:
        rendered(scene, 1, tmp_path)
    assert caught.value.blameless
    assert np.array_equal(rendered(scene, 1, tmp_path), expected(1, 4))


def test_a_renderer_that_leaks_is_replaced_before_the_memory_runs_out(
    open_scene: OpenScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "memory", lambda: 200 << 20)
    scene = open_scene({"frames": 12, "grow": 40})
    for frame in range(12):
        assert np.array_equal(rendered(scene, frame, tmp_path), expected(frame, 12))
    renewed = records(tmp_path / "out", "reload")
    assert 1 <= len(renewed) <= 4
    assert all(one.planned and one.reason.startswith("renewed, since it held ") for one in renewed)


def test_a_scene_that_needs_more_memory_than_there_is_is_not_loaded_again_and_again(
    open_scene: OpenScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "memory", lambda: 1 << 20)
    scene = open_scene({"frames": 6})
    for frame in range(6):
        rendered(scene, frame, tmp_path)
    assert records(tmp_path / "out", "reload") == []


def test_a_renderer_that_renders_with_something_else_is_not_used(open_scene: OpenScene, tmp_path: Path) -> None:
    """The journal says what rendered each frame; a mixture may show."""
    scene = open_scene({"frames": 6}, renew_renderer=1)
    rendered(scene, 0, tmp_path)
    scene.description = "llvmpipe"
    problem = "it renders with test pattern, drawn by numpy since its renderer was replaced, not with llvmpipe"
    assert scene.ready() == problem
    assert scene.ready() == problem
    assert len(records(tmp_path / "out", "reload")) == 1, "no further one is started"
    assert isinstance(records(tmp_path / "out")[-1], events.Phase)
