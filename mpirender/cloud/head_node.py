"""What runs on the head node of a cluster: each command reads JSON and prints JSON. Started through ssh.

    python -m mpirender.cloud.head_node FOLDER check <request.json     refuse a job that another one is in the way of
    python -m mpirender.cloud.head_node FOLDER submit <request.json    submit a job, unless it is in the queue already
    python -m mpirender.cloud.head_node FOLDER jobs                    what each job does, and what was not fetched
    python -m mpirender.cloud.head_node FOLDER files NAME              which files of a job are complete
    python -m mpirender.cloud.head_node FOLDER fetched NAME <what      record what was fetched
    python -m mpirender.cloud.head_node FOLDER size                    how many bytes mpirender stores
    python -m mpirender.cloud.head_node FOLDER cancel NAME             end a job

FOLDER is that of the jobs, on the shared file system: each has a folder with its files and its output.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from mpirender.errors import LaunchFailed, MpirenderError, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.monitor.status import follow
from mpirender.run_folder import events, journal
from mpirender.system import child_process, files, slurm

JOB, FETCHED, OUTPUT, FILES = "slurm.json", "fetched.json", "renders", "files"
BATCH_SCRIPT = ".slurm"  # suffix
PREFIX = "cloud-"  # of the names of the jobs in Slurm
STARTED = ("RUNNING", "COMPLETING", "SUSPENDED")


def main(folder: Path, command: str, words: list[str]) -> int:
    """Carry out a command; return the exit code."""
    try:
        if command == "check":
            answer: Any = check(folder, json.load(sys.stdin))
        elif command == "submit":
            answer = submit(folder, json.load(sys.stdin))
        elif command == "jobs":
            answer = (
                [state_of(place) for place in sorted(folder.iterdir()) if place.is_dir()] if folder.exists() else []
            )
        elif command == "files":
            answer = complete_files(folder / words[0] / OUTPUT)
        elif command == "fetched":
            files.write_text(folder / words[0] / FETCHED, json.dumps(json.load(sys.stdin)))
            answer = {}
        elif command == "size":
            answer = {"bytes": sum(path.stat().st_size for path in folder.parent.rglob("*") if path.is_file())}
        else:
            answer = cancel(folder / words[0])
    except MpirenderError as error:
        answer = {"error": error.message, "code": error.exit_code}
    print(json.dumps(answer))  # noqa: T201 - the answer
    return 0


def check(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the number of the queued job that renders just this, empty if none is queued.

    :raises UsageError: another scene has the name, or the queued job renders the scene as it was before.
    """
    before = _read(folder / asked["name"] / JOB)
    if (other := before.get("scene", asked["scene"])) != asked["scene"]:
        raise UsageError(f"this cluster has another scene of that name, {other}; give one of them another name")
    queued = slurm.run("squeue", "--noheader", f"--name={PREFIX}{asked['name']}", "--format=%i").split()
    if queued and before.get("digest") != asked["digest"]:
        raise UsageError(
            f"Slurm job {queued[0]} renders {asked['name']} with an earlier scene, data or options; wait for its end, "
            f"or end it on the head node: scancel {queued[0]}"
        )
    return {"number": queued[0] if queued else ""}


