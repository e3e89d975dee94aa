"""Render in the cloud from start to end: make the cluster, upload, submit, watch, fetch, delete.

Every step checks what has been done already, so after an interruption the same command continues.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpirender.cloud import cluster, fetch, jobs, resources, upload
from mpirender.cloud.fetch import Fetched
from mpirender.cloud.head_node import STARTED
from mpirender.cloud.programs import Programs, Unreachable
from mpirender.cloud.upload import Place
from mpirender.engines.base import Inspection
from mpirender.errors import FramesMissing, Interrupted, LaunchFailed, MpirenderError, PriceLimitReached, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.system import files
from mpirender.system.text import plural

LOOK_SECONDS = 15.0  # between two questions to the head node
FETCH_SECONDS = 60.0  # between two copies of what is complete
SILENT_SECONDS = 900.0  # that the head node may not answer


@dataclass(frozen=True)
class CloudRequest:
    """What to render, and where to put it."""

    job: RenderJob
    inspection: Inspection
    nodes: str  # ``MIN-MAX``
    also: Sequence[Path] = ()  # files and folders that the scene needs and mpirender cannot know of
    sbatch: Sequence[str] = ()
    start_seconds: float = 1800.0  # within which the first node must come
    keep: bool = False  # whether the cluster is kept at the end

    def digest(self, needed: Sequence[str]) -> str:
        """Return the digest of everything that the result depends on, as far as it is here."""
        states = [(str(path), *fetch.size_and_time(path)) for one in needed for path in _files(Path(one))]
        scene = hashlib.blake2b(self.job.scene.read_bytes()).hexdigest()
        return hashlib.blake2b(json.dumps([scene, states, self.job.to_json()]).encode()).hexdigest()


def render(programs: Programs, request: CloudRequest) -> Fetched | None:
    """Render a job on a cluster in the cloud; return what is here now, None in a dry run.

    The cluster is deleted when everything is here and sound, or if no node ever came.

    :raises MpirenderError: a subclass, with what is wrong, and what still costs money.
    """
    needed = upload.files_of(request.job, request.inspection, request.also)
    upload.moved_scene(programs, request.job)  # report what cannot be copied before anything costs money
    if programs.dry_run:
        _every_step(programs, request, needed)
        return None
    digest = request.digest(needed)
    fetch.refuse_other(programs, upload.place_of(programs, request.job.scene).name, request.job.output)
    if (here := _complete_before(programs, request, digest)) is not None:
        _delete_if_done(programs, request)
        return here
    with _telling_what_is_kept(programs):
        place = begin(programs, request, needed)
        here = _follow(programs, request, place)
    if not here.complete:
        raise _incomplete(programs, here)
    _remember_complete(here, digest)
    _delete_if_done(programs, request)
    return here


def begin(programs: Programs, request: CloudRequest, needed: Sequence[str]) -> Place:
    """Make the cluster, upload the scene and submit its job, as far as that is not done yet."""
    make(programs)
    cluster.install(programs, request.job.scene)
    digest = request.digest(needed)
    jobs.check(programs, request.job, upload.place_of(programs, request.job.scene), digest)
    place = upload.upload(programs, request.job, needed)
    number = jobs.submit(programs, request.job, place, digest, nodes=request.nodes, sbatch=request.sbatch)
    programs.show(f"Slurm job {number} on {plural(programs.farm.max_nodes, 'node')} at most")
    return place


def make(programs: Programs) -> None:
    """Make the cluster and its budget, unless they are there.

    :raises ToolMissing: a program is not installed.
    """
    if not programs.dry_run:
        programs.need("pcluster", "ssh", "rsync")
        if programs.farm.budget is not None:
            resources.make_budget(programs.farm)
    cluster.create(programs)


def delete(programs: Programs, *, discard: bool = False, ended: str = "") -> list[resources.Resource]:
    """Delete the cluster and everything with its tag; return what must be deleted by hand.

    :param discard: whether to lose images that were not fetched.
    :param ended: name of a job that was just ended, and has rendered nothing.
    :raises UsageError: images were not fetched, or nobody knows.
    :raises LaunchFailed: it cannot be deleted.
    """
    if not discard and not programs.dry_run and (seen := cluster.found(programs)) is not None:
        _refuse_to_lose(programs, str(seen.get("clusterStatus")), ended)
    cluster.delete(programs)
    if programs.dry_run:
        return []
    left = resources.delete_left(programs.farm, programs.show)
    if programs.farm.budget is not None:
        resources.delete_budget(programs.farm)
    return left


def _refuse_to_lose(programs: Programs, status: str, ended: str) -> None:
    if status not in cluster.READY:  # nothing can have been rendered, or it is being deleted
        return
    again = f"mpirender cloud delete {shlex.quote(str(programs.farm.file))} --discard"
    try:
        cluster.connect(programs)
        found = [one for one in jobs.look(programs) if one["name"] != ended]
        lost = [one for one in found if one["unfetched"] or one["queue"]]
    except (Unreachable, LaunchFailed) as error:
        raise UsageError(f"what was not fetched yet is not known: {error}; to lose it: {again}") from None
    if lost:
        named = ", ".join(
            f"{one['name']} ({plural(one['unfetched'], 'image')}{', still in the queue' * bool(one['queue'])})"
            for one in lost
        )
        get = f"mpirender cloud fetch {shlex.quote(str(programs.farm.file))}"
        raise UsageError(f"not fetched yet: {named}; fetch it with: {get}; to lose it: {again}")


def _follow(programs: Programs, request: CloudRequest, place: Place) -> Fetched:
    """Watch the job until it has left the queue, and fetch what is complete meanwhile; then everything."""
    fetched_at, waiting_since, last = 0.0, time.monotonic(), ""
    for state in _states(programs, place.name):
        run = state["run"]
        line = _line(state)
        if line != last:
            programs.show(line)
        last = line
        if not state["queue"]:
            break
        if run.get("since") or state["queue"] in STARTED:
            waiting_since = time.monotonic()
        elif time.monotonic() - waiting_since > request.start_seconds:
            _give_up(programs, state, request.start_seconds)
        if run.get("done") and time.monotonic() - fetched_at > FETCH_SECONDS:
            with contextlib.suppress(Unreachable):  # the next look tries again
                fetch.fetch(programs, place.name, request.job.output)
            fetched_at = time.monotonic()
    programs.show("copying what is complete")
    return fetch.fetch(programs, place.name, request.job.output)


def _states(programs: Programs, name: str) -> Iterator[dict[str, Any]]:
    """Yield what the job of that name does, again and again.

    :raises Unreachable: the head node has not answered for long.
    """
    answered = time.monotonic()
    while True:
        try:
            yield next(one for one in jobs.look(programs) if one["name"] == name)
            answered = time.monotonic()
        except Unreachable as error:
            if time.monotonic() - answered > SILENT_SECONDS:
                raise
            programs.show(f"{error}; trying again")
        time.sleep(LOOK_SECONDS)


def _line(state: dict[str, Any]) -> str:
    """Return what a job does, in a line."""
    run, queue = state["run"], state["queue"]
    if not queue:
        return f"the job has ended: {run.get('state', 'nothing was rendered')}"
    reason = f" ({state['reason']})" if state["reason"] not in ("", "None") else ""
    if queue not in STARTED or not run.get("since"):
        words = {"PENDING": "waiting for nodes", "CONFIGURING": "nodes are starting"}.get(queue, "starting")
        return f"{words}{reason}"
    if run.get("total") is None:
        return str(run.get("phase") or "starting")
    ends = f", done at about {time.strftime('%H:%M', time.localtime(run['ends']))}" if run.get("ends") else ""
    cost = f", ${run['cost']:.2f} so far" if run.get("cost") is not None else ""
    return f"{run.get('done') or 0} of {plural(run['total'], 'image')}{cost}{ends}"


def _give_up(programs: Programs, state: dict[str, Any], seconds: float) -> None:
    """End a job for which no node came, and delete the cluster, unless other jobs need it.

    :raises LaunchFailed: always.
    """
    jobs.ask(programs, "cancel", state["name"])
    try:
        left = delete(programs, ended=state["name"])
    except UsageError as error:
        what = f"the cluster is kept: {error}"
    else:
        rest = f", but for {', '.join(one.arn for one in left)}" if left else ""
        what = f"the cluster was deleted{rest}"
    reasons = [one for one in (state["reason"], state["nodes"]) if one not in ("", "None")]
    reason = f" (Slurm: {'; '.join(reasons)})" if reasons else ""
    raise LaunchFailed(
        f"no node came within {seconds / 60:g} minutes{reason}; {what}; try other types of instances, another region, "
        "or another time; a new account may have a quota of 0 spot instances"
    )


@contextlib.contextmanager
def _telling_what_is_kept(programs: Programs) -> Iterator[None]:
    """Say after Ctrl-C, or an error, that the cluster goes on."""
    kept = (
        f"the cluster {programs.farm.name} is kept, if it was made, and goes on costing money: {_how_to_end(programs)}"
    )
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"no longer watching; {kept}") from None
    except MpirenderError:
        with contextlib.suppress(MpirenderError):
            if cluster.found(programs) is not None:
                programs.show(kept)
        raise


def _how_to_end(programs: Programs) -> str:
    file = shlex.quote(str(programs.farm.file))
    return f"run the same command again to go on, or end it with: mpirender cloud delete {file}"


def _incomplete(programs: Programs, here: Fetched) -> MpirenderError:
    """Return the error for a job that has ended without everything."""
    if here.wrong:
        first = f"{len(here.wrong)} files here are not those that were rendered, the first is {here.wrong[0]}"
        return FramesMissing(f"{first}; remove them and run the same command again")
    said = f": {here.message[0]}" if here.message else ""
    file, total = shlex.quote(str(programs.farm.file)), "?" if here.total is None else here.total
    kind = PriceLimitReached if here.code == PriceLimitReached.exit_code else FramesMissing
    return kind(
        f"the run in the cloud has ended without a movie ({here.state}{said}); {here.images} of {total} images are in "
        f"{here.output}. The head node and the storage are kept: until they are deleted, the head node costs its price "
        f"by the hour, at most {programs.farm.max_hours:g} hours, then it stops itself, and the storage costs "
        f"{_cost_of_storage(programs)}. Go on with the same command, or: mpirender cloud delete {file}"
    )


def _cost_of_storage(programs: Programs) -> str:
    """Return about what the storage costs a day, by Amazon's list prices in most regions."""
    month, gigabytes = programs.farm.storage_price, programs.farm.storage_size
    if not gigabytes:
        gigabytes = jobs.ask(programs, "size", quiet=True)["bytes"] / 1e9
    return f"about ${gigabytes * month / 30:.2f} a day ({gigabytes:.3g} GB at ${month:g} a month)"


