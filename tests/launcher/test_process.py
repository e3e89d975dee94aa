"""End the ranks of a run on this machine, and no others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from mpirender.launcher.process import sweep

WORDS = ["-m", "mpirender.ranks"]


def rank(job: Path, run: str, *, root: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process with the command line of a rank, which sees another folder at ``job.parent`` if given."""
    program = [sys.executable, "-c", "import time; time.sleep(60)", *WORDS, str(job), run]
    if root is not None:
        mounted = f'mount --bind "{root}" "{job.parent}" && exec "$@"'
        program = ["unshare", "--mount", "sh", "-c", mounted, "sh", *program]
    return subprocess.Popen(program)


def test_only_the_ranks_of_the_run_or_of_the_folder_are_ended(tmp_path: Path) -> None:
    folder, other = tmp_path / "out", tmp_path / "elsewhere"
    for place in (folder, other):
        place.mkdir()
    job = folder / "job.json"
    with rank(job, "old") as old, rank(job, "new") as new, rank(job, "old", root=other) as contained:
        time.sleep(0.5)
        sweep([*WORDS, str(job), "new"])
        assert new.wait(10) == -9
        assert old.poll() is None
        sweep([*WORDS, str(job)], folder)
        assert old.wait(10) == -9
        assert contained.poll() is None, "it sees another folder with the same name"
        contained.kill()
