"""A run of ParaView says in its files where they come from, and mails its end."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE
from mailbox_server import receiving
from mpirender.movie import movie_metadata
from mpirender.ranks import image_metadata
from processes import Run


@pytest.mark.slow
def test_files_of_paraview_say_where_they_come_from_and_the_end_is_mailed(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--size", SIZE, "--image-format", "tiff", "--ranks", 2, "--on-end", "cat > end.json", "--mail", "me")
    with receiving() as mailbox:
        environment = {**os.environ, "MPIRENDER_SMTP": f"localhost:{mailbox.port}"}
        done = run("render", scenes.state("series"), *words, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    output = tmp_path / "series_renders"
    frame = output / SIZE / "frame_000004.tiff"
    found = image_metadata.read(frame.read_bytes())
    assert re.fullmatch(r"ParaView \d+\.\d+\.\d+\S*", found.program)
    assert (found.scene, found.frames, found.time) == ("series.pvsm", "4", 4.0)
    movie = movie_metadata.read(output / f"series_{SIZE}.mp4")
    assert (movie.program, movie.frames, movie.fingerprint) == (found.program, "0-5", found.fingerprint)
    told = run("whence", frame).stdout
    assert "matches  the newest run here" in told
    (again,) = re.findall(r"again +(mpirender .*)", told)
    assert (
        run(*shlex.split(again)[1:], "--output", tmp_path / "again", cwd=scenes.state("series").parent).returncode == 0
    )
    made = tmp_path / "again" / SIZE / frame.name
    assert made.read_bytes() == frame.read_bytes()
    (mail,) = mailbox.mails
    assert mail["Subject"].startswith("series.pvsm is finished: 6 images in ")
    assert [part.get_content_type() for part in mail.walk()].count("image/jpeg") == 1
    assert json.loads((tmp_path / "end.json").read_text())["movies"] == [str(output / f"series_{SIZE}.mp4")]
