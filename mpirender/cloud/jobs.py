"""The jobs on the cluster, as the head node knows them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpirender.cloud import cluster, upload
from mpirender.cloud.programs import Programs
from mpirender.cloud.upload import Place
from mpirender.errors import BY_EXIT_CODE, LaunchFailed, one_line
from mpirender.job.render_job import RenderJob

MODULE = "mpirender.cloud.head_node"


def submit(
    programs: Programs, job: RenderJob, place: Place, digest: str, *, nodes: str, sbatch: Sequence[str] = ()
) -> str:
    """Submit the job of a scene that was uploaded, unless it is in the queue, or has finished; return its number.

    It starts on the nodes that are available, and continues without those that are lost. If none is left, it is queued
    again.

    :param digest: of everything that the result depends on.
    :param nodes: how many, ``MIN-MAX``.
    :param sbatch: further options.
    :raises MpirenderError: the head node refuses it, with the reason.
    """
    farm = programs.farm
    there = dataclasses.replace(
        job, scene=place.of(job.scene), output=place.output, data_dir=None, files=(), mpiexec=None, pvbatch=None,
        blender=None, container=None, display=None,
        plugins=tuple(str(place.of(one)) if "/" in one else one for one in job.plugins),
    )  # fmt: skip
    request = {
        "name": place.name, "scene": str(there.scene), "digest": digest,
        "cwd": str(place.of(Path.cwd())), "arguments": there.arguments(),
        "script": str(cluster.batch_script(programs, job.scene)),
        "sbatch": [f"--partition={farm.queue}", f"--nodes={nodes}", "--no-kill", "--requeue", *sbatch],
    }  # fmt: skip
    answer = ask(programs, "submit", given=request)
    return "" if programs.dry_run else str(answer["number"])


def check(programs: Programs, job: RenderJob, place: Place, digest: str) -> None:
    """Check that no other job is in the way, before its scene is replaced.

    :raises UsageError: another scene has the name, or the queued job renders the scene as it was before.
    """
    ask(programs, "check", given={"name": place.name, "scene": str(place.of(job.scene)), "digest": digest}, quiet=True)


def look(programs: Programs) -> list[dict[str, Any]]:
    """Return what each job does (:func:`mpirender.cloud.head_node.state_of`)."""
    found = ask(programs, "jobs", quiet=True)
    return list(found) if not programs.dry_run else []


def ask(programs: Programs, command: str, *words: str, given: object = None, quiet: bool = False) -> Any:  # noqa: ANN401
    """Let the head node carry out a command; return its answer, which is empty in a dry run.

    :raises MpirenderError: what the command raised there.
    """
    python = cluster.source(programs) / ".venv" / "bin" / "python"
    line = ["env", f"PYTHONPATH={cluster.source(programs)}", str(python), "-m", MODULE]
    stdin = b"" if given is None else json.dumps(given).encode()
    done = programs.on_head(*line, str(upload.jobs_folder(programs)), command, *words, given=stdin, quiet=quiet)
    if programs.dry_run:
        return {}
    try:
        answer = json.loads(done.output)
    except ValueError:
        last = one_line((f"{done.output}\n{done.errors}".strip().splitlines() or ["no answer"])[-1])
        raise LaunchFailed(f"the head node failed at {command}: {last}") from None
    if isinstance(answer, dict) and "error" in answer:
        raise BY_EXIT_CODE.get(answer["code"], LaunchFailed)(f"on the cluster: {answer['error']}")
    return answer
