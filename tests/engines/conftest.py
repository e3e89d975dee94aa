"""Shared fixture: a job for a hand-written state."""

from __future__ import annotations

import pytest

from mpirender.job.render_job import RenderJob


@pytest.fixture
def job(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(**options):
        return RenderJob(tmp_path / "scenes" / "scene.pvsm", **options)

    return make
