"""The Blender engine: files (.blend) rendered by Blender as a Python module (bpy), or by a Blender program.

This module runs outside Blender and never imports bpy. Ranks are processes of Blender's own Python either way. What
Blender's Python lacks of mpirender's own requirements comes from the Python that started the ranks.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice, Check, Inspection
from mpirender.engines.blender.inspect import inspection_of
from mpirender.errors import ToolMissing, UsageError, one_line
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system import apptainer, child_process, site
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    from mpirender.engines.blender.scene import BlenderScene

BACKENDS = ()  # it opens what it needs by itself
SCENES = "Blender files"
CURE = (
    "pip install 'mpirender[blender]' (with Python 3.11), install a Blender, or name one, or a Python that has bpy, "
    "with --blender PATH or MPIRENDER_BLENDER"
)
LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1"  # Debian packages
LOOK_SECONDS = 1800.0  # a large file on a busy file system
MODULE = ["-m", "mpirender.engines.blender.query"]
# Blender's own Python takes no notice of PYTHONPATH unless it is told to.
PROGRAM = [
    "--background", "--factory-startup", "--python-use-system-env", "--python-exit-code", "1",
    "--python-expr", "from mpirender.engines.blender import run_module; run_module.main()", "--",
]  # fmt: skip
BEGINNINGS = (b"BLENDER", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # plain, or compressed by gzip or zstd
CONTENT = b"{"  # what prepare() makes of a file begins so


def command(programs: Programs) -> list[str]:
    """Return what runs Python with bpy in it, or inside a Blender program.

    Raises:
        ToolMissing: there is none.
    """
    asked = programs.blender or site.read(site.BLENDER)
    if programs.container:
        return _words(asked or "python3")
    if not asked and importlib.util.find_spec("bpy") is not None:
        return [sys.executable]
    found = shutil.which(asked or "blender")
    if found is None:
        raise ToolMissing(f"{asked}: no such program; {CURE}" if asked else f"neither bpy nor blender is found; {CURE}")
    return _words(found)


def _words(program: str) -> list[str]:
    return [program] if Path(program).name.startswith("python") else [program, *PROGRAM]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Make sure that Blender is there and loads; its answer is remembered, but for one in a container.

    Raises:
        ToolMissing: it does not.
    """
    _about(programs, afresh=afresh)


def mpiexec(programs: Programs) -> str | None:
    """Return nothing: Blender brings no MPI along."""
    return None


def version(programs: Programs) -> str:
    """Return its version (``4.5.15 LTS``), empty when there is none."""
    try:
        return str(_about(programs)["version"])
    except ToolMissing:
        return ""


def backend_devices(programs: Programs, backend: str) -> Sequence[BackendDevice]:
    """Return nothing: there are no backends to choose from."""
    return ()


def environment(device: BackendDevice) -> Mapping[str, str]:
    """Return nothing."""
    return {}


def split_into_groups(group: int, rank: int) -> None:
    """Do nothing: Blender renders a frame in one process."""


def _about(programs: Programs, *, afresh: bool = False) -> dict[str, Any]:
    """Return what Blender says of itself.

    Raises:
        ToolMissing: it does not, or there is none.
    """
    program = command(programs)
    own = importlib.metadata.version("bpy") if program == [sys.executable] else ""
    place = None if programs.container else probe_cache.path_of([program[0]], f"what Blender is, bpy {own}")
    if place is not None and not afresh and (known := probe_cache.load(place)):
        return dict(known)
    try:
        about = _ask([*apptainer.words(programs.container), *program])
    except UsageError as error:
        raise ToolMissing(f"{program[0]} did not report a Blender version ({error}); {CURE}") from None
    if place is not None:
        probe_cache.store(place, about)
    return about


