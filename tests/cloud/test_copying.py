"""Files are copied with the real rsync, as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.cloud.configuration import Farm
from mpirender.cloud.fetch import COPY
from mpirender.cloud.programs import Programs, listed

FARM = Farm(Path("farm.yaml"), "farm", "eu-central-1", "ubuntu", "/shared", "spot", 8, 24, {}, 0.3)
HERE = """\
#!/bin/sh
while [ "$1" != HEAD-NODE ]; do shift; done
shift
exec sh -c "$*"
"""


@pytest.mark.parametrize("count", [1, 40, *range(66, 76), 500])
def test_any_number_of_files_is_copied(tmp_path: Path, count: int) -> None:
    """rsync 3.5 rejects the last file of some lists if it has no end, at 71 names of this length for example."""
    shell = tmp_path / "ssh"
    shell.write_text(HERE)
    shell.chmod(0o755)
    there = tmp_path / "in the cloud" / "320x180"
    there.mkdir(parents=True)
    names = [f"320x180/frame_{number:010d}.png" for number in range(count)]
    for name in names:
        (there.parent / name).write_text(name)
    programs = Programs(FARM, lambda line: None, ssh=str(shell))
    programs.copy([programs.there(f"{there.parent}/")], f"{tmp_path}/here/", *COPY, given=listed(names))
    assert sorted(path.name for path in (tmp_path / "here" / "320x180").iterdir()) == [name[8:] for name in names]
