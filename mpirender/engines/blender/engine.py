"""The Blender engine: .blend files, rendered by Blender as a Python module (bpy) or as a program.

This module runs outside Blender and never imports bpy. Ranks always run in Blender's Python. Packages that mpirender
needs and Blender's Python lacks come from the Python that started the ranks. The protocol lists the errors.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpirender.engines import probe_cache
from mpirender.engines.base import Check, Inspection, Scene
from mpirender.engines.blender.inspect import inspection_of

# A part of the engine's interface.
from mpirender.engines.windowless import BACKENDS, backend_devices, environment, mpiexec, split_into_groups  # noqa: F401
from mpirender.errors import ToolMissing, UsageError, one_line
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system import apptainer, child_process, site
from mpirender.system.comm import Comm
from mpirender.system.text import listed

SCENES = "Blender files"
INSTALL = (
    "pip install 'mpirender[blender]' (with Python 3.11), install Blender, or name a Blender or a Python with bpy by "
    "--blender PATH or MPIRENDER_BLENDER"
)
LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1"  # Debian packages
QUERY_SECONDS = 1800.0  # a large file on a busy file system
MODULE = ["-m", "mpirender.engines.blender.query"]
# Blender's Python ignores PYTHONPATH without --python-use-system-env.
PROGRAM = [
    "--background", "--factory-startup", "--python-use-system-env", "--python-exit-code", "1",
    "--python-expr", "from mpirender.engines.blender import run_module; run_module.main()", "--",
]  # fmt: skip
MAGIC = (b"BLENDER", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # plain, or compressed by gzip or zstd
CONTENT = b"{"  # first byte of what prepare() returns


def command(programs: Programs) -> list[str]:
    """Return the command that runs Python with bpy, or Python inside a Blender program."""
    requested = programs.blender or site.read(site.BLENDER)
    if not programs.container and not requested and importlib.util.find_spec("bpy") is not None:
        return [sys.executable]
    found = (requested or "python3") if programs.container else shutil.which(requested or "blender")
    if found is None:
        what = f"{requested}: no such program" if requested else "neither bpy nor blender is found"
        raise ToolMissing(f"{what}; {INSTALL}")
    return [found] if Path(found).name.startswith("python") else [found, *PROGRAM]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Check that Blender exists and starts; the result is cached, except in a container."""
    _facts(programs, afresh=afresh)


def version(programs: Programs) -> str:
    """Return the version of Blender (``4.5.15 LTS``); empty if there is none."""
    try:
        return str(_facts(programs)["version"])
    except ToolMissing:
        return ""


def _facts(programs: Programs, *, afresh: bool = False) -> dict[str, Any]:
    """Return the version and devices of Blender."""
    program = command(programs)
    own = importlib.metadata.version("bpy") if program == [sys.executable] else ""
    place = None if programs.container else probe_cache.path_of([program[0]], f"version and devices, bpy {own}")
    if place is not None and not afresh and (cached := probe_cache.load(place)):
        return dict(cached)
    try:
        facts = _query([*apptainer.words(programs.container), *program])
    except UsageError as error:
        raise ToolMissing(f"{program[0]} did not report a Blender version ({error}); {INSTALL}") from None
    if place is not None:
        probe_cache.store(place, facts)
    return facts


def _query(program: Sequence[str], *words: str, timeout: float = QUERY_SECONDS) -> dict[str, Any]:
    """Run a query with these arguments in a Blender process, by the command for its Python; return the answer.

    An error that Blender reports, and a crash, are UsageErrors; ToolMissing means that it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="mpirender-") as folder:
        place = Path(folder) / "answer.json"
        question, environ = [*program, *MODULE, str(place), *words], child_process.environment(TMPDIR=folder)
        try:
            done = child_process.run(question, environment=environ, timeout=timeout, isolated=True, attempts=2)
        except OSError as error:
            raise ToolMissing(f"{program[0]} cannot be run ({one_line(str(error))}); {INSTALL}") from None
        answer = json.loads(place.read_text()) if place.exists() else {}
    if "absent" in answer:
        raise ToolMissing(
            f"{program[0]} cannot import bpy ({one_line(answer['absent'])}); {INSTALL}; bpy needs these libraries "
            f"(Debian, Ubuntu): apt-get install {LIBRARIES}"
        )
    if "error" in answer:
        raise UsageError(one_line(str(answer["error"])))
    if not answer:
        lines = [line for line in done.errors.splitlines() if line.strip()]
        how = signal.Signals(-done.code).name if done.code < 0 else f"exit code {done.code}"
        raise UsageError(f"Blender crashed ({how}){f': {one_line(lines[-1])[:160]}' if lines else ''}")
    return dict(answer)


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Return the contents of a file and its mistakes, as found by Blender, the only reader of all format versions."""
    return _inspect_in_rank(job) if scene.startswith(CONTENT) else inspection_of(_query_file(scene, job), job)


