"""Copy what a job has completed from the cluster: its images at any time, its movies last; everything is compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from mpirender.cloud import jobs, upload
from mpirender.cloud.head_node import OUTPUT
from mpirender.cloud.programs import Programs
from mpirender.errors import UsageError
from mpirender.job.render_job import FOLDER
from mpirender.run_folder import journal
from mpirender.system import files

MARK = "cloud.json"  # in the run folder: where the images come from
COPY = ("-t", "--files-from=-", "--from0", "--ignore-missing-args")
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
    mark(programs, name, output)
    images = [Remote(*one) for one in there["images"]]
    _copy(programs, name, output, images, known=_known(output))
    wrong = _different(output, images)
    results = [Remote(*one) for one in there["results"]]
    _copy(programs, name, output, results, known=_known(output))
    wrong += _different(output, results)
    _copy_journals(programs, name, output)
    remember(output, [*images, *results])
    done = int(there.get("done") or 0)
    if not wrong:
        what = {"images": done, "state": there["state"], "fingerprint": there.get("fingerprint", "")}
        jobs.ask(programs, "fetched", name, given=what, quiet=True)
    return Fetched(
        output, done, there["total"], tuple(wrong), tuple(one.path for one in results), there["state"],
        tuple(there.get("message", ())), there.get("code"),
    )  # fmt: skip


def mark(programs: Programs, name: str, output: Path) -> None:
    """Say in the folder that it holds the images of a job of this cluster.

    :raises UsageError: it holds those of something else.
    """
    own = refuse_other(programs, name, output)
    if not marked(output):
        (output / FOLDER).mkdir(parents=True)
        files.write_text(output / FOLDER / MARK, json.dumps(own))


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


def remember(output: Path, fetched: Iterable[Remote]) -> None:
    """Record what was fetched, so that a later one may replace it, and nothing else."""
    known = _known(output) | {one.path: one.digest for one in fetched}
    files.write_text(output / FOLDER / MARK, json.dumps({**marked(output), "files": known}))


def _known(output: Path) -> dict[str, str]:
    """Return the digests of the files that were fetched, by path."""
    return dict(marked(output).get("files", {}))


def marked(output: Path) -> dict[str, Any]:
    """Return what was recorded in a folder of fetched images; nothing if it is none."""
    try:
        found = json.loads((output / FOLDER / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _copy(programs: Programs, name: str, output: Path, wanted: Sequence[Remote], known: dict[str, str]) -> None:
    """Copy the files that are missing here, or that were fetched before they were rendered anew.

    :raises UsageError: a file that was not fetched is in the place of one.
    """
    missing = []
    for one in wanted:
        place = output / one.path
        if not place.exists() and not place.is_symlink():
            missing.append(one)
        elif known.get(one.path) != one.digest and not journal.whole(place, one.bytes, one.digest):
            if one.path not in known:
                raise UsageError(f"{place}: is in the way, and does not come from the cluster; move it away")
            missing.append(one)
    if missing:
        given = "\0".join(one.path for one in missing).encode()
        there = programs.there(f"{upload.jobs_folder(programs) / name / OUTPUT}/")
        programs.copy([there], f"{output}/", *COPY, given=given, quiet=True)


def _copy_journals(programs: Programs, name: str, output: Path) -> None:
    """Copy the journals, with which status, encode and report work here as well."""
    there = programs.there(f"{upload.jobs_folder(programs) / name / OUTPUT / FOLDER}/")
    only = ["--include=*.jsonl", "--include=*.log", "--include=job.json", "--exclude=*"]
    programs.copy([there], f"{output / FOLDER}/", "-rt", *only, quiet=True)


def _different(output: Path, wanted: Sequence[Remote]) -> list[str]:
    """Return the paths of the files here that are not those of the cluster."""
    with ThreadPoolExecutor(THREADS) as pool:  # hashing lets go of the interpreter lock
        sound = pool.map(lambda one: journal.whole(output / one.path, one.bytes, one.digest), wanted)
        return [one.path for one, same in zip(wanted, sound) if not same]
