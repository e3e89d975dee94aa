"""The page about a run never changes how the command ends."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import sample_events
from journal_writer import Scribe
from mpirender.cli import pages
from mpirender.job.render_job import RenderJob
from mpirender.monitor.report import page
from processes import Pattern
from runs import started


@pytest.mark.slow
def test_a_run_that_is_stopped_writes_its_page(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 90, "seconds": 0.1}')) as process:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    text = (tmp_path / "test_renders" / "report.html").read_text()
    assert 'class="state stopped"' in text
    assert "run the same command again to continue" in text
    assert "run the same command again to continue" in errors


def test_a_page_that_cannot_be_made_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scribe = Scribe(tmp_path / "out")
    scribe.rendering()
    scribe.write(0, sample_events.done(0, 0), 5)
    scribe.finish()
    job = RenderJob("/somewhere/orbit.pvsm", scribe.output)
    assert pages.write(job, time.time() + 1000) is None, "the run of the journals began before"
    assert not (scribe.output / "report.html").exists()
    made = pages.write(job, scribe.start)
    assert made == scribe.output / "report.html"

    def fail(*_: object, **__: object) -> str:
        raise ZeroDivisionError("a mistake in the page")

    monkeypatch.setattr(page, "html", fail)
    assert pages.write(job, scribe.start) is None
    assert capsys.readouterr().err == "mpirender: warning: the report could not be written: a mistake in the page\n"
