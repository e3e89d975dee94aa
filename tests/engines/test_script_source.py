"""Check Python scripts before running them: skipped calls, mistakes, unknown frame counts."""

from __future__ import annotations

import json
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import LARGEST
from mpirender.supervisor import preflight
from processes import Run


def test_its_text_tells_what_is_left_out_and_nothing_of_it_runs(run: Run, script, tmp_path: Path) -> None:
    path = script(f"open({str(tmp_path / 'ran')!r}, 'w')")
    seen = json.loads(run("inspect", path, "--pvbatch", "/bin/false", "--json").stdout)
    writes = "SaveScreenshot (line 17), SaveAnimation (line 18), SaveData (line 19), Interact (line 20)"
    told = f"without Render (line 14), {writes}"
    assert told in seen["warnings"][0]
    assert not (tmp_path / "ran").exists()
    assert "known after the script has run" in run("inspect", path).stdout


def test_a_syntax_error_is_reported_with_its_line(run: Run, script) -> None:
    done = run("render", script("scene = = 3"))
    assert done.returncode == 2
    assert "cone.py: line 15: not Python" in done.stderr


def test_where_its_data_are_is_its_own_business(run: Run, script, tmp_path: Path) -> None:
    done = run("render", script(), "--data-dir", tmp_path)
    assert (done.returncode, "--set READER.FileName=PATH" in done.stderr) == (2, True), done.stderr


def test_how_many_images_there_are_is_not_known_before(script) -> None:
    job = RenderJob(script())
    inspection = preflight.inspect(job)
    assert preflight.images_of(job, inspection) == LARGEST
    assert preflight.images_of(RenderJob(script(), frames="0-2", sizes=("HD", "4K")), inspection) == 6
