"""Images are written while the next ones are rendered into memory that is used again."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from images import pixels
from mpirender.engines.base import Rendered, Scene
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.ranks import image_writer
from mpirender.ranks.frame_renderer import FrameRenderer
from mpirender.ranks.renderer_process import SLOTS
from mpirender.run_folder.events import Done
from mpirender.run_folder.journal import Journal

SIZE = "20x10"


class Ring(Scene):
    """A scene that renders into one of a few pictures after the other, as the renderer does in shared memory."""

    description = "ring"

    def __init__(self, failing: set[int]) -> None:
        self.failing, self.rendered = failing, 0
        self.pictures = [np.zeros((10, 20, 3), np.uint8) for _ in range(SLOTS)]

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        self.rendered += 1
        picture = self.pictures[self.rendered % SLOTS]
        picture[:] = frame
        return Rendered([f"frame {frame} is wrong"] if frame in self.failing else [], picture)


@pytest.mark.parametrize("failing", [set(), {1}, {1, 2}, {0, 3, 4}])
def test_a_picture_is_not_overwritten_before_it_is_written_also_if_frames_between_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: set[int]
) -> None:
    scene = tmp_path / "test.pattern"
    scene.write_text("{}")
    job = RenderJob(scene, tmp_path / "out", (SIZE,))
    job.folder.mkdir(parents=True)
    write = image_writer.png.write

    def slowly(*arguments: object) -> None:
        time.sleep(0.05)
        write(*arguments)

    monkeypatch.setattr(image_writer.png, "write", slowly)
    images = [Image(frame, SIZE) for frame in range(8)]
    with Journal(job.folder, 0, "here") as log:
        outcomes = FrameRenderer(log, Ring(failing), job, "same").render(images, lambda: True)
    assert {image.frame for image, outcome in outcomes.items() if not isinstance(outcome, Done)} == failing
    for image in images:
        if image.frame not in failing:
            assert (pixels(job.place(image)) == image.frame).all()
