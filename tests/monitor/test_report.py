"""The page about a run: what it shows, that it needs nothing else, and that it stays small."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import sample_events
from journal_writer import Scribe
from mpirender.errors import UsageError
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.monitor.report import writing
from mpirender.monitor.report.pictures import Album
from mpirender.monitor.report.writing import PageFollower
from mpirender.monitor.status.follow import Follower
from mpirender.run_folder import events
from mpirender.run_folder.events import SUPERVISOR

FETCHING = ("src", "href", "srcset", "poster", "data", "action", "background", "xlink:href")


class Links(HTMLParser):
    """Collects what a page may fetch, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)
        styles = re.findall(r"url\(([^)]*)\)|@import", page)
        assert not styles, "a style fetches something"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in FETCHING]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(scribe: Scribe, folder: Path | None = None) -> str:
    return writing.of_folder(Follower(scribe.output), Album(), folder or scribe.output)


def job(scribe: Scribe, **changes: object) -> RenderJob:
    """Write the job of a run with other options."""
    made = dataclasses.replace(RenderJob("/somewhere/orbit.pvsm", scribe.output, sizes=("HD=64x36",)), **changes)
    (scribe.folder / "job.json").write_text(made.to_json())
    return made


def rendered(scribe: Scribe, frames: int = 4, **fields: object) -> None:
    """Record a complete run of two ranks."""
    scribe.rendering(total=frames)
    for frame in range(frames):
        scribe.take(frame % 2, frame, 4 + frame)
        scribe.done(frame % 2, frame, 6 + frame, **fields)
    scribe.phase("end", at=20)
    scribe.finish(at=21)


def draw(made: RenderJob, frames: int = 4) -> None:
    """Write the frames of a run."""
    for output in made.outputs:
        for frame in range(frames):
            place = made.image(output, frame)
            place.parent.mkdir(parents=True, exist_ok=True)
            iio.imwrite(place, np.full((36, 64, 3), 40 * frame, np.uint8))


def test_a_page_fetches_nothing_but_the_movies_beside_it(scribe: Scribe) -> None:
    made = job(scribe)
    draw(made)
    rendered(scribe)
    made.movie_path(made.outputs[0]).write_bytes(b"movie")
    found = Links(page(scribe))
    others = {link for link in found.found if not link.startswith(("data:image/webp;base64,", "#"))}
    assert others == {"./orbit_HD.mp4"}
    assert not found.tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert sum(link.startswith("data:") for link in found.found) == 8, "four frames, on the sheet and by their seconds"
    assert "./../out/orbit_HD.mp4" in Links(page(scribe, scribe.output.parent / "else where")).found


def test_every_failed_frame_is_named_with_its_reason_and_the_command_that_tries_it(scribe: Scribe) -> None:
    job(scribe)
    scribe.rendering(total=300)
    for frame in range(300):
        scribe.take(0, frame, 4)
        scribe.fail(0, frame, 5, reason=f"broken {frame}")
    scribe.finish(4, "300 frames are missing")
    text = Links(page(scribe)).text
    named = re.findall(r"HD, frames? ([\d,-]+)", text)
    frames = {int(one) for group in named for one in group.split(",")}
    assert frames == set(range(300))
    assert "HD, frame 7broken 7mpirender render /somewhere/orbit.pvsm" in text
    assert "--frames 7 --movie none --ranks 1" in text
    assert "300 frames are missing" in text


def test_names_and_messages_cannot_change_the_page(scribe: Scribe) -> None:
    odd = "a<b>&\"'\n</style><script>alert(1)</script>\x1b[31m"
    made = job(scribe, scene=Path(f"/somewhere/{odd.replace('/', '|')}.pvsm"), measure=("A<i>.p",))
    draw(made)
    scribe.launch()
    scribe.up()
    scribe.plan(4)
    scribe.phase("render")
    for frame in range(4):
        scribe.take(0, frame, 4)
        scribe.done(0, frame, 5, measured={"A<i>.p min": 1.0 * frame}, complaints=(odd,))
    scribe.write(SUPERVISOR, events.Death(1, odd), 7)
    scribe.finish(4, odd)
    place = made.movie_path(made.outputs[0])
    place.write_bytes(b"movie")
    text = page(scribe)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "A&lt;i&gt;.p min" in text
    assert text.count("</style>") == 1
    links = [link for link in Links(text).found if link.startswith("./")]
    assert links
    assert all(re.fullmatch(r"\./[\w.%-]+", link) for link in links)


