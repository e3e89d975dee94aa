"""Make, find and delete the cluster. Each function can be called again after it was interrupted, and goes on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpirender import engines
from mpirender.cloud.configuration import PACKAGE
from mpirender.cloud.programs import PclusterFailed, Programs, Unreachable
from mpirender.errors import LaunchFailed, UsageError, one_line

LOOK_SECONDS = 15.0  # between two questions about a cluster that is being made or deleted; less at first
FIRST_SECONDS = 2.0
REACH_SECONDS = 300.0  # until ssh reaches a head node that was just made
FOLDER = "mpirender"  # in the shared folder, for all that mpirender puts there
GONE = "DELETE_IN_PROGRESS", "DELETE_COMPLETE"
READY = "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED"
PARAVIEW = "demo"
PURPOSES = {"blender": "blender"}  # by engine; others render with ParaView's Python
# Of a checkout: what the nodes need to install mpirender.
SOURCES = ("mpirender", "launch", "pyproject.toml", "README.md", "LICENSE")


def folder(programs: Programs) -> Path:
    """Return the folder of mpirender on the cluster."""
    return Path(programs.farm.mount) / FOLDER


def source(programs: Programs) -> Path:
    """Return the folder of mpirender's own files on the cluster."""
    return folder(programs) / "source"


def found(programs: Programs) -> dict[str, Any] | None:
    """Return ParallelCluster's description of the cluster, None if there is none.

    :raises PclusterFailed: it cannot be asked for.
    """
    try:
        return programs.pcluster("describe-cluster", quiet=True)
    except PclusterFailed as error:
        if error.missing:
            return None
        raise


def create(programs: Programs) -> None:
    """Make the cluster unless it is there, wait until it can be used, and connect to its head node.

    :raises LaunchFailed: it could not be made; what was made of it is deleted.
    """
    if programs.dry_run:
        programs.pcluster("create-cluster", "--cluster-configuration", str(programs.farm.file))
    else:
        _wait_until_made(programs)
    prepare(programs)


def connect(programs: Programs) -> None:
    """Find the head node of a cluster that is there.

    :raises UsageError: there is no such cluster, or it cannot be used yet.
    """
    if programs.dry_run:
        return
    seen = found(programs)
    if seen is None:
        raise UsageError(
            f"there is no cluster {programs.farm.name}; make it with: mpirender cloud create {_file(programs)}"
        )
    if seen.get("clusterStatus") not in READY:
        raise UsageError(f"the cluster {programs.farm.name} cannot be used: {seen.get('clusterStatus')}")
    _connect_to(programs, seen)


def delete(programs: Programs) -> None:
    """Delete the cluster with its storage, and wait until it is gone.

    :raises LaunchFailed: it could not be deleted.
    """
    if programs.dry_run:
        programs.pcluster("delete-cluster")
        return
    seen = found(programs)
    if seen is not None and seen.get("clusterStatus") not in GONE:
        programs.pcluster("delete-cluster")
    for now in _looks(programs):
        if now.get("clusterStatus") == "DELETE_FAILED":
            console = f"https://{programs.farm.region}.console.aws.amazon.com/cloudformation"
            raise LaunchFailed(
                f"the cluster {programs.farm.name} was not deleted whole: run the same command again; if that does not "
                f"help, see the events of the stack {programs.farm.name} in {console}"
            )


def prepare(programs: Programs) -> None:
    """Let the head node stop itself after its hours, and copy mpirender to it.

    :raises UsageError: this mpirender is installed without its sources.
    """
    root = PACKAGE.parent
    sources = [root / name for name in SOURCES]
    if absent := [path.name for path in sources if not path.exists()]:
        raise UsageError(f"mpirender cloud needs a checkout of mpirender: {root} has no {absent[0]}; use git clone")
    programs.show(f"copying mpirender to {programs.there(source(programs))}")
    _when_reachable(programs)
    excluded = ["--exclude=__pycache__", "--exclude=/.venv"]
    own = [f"{root}/./{name}" for name in SOURCES]
    programs.copy(own, programs.there(f"{source(programs)}/"), "-rtpR", "--delete", *excluded)
    script, hours = source(programs) / "launch" / "cloud_head.sh", f"{programs.farm.max_hours:g}"
    _checked(programs, "bash", str(script), "stop-after", hours, str(folder(programs)))


def install(programs: Programs, scene: Path) -> None:
    """Install what a scene's engine needs on the head node, and write the batch script with which nodes install it.

    :raises LaunchFailed: it could not be installed, with the reason.
    """
    programs.show("installing on the head node what the scene needs (some minutes the first time)")
    script = source(programs) / "launch" / "cloud_head.sh"
    _checked(programs, "bash", str(script), "software", purpose_of(scene), str(folder(programs)))


def purpose_of(scene: Path) -> str:
    """Return what launch/setup.sh calls the software for a scene."""
    return PURPOSES.get(engines.name_for(scene), PARAVIEW)


def batch_script(programs: Programs, scene: Path) -> Path:
    """Return the batch script on the cluster for a scene."""
    return folder(programs) / f"{purpose_of(scene)}.slurm"


def _wait_until_made(programs: Programs) -> None:
    farm = programs.farm
    seen = found(programs)
    if seen is not None and seen.get("clusterStatus") in GONE:
        programs.show(f"an older cluster {farm.name} is still being deleted; waiting")
        list(_looks(programs))
        seen = None
    if seen is None:
        programs.pcluster("create-cluster", "--cluster-configuration", str(farm.file))
        programs.show(f"making the cluster {farm.name} in {farm.region}; this takes about ten minutes")
    for seen in _looks(programs):
        status = seen.get("clusterStatus")
        if status == "CREATE_FAILED":
            reasons = [f"{one.get('failureCode')}: {one.get('failureReason')}" for one in seen.get("failures") or ()]
            programs.pcluster("delete-cluster")
            said = one_line("; ".join(reasons)) or "ParallelCluster gives no reason"
            raise LaunchFailed(
                f"the cluster {farm.name} could not be made ({said}); what was made of it is being deleted"
            )
        if status in READY:
            _connect_to(programs, seen)
            return
    raise LaunchFailed(f"the cluster {farm.name} is gone again; someone else has deleted it")


def _looks(programs: Programs) -> Iterator[dict[str, Any]]:
    """Yield the description of the cluster again and again, until there is none."""
    pause = FIRST_SECONDS
    while (seen := found(programs)) is not None:
        yield seen
        time.sleep(pause)
        pause = min(1.5 * pause, LOOK_SECONDS)


def _connect_to(programs: Programs, seen: dict[str, Any]) -> None:
    head = seen.get("headNode") or {}
    address = head.get("publicIpAddress") or head.get("privateIpAddress")
    if not address or head.get("state", "running") != "running":
        start = f"aws ec2 start-instances --region {programs.farm.region} --instance-ids {head.get('instanceId')}"
        raise Unreachable(
            f"the head node of {programs.farm.name} is {head.get('state', 'gone')}; start it with: {start}"
        )
    programs.connect_to(address)


def _when_reachable(programs: Programs) -> None:
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            _checked(programs, "mkdir", "-p", str(source(programs)))
            return
        except Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS)


def _checked(programs: Programs, *words: str) -> None:
    done = programs.on_head(*words)
    if done.code:
        last = (f"{done.output}\n{done.errors}".strip().splitlines() or ["no message"])[-1]
        raise LaunchFailed(f"{shlex.join(words)} on the head node: {last}")


def _file(programs: Programs) -> str:
    return shlex.quote(str(programs.farm.file))
