"""The words that run a program in a container image (Apptainer), put in front of its own; see launch/paraview.def."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from mpirender.errors import ToolMissing
from mpirender.job import paths

PROGRAMS = ("apptainer", "singularity")
NVIDIA = Path("/dev/nvidiactl")


def words(image: str | None, folders: Iterable[Path] = ()) -> list[str]:
    """Return the words that run a program in a container image that sees ``folders``, empty without an image.

    Apptainer mounts home and /tmp as well, unless the site has configured something else. ToolMissing: it is missing.
    """
    if image is None:
        return []
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise ToolMissing(f"--container {image}: apptainer is not found; load your site's module, or install it")
    # Not where one stands: pvbatch would take mpirender from there if it is a checkout.
    gpu = ["--nv"] if NVIDIA.exists() else []
    return [program, "--quiet", "exec", *gpu, *_mounts(folders), "--pwd", "/", image]


def problem(image: str | None) -> str:
    """Return what is wrong with an image, empty if nothing is."""
    found = image is None or paths.exists(image)
    return (
        ""
        if found
        else f"--container {image}: no such image; build one: apptainer build paraview.sif launch/paraview.def"
    )


def _mounts(folders: Iterable[Path]) -> list[str]:
    """Return the options that mount folders in the container at the same paths."""
    needed = set(folders)
    needed |= {folder.resolve() for folder in needed}
    needed.discard(Path("/"))  # the root of the image cannot be mounted over
    outermost = [one for one in sorted(needed) if one.is_dir() and not needed.intersection(one.parents)]
    pairs = [(mount_field("source", folder), mount_field("destination", folder)) for folder in outermost]
    return [word for pair in pairs for word in ("--mount", ",".join(["type=bind", *pair]))]


def mount_field(name: str, folder: Path) -> str:
    """Write a field of --mount, which is read as a line of a CSV file."""
    text = str(folder).replace('"', '""')
    return f'"{name}={text}"'
