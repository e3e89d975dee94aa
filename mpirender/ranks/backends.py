"""What each rank renders with: the backend that all nodes can use, and the GPU that is a rank's own.

``auto`` takes EGL on a GPU, else OSMesa, else EGL on the CPU, else GLX on an X server of its own. All nodes take the
same, since the pictures of two renderers differ at edges.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mpirender.engines import BackendDevice, Engine, is_software
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.system.comm import Comm, same_node
from mpirender.system.xvfb import private_display

# By which Slurm and CUDA tell which GPUs are meant for a process, the narrowest first.
VISIBLE = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL")
GRANTED = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")  # their numbers
HOW_MANY = "SLURM_GPUS_ON_NODE"
ALLOW = "--allow-software"
THREAD_LIMITS = (
    "LP_NUM_THREADS", "OSPRAY_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VTK_SMP_MAX_THREADS"
)  # fmt: skip


class Kind(NamedTuple):
    """A backend, and whether a GPU renders; None where either will do."""

    backend: str
    gpu: bool | None = None


BEST_FIRST = (Kind("egl", gpu=True), Kind("osmesa"), Kind("egl", gpu=False), Kind("glx"))


@contextlib.contextmanager
def chosen(
    comm: Comm,
    engine: Engine,
    programs: Programs,
    *,
    alone: int | None = None,
) -> Iterator[BackendDevice | None]:
    """Set this rank up to render for the time of the block; give what it is to render with, None for no window.

    Args:
        alone: number of this process among those on its machine, where comm knows of none of the others.

    Raises:
        ToolMissing: there is no backend that all nodes can use, or not the one that was asked for.
    """
    limit_threads()
    if not engine.BACKENDS:
        yield None
        return
    node = same_node(comm)
    usable = agree(comm, node, engine, programs)
    device = of_rank(usable, node.rank if alone is None else alone, programs, os.environ)
    os.environ.update(engine.environment(device))
    with contextlib.ExitStack() as stack:
        if device.backend != "glx":
            os.environ.pop("DISPLAY", None)  # some windows look for it all the same
        elif programs.display:
            os.environ["DISPLAY"] = programs.display
        else:
            stack.enter_context(private_display(comm))
        yield device


def agree(comm: Comm, node: Comm, engine: Engine, programs: Programs) -> list[BackendDevice]:
    """Return what the first kind that every node can render with is on this node.

    Args:
        node: the ranks of comm on this node, the first of which asks.

    Raises:
        ToolMissing: there is none.
    """
    told_by_slurm = {name: os.environ[name] for name in (*GRANTED, HOW_MANY) if name in os.environ}
    environ = comm.bcast(told_by_slurm, root=0)
    problems: list[tuple[str, bool]] = []
    asked: dict[str, Sequence[BackendDevice]] = {}
    for kind in candidates(programs, environ):
        if kind.backend not in asked:
            found = engine.backend_devices(programs, kind.backend) if node.rank == 0 else ()
            asked[kind.backend] = node.bcast(found, root=0)
        usable, problem = fitting(kind, asked[kind.backend], programs)
        mine = (socket.gethostname(), problem, all(one.not_built for one in asked[kind.backend]))
        told = sorted(set(comm.allgather(mine)))
        if not any(problem for _, problem, _ in told):
            return usable
        problems += [(f"{host}, {kind.backend}: {problem}", never) for host, problem, never in told if problem]
    raise ToolMissing(refusal(programs, problems, environ))


def candidates(programs: Programs, environ: Mapping[str, str]) -> list[Kind]:
    """Return the kinds that a job may be rendered with, the best first.

    A GPU that was asked for, by ``--gpus`` or of Slurm, is not silently replaced by the CPU.
    """
    kinds = [kind for kind in BEST_FIRST if programs.backend in ("auto", kind.backend)]
    if programs.gpus == "none":
        return [kind for kind in kinds if not kind.gpu]
    gpu_only = wants_gpu(programs, environ) and not programs.allow_software
    return [kind for kind in kinds if kind.gpu or not gpu_only]


def wants_gpu(programs: Programs, environ: Mapping[str, str]) -> bool:
    """Say whether a GPU was asked for: by ``--gpus``, or of Slurm where nothing else was named."""
    if programs.gpus is not None:
        return programs.gpus != "none"
    granted = any(environ.get(name) for name in GRANTED) or environ.get(HOW_MANY, "0") != "0"
    return granted and programs.backend in ("auto", "egl")


def fitting(kind: Kind, found: Sequence[BackendDevice], programs: Programs) -> tuple[list[BackendDevice], str]:
    """Return those of the devices of a node that are of a kind, or why there is none.

    Args:
        found: what the node can do with the backend.
    """
    good = [one for one in found if not one.problem]
    usable = {one.device: one for one in good if kind.gpu is None or one.software != kind.gpu}
    if not good:
        return [], next((one.problem for one in found), "not possible")
    wished = programs.gpu_numbers if kind.gpu else ()
    lacking = [number for number in wished if number not in usable]
    if lacking or not usable:
        here = ", ".join(f"device {one.device} is {one.renderer}" for one in good)
        what = f"device {lacking[0]} is no GPU" if lacking else f"there is {'no' if kind.gpu else 'nothing but a'} GPU"
        return [], f"{what}; {here}"
    return [usable[number] for number in wished] or list(usable.values()), ""


def of_rank(
    usable: Sequence[BackendDevice], local_rank: int, programs: Programs, environ: Mapping[str, str]
) -> BackendDevice:
    """Return the device of a rank: the devices go round among the ranks of a node.

    Args:
        usable: those of its node, all of one kind.
        local_rank: number of the rank on its node.
    """
    if len(usable) == 1 or usable[0].software:
        return usable[0]
    mine = usable if programs.gpus else [usable[place] for place in visible(len(usable), environ)]
    return mine[local_rank % len(mine)]


def visible(count: int, environ: Mapping[str, str]) -> list[int]:
    """Return the places of the GPUs that a process is meant to use among those that EGL shows, all if in doubt.

    Where Slurm fences GPUs off, EGL shows just those, and numbers that count all of the node lead beyond them. CUDA's
    variable may also hold names (GPU-…, MIG-…), which EGL does not tell.

    Args:
        count: number of GPUs that EGL shows.
    """
    text = next((environ[name] for name in VISIBLE if name in environ), "")
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdigit() and int(word) < count for word in words):
        return list(range(count))
    return list(dict.fromkeys(map(int, words)))


def refusal(programs: Programs, problems: Sequence[tuple[str, bool]], environ: Mapping[str, str]) -> str:
    """Say in a line why nothing can be rendered.

    Args:
        problems: of each node and kind, and whether the program was never made for it: where others are left to mend,
            that is not worth telling.
    """
    worth = [text for text, never in problems if not never] or [text for text, _ in problems]
    reasons = " | ".join(dict.fromkeys(worth))
    cure = f"; {ALLOW} renders on the CPU all the same" if wants_gpu(programs, environ) else ""
    if programs.gpu_numbers:
        return f"--gpus {programs.gpus} is not possible; {reasons}{cure}"
    if cure:
        return f"Slurm gave this job GPUs, and ParaView can render on none; {reasons}{cure}"
    if programs.backend == "auto":
        return f"there is nothing that ParaView can render with; {reasons}"
    return f"--backend {programs.backend} is not possible; {reasons}"


def check(device: BackendDevice | None, renderer: str, programs: Programs) -> None:
    """Make sure that a rank got the GPU that it was to render on.

    Args:
        renderer: what OpenGL calls it, read back from the window.

    Raises:
        ToolMissing: the CPU renders instead.
    """
    if device is None or device.software or not is_software(renderer) or programs.allow_software:
        return
    where = f"EGL device {device.device}" if device.device is not None else device.backend
    raise ToolMissing(
        f"{where} on {socket.gethostname()} was to be {device.renderer} but ParaView renders on the CPU ({renderer}); "
        f"see whether the GPU is well (nvidia-smi), or {ALLOW}"
    )


def limit_threads() -> None:
    """Let the thread pools of this rank be no larger than the cores it may use: a launcher may have bound it to few."""
    cores = len(os.sched_getaffinity(0))
    for name in THREAD_LIMITS:
        told = os.environ.get(name, "")
        os.environ[name] = str(min(int(told), cores) if told.isdigit() else cores)
