"""Copy a scene, and every file it needs, to the cluster: to the paths they have here, in a folder of the job."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender import engines
from mpirender.cloud import cluster
from mpirender.cloud.head_node import FILES, OUTPUT
from mpirender.cloud.programs import Programs, listed
from mpirender.engines.base import Inspection
from mpirender.errors import UsageError
from mpirender.job import paths
from mpirender.job.render_job import RenderJob

COPY = ("-rtL", "--partial", "--chmod=Du=rwx,Fu=rw")  # folders, times, what links point to; readable by the jobs


@dataclass(frozen=True)
class Place:
    """Where a job is on the cluster."""

    name: str
    folder: Path

    @property
    def output(self) -> Path:
        """The output folder."""
        return self.folder / OUTPUT

    def of(self, path: Path | str) -> Path:
        """Return where a file of this machine is there."""
        return Path(f"{self.folder / FILES}{Path(path).absolute()}")


def place_of(programs: Programs, scene: Path) -> Place:
    """Return where the job of a scene is on the cluster."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", scene.stem)
    return Place(name, jobs_folder(programs) / name)


def jobs_folder(programs: Programs) -> Path:
    """Return the folder of all jobs on the cluster."""
    return cluster.folder(programs) / "jobs"


def files_of(job: RenderJob, inspection: Inspection, also: Iterable[Path] = ()) -> list[str]:
    """Return the absolute paths of all files that a job needs besides the scene, each once.

    :raises UsageError: one that the user names does not exist.
    """
    named = [*(Path(plugin) for plugin in job.plugins if "/" in plugin), *also]
    if missing := [f"{path}: no such file or folder" for path in named if not paths.exists(path)]:
        raise UsageError(missing)
    found = [*(file.path for file in inspection.data_files if file.found), *(str(path.absolute()) for path in named)]
    return list(dict.fromkeys(found))


def moved_scene(programs: Programs, job: RenderJob) -> bytes:
    """Return the scene as it must be on the cluster.

    :raises UsageError: it cannot be made to read its files in another folder.
    """
    folder = place_of(programs, job.scene).folder / FILES
    return engines.for_scene(job.scene).moved(job.scene.read_bytes(), job, str(folder))


def upload(programs: Programs, job: RenderJob, needed: Sequence[str]) -> Place:
    """Copy the scene and the files that it needs; only what has changed since the last time.

    :param needed: absolute paths.
    :raises UsageError: the scene cannot be made to read its files in another folder.
    :raises LaunchFailed: a file cannot be copied.
    """
    place, scene = place_of(programs, job.scene), moved_scene(programs, job)
    programs.show(f"copying {job.scene.name} and {len(needed)} files to {programs.there(place.folder)}")
    target = place.of(job.scene)
    programs.on_head("mkdir", "-p", str(target.parent), quiet=True)
    if needed:
        given = listed(path.lstrip("/") for path in needed)
        programs.copy(
            ["/"], programs.there(f"{place.folder / FILES}/"), *COPY, "--files-from=-", "--from0", given=given
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / job.scene.name
        copy.write_bytes(scene)
        programs.copy([str(copy)], programs.there(target), "--checksum", "--chmod=Fu=rw")
    return place
