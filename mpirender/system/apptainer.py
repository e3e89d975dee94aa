"""The words that run a program in a container image (Apptainer), put in front of its own; see launch/paraview.def."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from mpirender.errors import ToolMissing
from mpirender.job.render_job import RenderJob

PROGRAMS = ("apptainer", "singularity")
NVIDIA = Path("/dev/nvidiactl")


def words(job: RenderJob, files: Iterable[Path] = ()) -> list[str]:
    """Return what stands before a program that is to run in the image of a job; nothing for a job without one.

    Home and /tmp are seen inside anyway, where the site has not decided otherwise; what else is needed is named.

    Args:
        files: that the program reads, beside the scene and the output.

    Raises:
        ToolMissing: neither Apptainer nor Singularity is there.
    """
    if job.container is None:
        return []
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise ToolMissing(
            f"--container {job.container}: apptainer is not found; load your site's module, or install it"
        )
    # Not where one stands: pvbatch would take mpirender from there if it is a checkout.
    return [program, "--quiet", "exec", *_gpu(), *_mounts(job, files), "--pwd", "/", job.container]


def problem(job: RenderJob) -> str:
    """Say what is wrong with the image of a job, empty for nothing."""
    if job.container is None or Path(job.container).exists():
        return ""
    return f"--container {job.container}: no such image; build one: apptainer build paraview.sif launch/paraview.def"


def _gpu() -> list[str]:
    return ["--nv"] if NVIDIA.exists() else []


def _mounts(job: RenderJob, files: Iterable[Path]) -> list[str]:
    """Return the options that let a container see the folders of a job where they are."""
    folders = {job.scene.parent, job.output, *(path.parent for path in files)}
    folders |= {folder.resolve() for folder in folders}
    folders.discard(Path("/"))  # which cannot be mounted over that of the image
    outermost = [one for one in sorted(folders) if one.is_dir() and not folders.intersection(one.parents)]
    pairs = [(mount_field("source", folder), mount_field("destination", folder)) for folder in outermost]
    return [word for pair in pairs for word in ("--mount", ",".join(["type=bind", *pair]))]


def mount_field(name: str, folder: Path) -> str:
    """Write a field of --mount, which is read as a line of a CSV file."""
    text = str(folder).replace('"', '""')
    return f'"{name}={text}"'