def _complete_before(programs: Programs, request: CloudRequest, digest: str) -> Fetched | None:
    """Return what is here if an earlier command has fetched everything, else None."""
    output = request.job.output
    before = fetch.marked(output)
    if before.get("complete") != digest:
        return None
    if not all(fetch.sound(output, path, state) for path, state in before.get("files", {}).items()):
        return None
    programs.show(f"everything is in {output} already")
    count = int(before.get("images", 0))
    return Fetched(output, count, count, (), before.get("results", ()), "finished", ())


def _remember_complete(here: Fetched, digest: str) -> None:
    known = {**fetch.marked(here.output), "complete": digest, "images": here.images, "results": here.results}
    files.write_text(here.output / FOLDER / fetch.MARK, json.dumps(known))


def _delete_if_done(programs: Programs, request: CloudRequest) -> None:
    """Delete the cluster unless it is to be kept, or other jobs need it."""
    if request.keep:
        programs.show(f"the cluster {programs.farm.name} is kept, as asked: {_how_to_end(programs)}")
        return
    try:
        left = delete(programs)
    except UsageError as error:
        programs.show(f"the cluster {programs.farm.name} is kept: {error}")
        return
    for one in left:
        programs.show(f"still there, delete it by hand: {one.arn}")
    programs.show(f"the cluster {programs.farm.name} and its storage are deleted")


def _every_step(programs: Programs, request: CloudRequest, needed: Sequence[str]) -> None:
    """Show the commands of all steps."""
    place = begin(programs, request, needed)
    fetch.fetch(programs, place.name, request.job.output)
    delete(programs)


def _files(path: Path) -> list[Path]:
    """Return the files in a folder, or the file."""
    return sorted(path.rglob("*")) if path.is_dir() else [path]
