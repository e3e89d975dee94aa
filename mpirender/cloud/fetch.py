"""Copy what a job has completed from the cluster: its images at any time, its movies last; everything is compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from mpirender.cloud import jobs, upload
from mpirender.cloud.head_node import OUTPUT
from mpirender.cloud.programs import Programs, listed
from mpirender.errors import UsageError
from mpirender.job.render_job import FOLDER
from mpirender.run_folder import journal
from mpirender.system import files

MARK = "cloud.json"  # in the run folder: where the images come from
COPY = ("-tI", "--files-from=-", "--from0", "--ignore-missing-args")  # also a file that has the same size and time
THREADS = 4


class Remote(NamedTuple):
    """A complete file on the cluster; ``path`` is that from the output folder."""

    path: str
    bytes: int
    digest: str


class Fetched(NamedTuple):
    """What is here now of a job; ``total`` is None before it is known how many images there will be."""

    output: Path
    images: int  # that are complete on the cluster, and here
    total: int | None
    wrong: Sequence[str]  # files that are not what was rendered, although they were copied
    results: Sequence[str]  # movies and tables that are here
    state: str  # of the run on the cluster
    message: Sequence[str]  # with which that ended, and its exit code
    code: int | None = None

    @property
    def complete(self) -> bool:
        """Whether all images and results are here and sound."""
        return self.state == "finished" and not self.wrong


def fetch(programs: Programs, name: str, output: Path) -> Fetched:
    """Copy the complete files of a job that are not here yet, and compare them with what the journals say.

    :param output: the folder here.
    :raises UsageError: the folder holds something else.
    """
    if programs.dry_run:
        programs.copy([programs.there(f"{upload.jobs_folder(programs) / name / OUTPUT}/")], str(output), *COPY)
        return Fetched(output, 0, None, (), (), "", ())
    there = jobs.ask(programs, "files", name, quiet=True)
    own = refuse_other(programs, name, output)
    images, results = ([Remote(*one) for one in there[kind]] for kind in ("images", "results"))
    wrong = _copy(programs, own, output, images)
    if not wrong:
        wrong += _copy(programs, own, output, results)
    _copy_journals(programs, name, output)
    done = int(there.get("done") or 0)
    if not wrong:
        what = {"images": done, "state": there["state"], "fingerprint": there.get("fingerprint", "")}
        jobs.ask(programs, "fetched", name, given=what, quiet=True)
    return Fetched(
        output, done, there["total"], tuple(wrong), tuple(one.path for one in results), there["state"],
        tuple(there.get("message", ())), there.get("code"),
    )  # fmt: skip


def refuse_other(programs: Programs, name: str, output: Path) -> dict[str, str]:
    """Return what the folder is marked with if it is new, or holds the images of this job.

    :raises UsageError: it holds those of something else.
    """
    own = {"cluster": programs.farm.name, "region": programs.farm.region, "job": name}
    before = marked(output)
    if not before and (output / FOLDER).exists():
        raise UsageError(f"{output}: holds images that were rendered here; choose another folder with --output")
    if before and {key: before.get(key) for key in own} != own:
        other = f"job {before.get('job')} of the cluster {before.get('cluster')}"
        raise UsageError(f"{output}: holds the images of {other}; choose another folder with --output")
    return own


def marked(output: Path) -> dict[str, Any]:
    """Return what was recorded in a folder of fetched images; nothing if it is none."""
    try:
        found = json.loads((output / FOLDER / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def sound(output: Path, path: str, state: Sequence[object]) -> bool:
    """Return whether a file here is what was fetched: as it was left when it was compared, or by its content.

    :param state: what is recorded of it: digest, size and time.
    """
    return list(state) == [state[0], *size_and_time(output / path)] or _digest(output / path) == state[0]


def _copy(programs: Programs, own: Mapping[str, str], output: Path, wanted: Sequence[Remote]) -> list[str]:
    """Copy the files that are missing or damaged here; return those that are still wrong afterwards.

    Each file that was compared is recorded in the folder: later copies replace no other files.

    :param own: marks the folder.
    :raises UsageError: a file that was not fetched is in the place of one.
    """
    known: dict[str, list[Any]] = dict(marked(output).get("files", {}))
    unproved = [one for one in wanted if known.get(one.path) != [one.digest, *size_and_time(output / one.path)]]
    missing = []
    for one, same in zip(unproved, _same(output, unproved)):
        if not same and one.path not in known and os.path.lexists(output / one.path):
            raise UsageError(f"{output / one.path}: is in the way, and does not come from the cluster; move it away")
        missing += [] if same else [one]
    if missing:
        given = listed(one.path for one in missing)
        there = programs.there(f"{upload.jobs_folder(programs) / own['job'] / OUTPUT}/")
        output.mkdir(parents=True, exist_ok=True)
        programs.copy([there], f"{output}/", *COPY, given=given, quiet=True)
    wrong = [one.path for one, same in zip(missing, _same(output, missing)) if not same]
    right = [one for one in unproved if one.path not in wrong]
    known.update({one.path: [one.digest, *size_and_time(output / one.path)] for one in right})
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    files.write_text(output / FOLDER / MARK, json.dumps({**marked(output), **own, "files": known}))
    return wrong


def _copy_journals(programs: Programs, name: str, output: Path) -> None:
    """Copy the journals, with which status, encode and report work here as well."""
    there = programs.there(f"{upload.jobs_folder(programs) / name / OUTPUT / FOLDER}/")
    only = ["--include=*.jsonl", "--include=*.log", "--include=job.json", "--exclude=*"]
    programs.copy([there], f"{output / FOLDER}/", "-rt", *only, quiet=True)


def _same(output: Path, wanted: Sequence[Remote]) -> list[bool]:
    """Return which files here are those of the cluster, by their content."""
    with ThreadPoolExecutor(THREADS) as pool:  # hashing lets go of the interpreter lock
        return list(pool.map(lambda one: journal.whole(output / one.path, one.bytes, one.digest), wanted))


def size_and_time(place: Path) -> tuple[int, int]:
    """Return size and time of a file, 0 if there is none."""
    try:
        found = place.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _digest(place: Path) -> str:
    try:
        return files.digest(place.read_bytes())
    except OSError:
        return ""