def test_it_shows_deaths_restarts_and_earlier_runs_of_the_same_movie(scribe: Scribe) -> None:
    scribe.rendering(total=4)
    scribe.take(0, 0, 4)
    scribe.done(0, 0, 6)
    scribe.take(1, 1, 4)
    scribe.die("rank 1 on n0 died (signal SIGKILL)", 8)
    scribe.launch(number=2, at=9)
    scribe.up(at=10)
    scribe.finish(75, "stopped on SIGTERM", at=12)
    first = page(scribe)
    assert "rank 1 on n0 died (signal SIGKILL)" in html.unescape(first)
    assert 'class="mark death"' in first
    assert 'class="mark restart"' in first
    again = Scribe(scribe.output, "r2", scribe.start + 1000)
    again.rendering(total=4, left=3)
    for frame in (1, 2, 3):
        again.take(0, frame, 3 + frame)
        again.done(0, frame, 4 + frame)
    again.finish()
    text = Links(page(scribe)).text
    assert "2 runs; the time between them (16 min 28 s) is left out" in text
    assert "median of 4 images" in text


def test_without_the_frames_it_has_no_pictures_and_says_so(scribe: Scribe) -> None:
    rendered(scribe, measured={"Contour1.p max": 2.5})
    found = Links(page(scribe))
    assert "The frames are not where the run wrote them" in found.text
    assert not [link for link in found.found if link.startswith("data:")]
    assert "Contour1.p max" in found.text


def test_a_study_shows_a_picture_of_each_combination(scribe: Scribe) -> None:
    made = job(scribe, vary=("A.X=1,2,3", "B.Y=4,5"))
    draw(made, 1)
    names = [output.name for output in made.outputs]
    scribe.rendering(total=6, frames="0", outputs=tuple(names), left_of=dict.fromkeys(names, 1))
    for number, output in enumerate(made.outputs):
        scribe.write(0, sample_events.take(0, 0, output=output.name), 4 + number)
        done = sample_events.done(0, 0, output=output.name, measured={"A.p": float(number)})
        scribe.write(0, done, 5 + number)
    scribe.finish()
    found = Links(page(scribe))
    assert all(text in found.text for text in ("X 1", "X 3", "Y 4", "Y 5"))
    assert sum(link.startswith("data:") for link in found.found) == 6 + 6
    assert "B.Y" in found.text, "the axis of the measured numbers"


def test_a_hundred_thousand_frames_stay_small(scribe: Scribe) -> None:
    """Their events are applied without journals, since writing and reading those takes most of the time."""
    frames, ranks = 100_000, 250
    scribe.rendering(ranks, frames)
    follower = Follower(scribe.output)
    follower.look()
    for rank in range(ranks):
        for number, frame in enumerate(range(rank, frames, ranks)):
            at, host = scribe.start + 4 + 2 * number, f"n{rank // 5}"
            follower.history.apply(sample_events.at(events.Take(Image(frame, "HD")), rank, at, host))
            ended: events.Event = sample_events.done(rank, frame, at + 2, measured={"A.p": frame % 97.0})
            if frame % 2 and frame < 20_000:
                ended = sample_events.fail(rank, frame, at + 2, reason=f"reason {frame}")
            follower.history.apply(ended)
    text = writing.of_folder(follower, Album(), scribe.output)
    assert len(text) < 1_000_000, "pictures may take 4 MB more"
    assert "90\u202f000 of 100\u202f000" in text


def test_status_keeps_the_page_of_a_run_in_progress_current(
    alive: Scribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "page.html"
    follower = PageFollower(alive.output, place)
    alive.rendering()
    follower.look()
    first = place.read_text()
    assert '<meta http-equiv="refresh" content="20">' in first
    alive.done(0, 0, 5)
    follower.look()
    assert place.read_text() == first, "not so soon"
    monkeypatch.setattr(writing, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(writing, "SHARE", 0)
    follower = PageFollower(alive.output, place)
    follower.look()
    assert "1 of 10" in place.read_text()
    alive.finish()
    follower.look()
    assert "refresh" not in place.read_text()


def test_a_page_replaces_no_file_that_is_none(scribe: Scribe, tmp_path: Path) -> None:
    rendered(scribe)
    place = tmp_path / "mine.html"
    place.write_text("<html>mine</html>")
    for taken in (place, tmp_path, scribe.output / "report.html"):
        with pytest.raises(UsageError, match="choose another name"):
            PageFollower(scribe.output, taken)
    assert place.read_text() == "<html>mine</html>"
    (scribe.output / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="mpirender did not make this file"):
        writing.again(scribe.output)
    assert (scribe.output / "report.html").read_text() == "mine"


def test_the_page_of_an_ended_run_is_made_again(scribe: Scribe) -> None:
    rendered(scribe)
    place = writing.again(scribe.output)
    assert writing.again(scribe.output) == place == scribe.output / "report.html"
    moved = scribe.output.rename(scribe.output.with_name("moved"))
    assert "orbit.pvsm" in writing.again(moved).read_text()
