"""Checks that scripts, which each rank runs, have built the same scene in all ranks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.system import files
from mpirender.system.comm import Comm

OF_FILES = re.compile(r"\.File(Name|Prefix)\w*$")  # names of properties
MOST_NAMED = 3  # properties
LONGEST = 60  # characters of a value


def check(comm: Comm, job: RenderJob, contents: Mapping[str, str]) -> list[str]:
    """Compare the contents of the scene over the ranks; return warnings, on all ranks.

    Files under other names may hold the same data, for example if the script writes them to a temporary folder.

    :param contents: the value of each property, if this rank has built the scene itself.
    :raises UsageError: on all ranks, with the properties in which the scene of a rank differs from that of rank 0.
    """
    digests = comm.allgather(files.digest(json.dumps(sorted(contents.items())).encode()))
    if len(set(digests)) < 2:
        return []
    of_root = comm.bcast(dict(contents), root=0)
    rank = next(rank for rank, digest in enumerate(digests) if digest != digests[0])
    text = comm.bcast(described(of_root, contents, rank) if comm.rank == rank else None, root=rank)
    names = comm.bcast(beside_files(of_root, contents) if comm.rank == rank else None, root=rank)
    if not names:
        return [f"the scene that {job.scene.name} builds reads other files in each rank: {text}"]
    raise UsageError(
        f"{job.scene.name}: the script builds another scene in each rank: {text}; remove what depends on the rank, the "
        "host or the time, and seed random numbers"
    )


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names of the properties in which two scenes differ."""
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def beside_files(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names of the properties in which two scenes differ, without those that name files."""
    return [name for name in different(one, other) if not OF_FILES.search(name)]


def described(of_root: Mapping[str, str], contents: Mapping[str, str], rank: int) -> str:
    """Describe how the scene of a rank differs from that of rank 0."""
    names = different(of_root, contents)
    lines = []
    for name in names[:MOST_NAMED]:
        first, second = (one[name][:LONGEST] if name in one else "missing" for one in (of_root, contents))
        lines.append(f"{name} is {first} in rank 0 and {second} in rank {rank}")
    return ", ".join(lines) + (f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