def _ask(program: Sequence[str], *words: str) -> dict[str, Any]:
    """Ask Blender, in a process of its own; return its answer.

    Args:
        program: what runs its Python.
        words: of :mod:`mpirender.engines.blender.query`, behind the name of the file for the answer.

    Raises:
        ToolMissing: there is no Blender, or it does not load.
        UsageError: it says why it cannot answer, or dies.
    """
    with tempfile.TemporaryDirectory(prefix="mpirender-") as folder:
        place = Path(folder) / "answer.json"
        question = [*program, *MODULE, str(place), *words]
        try:
            done = child_process.run(
                question, environment=child_process.environment(), timeout=LOOK_SECONDS, isolated=True, attempts=2
            )
        except OSError as error:
            raise ToolMissing(f"{program[0]} cannot be asked ({one_line(str(error))}); {CURE}") from None
        answer = json.loads(place.read_text()) if place.exists() else {}
    if "absent" in answer:
        raise ToolMissing(
            f"{program[0]} has no bpy that loads ({one_line(answer['absent'])}); {CURE}; "
            f"what bpy itself needs has, on Debian and Ubuntu: apt-get install {LIBRARIES}"
        )
    if "error" in answer:
        raise UsageError(one_line(str(answer["error"])))
    if not answer:
        lines = [line for line in done.errors.splitlines() if line.strip()]
        how = signal.Signals(-done.code).name if done.code < 0 else f"exit code {done.code}"
        raise UsageError(f"Blender dies of it: {how}{f', {one_line(lines[-1])[:160]}' if lines else ''}")
    return dict(answer)


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Say what is in a file and what would go wrong, as Blender itself tells: nothing else reads all of its versions.

    Raises:
        UsageError: it is no Blender file, or Blender cannot open it.
        ToolMissing: there is no Blender.
    """
    if not scene.startswith(CONTENT):
        return inspection_of(_look(scene, job), job)
    from mpirender.engines.blender import scene_facts
    from mpirender.engines.blender.scene import opened

    return inspection_of(scene_facts.facts_of(opened(job)), job)


def _look(scene: bytes, job: RenderJob) -> dict[str, Any]:
    """Let Blender look into a file, in a process of its own.

    Raises:
        UsageError: it is no Blender file, or Blender cannot open it.
        ToolMissing: there is no Blender.
    """
    check_beginning(scene, job)
    words = [str(job.scene), *(["--scripts"] if job.allow_scripts else [])]
    try:
        program = [*apptainer.words(job.container, [job.scene.parent]), *command(job.programs)]
        return dict(json.loads(_looked(tuple(program), job.scene.stat().st_mtime_ns, *words)))
    except UsageError as error:
        mine = [
            int(part) for part in str(_about(job.programs)["version"]).split(".")[:2]
        ]  # or this raises: it is no Blender
        by = re.match(rb"BLENDER(?:[-_][vV](\d)(\d\d)|\d\d-\d\dv(\d\d)(\d\d))", scene)  # unless compressed
        saved = [int(part) for part in by.groups() if part] if by else []
        newer = f"it was saved by Blender {'.'.join(map(str, saved))}: take that, or a newer one"
        cure = newer if saved > mine else "see whether it opens there: it may be damaged"
        raise UsageError(f"{job.scene.name}: Blender cannot open it ({error}); {cure}") from None


@functools.lru_cache(maxsize=8)
def _looked(program: tuple[str, ...], changed: int, *words: str) -> str:
    """Ask once for each file as it is; a command looks at its scene several times."""
    return json.dumps(_ask(program, *words))


def check_beginning(scene: bytes, job: RenderJob) -> None:
    """Make sure that a file begins as Blender's do.

    Raises:
        UsageError: it does not.
    """
    if not scene.startswith(BEGINNINGS):
        raise UsageError(f"{job.scene.name}: not a Blender file{'; it is empty' if not scene else ''}")


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Open the file in this process, which is rank 0; return its digest, and the files it reads.

    The ranks open the file itself: what it names by relative paths is found from where it is.

    Raises:
        UsageError: it cannot be opened, or files are missing.
    """
    from mpirender.engines.blender import scene_facts
    from mpirender.engines.blender.scene import opened

    check_beginning(scene, job)
    facts = scene_facts.facts_of(opened(job))
    seen = inspection_of(facts, job)
    if seen.mistakes:
        raise UsageError(list(seen.mistakes))
    content = {"digest": hashlib.blake2b(scene).hexdigest()}
    return json.dumps(content).encode(), [Path(path) for path in facts["files"]]


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> BlenderScene:
    """Open the file in this rank; no first render is needed, frames do not depend on it.

    Raises:
        UsageError: it cannot be opened, or is not the file that rank 0 has read.
        ToolMissing: the device that was asked for is not there.
    """
    from mpirender.engines.blender.scene import BlenderScene, opened

    with job.scene.open("rb") as file:
        if _digest(file) != json.loads(scene)["digest"]:
            raise UsageError(f"{job.scene.name}: has changed since the run began, or is another file on this node")
    return BlenderScene(opened(job), job, local_rank)


def _digest(file: Any) -> str:  # noqa: ANN401 - a binary file
    digest = hashlib.blake2b()
    while part := file.read(1 << 24):
        digest.update(part)
    return digest.hexdigest()


def checks(programs: Programs) -> Sequence[Check]:
    """Look for Blender, and ask it what it can render with here."""
    try:
        about = _about(programs, afresh=True)
    except ToolMissing as error:
        what, _, cure = str(error).partition("; ")
        return (Check("blender", False, what, cure),)
    gpus = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in about["gpus"].items())
    return (
        Check("blender", True, f"{command(programs)[0]}, Blender {about['version']}"),
        Check("cycles", True, gpus or "on the CPU", required=False),
        Check(
            "eevee", about["egl"], "through EGL" if about["egl"] else "EEVEE and Workbench need libEGL.so.1",
            "Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri", required=False,
        ),
    )  # fmt: skip