def submit(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Submit a job unless it is in the queue, or has finished.

    What it renders is recorded before: a command that was killed afterwards may have submitted it.

    :raises MpirenderError: mpirender or Slurm refuses it, with the reason.
    """
    place = folder / asked["name"]
    if not Path(asked["scene"]).exists():
        raise UsageError(
            f"the scene {asked['name']} was not copied to the cluster yet; use mpirender cloud upload first"
        )
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = {name: asked[name] for name in ("scene", "digest")}
        before = _read(place / JOB)
        if number := check(folder, asked)["number"]:
            files.write_text(place / JOB, json.dumps({**record, "number": number}))
            return {"number": number}
        if before.get("digest") == asked["digest"] and finished(place / OUTPUT):
            return {"number": before["number"]}
        files.write_text(place / JOB, json.dumps({**before, **record}))
        Path(asked["cwd"]).mkdir(parents=True, exist_ok=True)
        own = [sys.executable, "-m", "mpirender", "submit", *asked["arguments"]]
        of_sbatch = [*asked["sbatch"], f"--job-name={PREFIX}{asked['name']}"]
        done = child_process.run([*own, "--script", asked["script"], "--", *of_sbatch], folder=Path(asked["cwd"]))
        found = re.search(r"Slurm job (\S+)", done.output)
        if done.code or not found:
            said = done.errors.strip().replace("mpirender: error: ", "")
            raise LaunchFailed(said or f"mpirender submit: {child_process.ending(done.code)}")
        files.write_text(place / JOB, json.dumps({**record, "number": found[1]}))
        return {"number": found[1]}


def finished(output: Path) -> bool:
    """Return whether the newest run of an output folder has made its movies."""
    return (output / FOLDER).is_dir() and follow.Follower(output).look().state == "finished"


def state_of(place: Path) -> dict[str, Any]:
    """Return what the job of a folder does: its state in the queue, empty if it has left that, and its run."""
    number = _read(place / JOB).get("number", "")
    state, reason = queue_state(number) if number else ("", "")
    output, fetched = place / OUTPUT, _read(place / FETCHED)
    found = {
        "nodes": broken_nodes(),
        "name": place.name,
        "number": number,
        "queue": state,
        "reason": reason,
        "run": {},
        "text": "",
        "unfetched": 0,
    }
    if not (output / FOLDER).is_dir():
        return found
    look = follow.Follower(output).look()
    run = dataclasses.asdict(look)
    run.pop("ranks")
    plans = [one for one in journal.read(output / FOLDER, "rank-0000.jsonl") if isinstance(one, events.Plan)]
    same = bool(plans) and plans[-1].fingerprint == fetched.get("fingerprint")
    unfetched = (look.done or 0) - (int(fetched["images"]) if same else 0)
    if not unfetched and look.state == "finished" and fetched.get("state") != "finished":
        unfetched = 1  # the movie
    return {**found, "run": run, "text": follow.as_text(look), "unfetched": max(unfetched, 0)}


def queue_state(number: str) -> tuple[str, str]:
    """Return the state of a Slurm job and the reason, both empty if it has ended."""
    done = child_process.run(["squeue", "--noheader", f"--jobs={number}", "--format=%T|%r"], timeout=60)
    state, _, reason = done.output.strip().partition("|")
    return state, reason


def broken_nodes() -> str:
    """Return why nodes cannot be used, as Slurm knows it from ParallelCluster: ``InsufficientInstanceCapacity``."""
    done = child_process.run(["sinfo", "--noheader", "--list-reasons", "--format=%E"], timeout=60)
    return "; ".join(dict.fromkeys(line.strip() for line in done.output.splitlines() if line.strip() != "none"))


def complete_files(output: Path) -> dict[str, Any]:
    """Return the files of an output folder that its journals call done, with their digests, by the newest run.

    The results (movies, contact sheet, tables) are there only if the run has finished.
    """
    recorded = journal.read(output / FOLDER)
    plan = next((event for event in reversed(recorded) if isinstance(event, events.Plan)), None)
    if plan is None:
        return {"images": [], "results": [], "total": None, "state": "empty"}
    job = dataclasses.replace(RenderJob.from_json((output / FOLDER / "job.json").read_text()), output=output)
    newest = journal.newest(recorded, plan.fingerprint, job.outputs)
    images = []
    for image, outcome in newest.items():
        if isinstance(outcome, events.Done):
            place = job.place(image)
            images.append((str(place.relative_to(output)), outcome.bytes, outcome.digest))
            images += [(_beside(output, place, one.path), one.bytes, one.digest) for one in outcome.beside]
    status = follow.Follower(output).look()
    results = sorted(_results(output, recorded)) if status.state == "finished" else []
    return {
        "images": images, "results": results, "total": plan.total, "done": status.done, "state": status.state,
        "code": status.code, "message": status.message, "fingerprint": plan.fingerprint,
    }  # fmt: skip


def cancel(place: Path) -> dict[str, Any]:
    """End the job of a folder.

    :raises LaunchFailed: Slurm does not respond.
    """
    number = str(_read(place / JOB).get("number", ""))
    if number:
        slurm.run("scancel", number)
    return {"number": number}


def _beside(output: Path, image: Path, path: str) -> str:
    return str(Path(os.path.normpath(image.parent / path)).relative_to(output))


def _results(output: Path, recorded: list[events.Event]) -> set[tuple[str, int, str]]:
    made = {event.path: event for event in recorded if isinstance(event, events.Made)}
    found = set()
    for path, event in made.items():
        place = output / path
        if (
            place.suffix != BATCH_SCRIPT
            and place.is_file()
            and files.short_digest(place) == (event.bytes, event.digest)
        ):
            found.add((path, event.bytes, files.digest(place.read_bytes())))
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