@functools.lru_cache(maxsize=1)
def _inspect_in_rank(job: RenderJob) -> Inspection:
    """Inspect the file in this process, which is rank 0, once."""
    from mpirender.engines.blender import scene_facts
    from mpirender.engines.blender.scene import open_scene_file

    return inspection_of(scene_facts.facts_of(open_scene_file(job), job.scene_name, job.frames), job)


def _query_file(scene: bytes, job: RenderJob) -> dict[str, Any]:
    """Return the facts about a file, found in a Blender process."""
    _check_magic(scene, job)
    asked = {"scripts": job.allow_scripts, "name": job.scene_name, "frames": job.frames}
    words = [str(job.scene), json.dumps(asked)]
    try:
        program = [*apptainer.words(job.container, [job.scene.parent]), *command(job.programs)]
        return _cached_query(tuple(program), job.scene.stat().st_mtime_ns, *words)
    except UsageError as error:
        mine = [int(part) for part in _facts(job.programs)["version"].split(".")[:2]]  # raises if it is not Blender
        by = re.match(rb"BLENDER(?:[-_][vV](\d)(\d\d)|\d\d-\d\dv(\d\d)(\d\d))", scene)  # unless compressed
        saved = [int(part) for part in by.groups() if part] if by else []
        newer = f"it was saved by Blender {'.'.join(map(str, saved))}; use that version or a newer one"
        fix = newer if saved > mine else "check that it opens in Blender; it may be damaged"
        raise UsageError(f"{job.scene.name}: Blender cannot open it ({error}); {fix}") from None


@functools.lru_cache(maxsize=8)
def _cached_query(program: tuple[str, ...], changed: int, *words: str) -> dict[str, Any]:
    """Return the answer; query an unchanged file only once per process."""
    return _query(program, *words)


def _check_magic(scene: bytes, job: RenderJob) -> None:
    """Check that a file begins like a Blender file."""
    if not scene.startswith(MAGIC):
        raise UsageError(f"{job.scene.name}: not a Blender file{'; it is empty' if not scene else ''}")


def moved(scene: bytes, job: RenderJob, folder: str) -> bytes:
    """Return the file with paths that start from its own folder; unchanged if it has no others.

    :raises UsageError: a file that it links has absolute paths, which only its author can change.
    """
    from mpirender.engines.blender import query

    _check_magic(scene, job)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / job.scene.name
        answer = _query(command(job.programs), query.RELATIVE, str(job.scene), str(copy))
        if answer["absolute"]:
            named = listed(answer["absolute"])
            raise UsageError(
                f"{job.scene.name}: linked files have absolute paths, which do not exist on another machine: {named}; "
                "make them relative in Blender (File, External Data, Make Paths Relative) and save"
            )
        return copy.read_bytes() if copy.exists() else scene


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Open the file in this process, which is rank 0; return its digest, and the files it reads.

    The ranks open the original file, since its relative paths start from its folder.
    """
    from mpirender.engines.blender import order_trial

    _check_magic(scene, job)
    inspection = _inspect_in_rank(job)
    if inspection.mistakes:
        raise UsageError(inspection.mistakes)
    content = {
        "digest": hashlib.blake2b(scene).hexdigest(),
        "order": order_trial.order_of(job, functools.partial(_query, command(job.programs))),
    }
    return json.dumps(content).encode(), [Path(file.path) for file in inspection.data_files if file.found]


def warm_up() -> None:
    """Import bpy, which takes a second."""
    if importlib.util.find_spec("bpy") is not None:
        importlib.import_module("bpy")


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> Scene:
    """Open the file in this rank, after checking that it is the file that rank 0 read."""
    from mpirender.engines.blender import order_trial

    if _digest(job.scene) != json.loads(scene)["digest"]:
        problem = "it has changed since the run began, or differs on this node; start the run again"
        raise UsageError(f"{job.scene.name}: {problem}")
    return order_trial.open_scene(json.loads(scene)["order"], job, local_rank)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while part := file.read(1 << 24):
            digest.update(part)
    return digest.hexdigest()


def checks(programs: Programs) -> Sequence[Check]:
    """Check Blender, and the devices that it can use on this machine."""
    try:
        facts = _facts(programs, afresh=True)
    except ToolMissing as error:
        what, _, fix = str(error).partition("; ")
        return (Check("blender", False, what, fix),)
    gpus = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in facts["gpus"].items())
    return (
        Check("blender", True, f"{command(programs)[0]}, Blender {facts['version']}"),
        Check("cycles", True, gpus or "on the CPU", required=False),
        Check(
            "eevee", facts["egl"], "through EGL" if facts["egl"] else "EEVEE and Workbench need libEGL.so.1",
            "Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri", required=False,
        ),
    )  # fmt: skip
