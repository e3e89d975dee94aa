"""One Slurm job instead of a job array, on a real cluster of three nodes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender.movie import encode
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record
from processes import need
from repository import REPOSITORY
from slurm_cluster import PROGRAMS, Cluster, eventually

pytestmark = pytest.mark.slow
SCRIPT = REPOSITORY / "launch" / "mpi_render.slurm"
TWO_BY_TWO = ("--nodes=2", "--ntasks-per-node=2")
SMALL = ("--size", "80x50")
PROGRAM = Path(sys.executable).with_name("mpirender")


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    for program in PROGRAMS:
        need(program)
    if os.geteuid() != 0:
        pytest.skip("a cluster in namespaces of its own needs root")
    shared = [tmp_path_factory.getbasetemp(), REPOSITORY, Path(sys.prefix)]
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    with Cluster(folder, shared) as cluster:
        cluster.environment["PATH"] += f":{PROGRAM.parent}"
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Give each test a cluster in which all nodes are there and nothing runs."""
    running_cluster.mend()
    yield running_cluster
    running_cluster.run("scancel", "--user=root")
    eventually(lambda: not running_cluster.ask("squeue", "-h", "-t", "running,completing"), 60)


Submit = Callable[..., str]


@pytest.fixture
def sbatch(cluster: Cluster, tmp_path: Path) -> Submit:
    """Submit the script as users do: what is for sbatch, then what is for render; return the number of the job."""

    def sbatch(options: tuple[str, ...], *arguments: object, script: Path = SCRIPT) -> str:
        words = [*options, script, *arguments]
        done = cluster.run("sbatch", "--parsable", f"--output={tmp_path}/log", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return sbatch


def slow_scene(folder: Path, frames: int = 60, seconds: float = 0.2, **more: object) -> Path:
    path = folder / "slow.pattern"
    path.write_text(json.dumps({"frames": frames, "seconds": seconds, **more}))
    return path


def ended(cluster: Cluster, number: str, seconds: float = 120) -> dict[str, str]:
    """Wait until a job has ended for good, without a pause when it is back in the queue; return what Slurm says."""

    def over() -> dict[str, str] | None:
        job = cluster.job(number)
        if job["JobState"] == "PENDING" and job["Restarts"] != "0":
            start_now(cluster, number)
        return None if job["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING") else job

    return eventually(over, seconds)


def waits(cluster: Cluster, number: str) -> bool:
    """Whether a job is in the queue."""
    return cluster.job(number)["JobState"] == "PENDING"


def start_now(cluster: Cluster, number: str) -> None:
    """Spare a job most of the two minutes that it would wait in the queue after a requeue.

    They are there for what is left of the life before: Slurm ends everything of the job, and would end what the next
    life has started as well. A job may start after it was last seen in the queue; then what is busy is its next life.
    """
    eventually(lambda: not cluster.busy() or not waits(cluster, number), 60)
    time.sleep(3)
    cluster.run("scontrol", "update", f"jobid={number}", "StartTime=now")
    time.sleep(1)


def start_again(cluster: Cluster, number: str) -> None:
    """Wait until a job is back in the queue, and start it."""
    eventually(lambda: waits(cluster, number))

    def started() -> bool:
        start_now(cluster, number)
        return not waits(cluster, number)

    eventually(started)


def records(output: Path, event: str) -> list[Record]:
    return [record for record in journal.read(output / ".mpirender") if record["event"] == event]


def deaths(output: Path) -> list[Record]:
    """Return the deaths of ranks all of which had come up.

    Debian 12's srun --mpi=pmix loses now and then, on a busy machine, what the ranks of a node tell each other as they
    start. MPI dies of that, mostly before mpirender is reached (1 in 40 starts of a program that only says hello), and
    the ranks are started again.
    """
    came = Counter((record["life"], record["ranks"]) for record in records(output, "start"))
    up = {life for (life, ranks), count in came.items() if count == ranks}
    return [record for record in records(output, "death") if record["life"] in up]


def some_are_done(output: Path, count: int = 4) -> None:
    """Wait until so many images are done; a launcher that does not answer costs its trial a minute, then the next."""
    eventually(lambda: (output / ".mpirender").is_dir() and len(records(output, "done")) >= count, 180, story(output))


def story(output: Path) -> Callable[[], str]:
    """Return what tells how far a run has come, from its job's log and its own files."""

    def told() -> str:
        own = output / ".mpirender"
        places = [output.parent / "log", own / "launch.log", own / "run.jsonl", *sorted(own.glob("rank-*.jsonl"))]
        texts = [(place, place.read_text(errors="replace")[-3000:]) for place in places if place.exists()]
        listing = ["ps", "-eo", "pid,ppid,stat,etimes,args", "--forest"]
        running = subprocess.run(listing, capture_output=True, text=True, check=False)
        return "\n".join(["it never came to be", *(f"--- {place}\n{text}" for place, text in texts), running.stdout])

    return told


def assert_each_frame_was_done_once(output: Path, frames: int) -> None:
    assert sorted(record["frame"] for record in records(output, "done")) == list(range(frames))
    assert json.loads((output / ".mpirender" / "manifest.json").read_text())["complete"]


def status(cluster: Cluster, output: Path) -> dict[str, object]:
    done = cluster.run(PROGRAM, "status", output, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- it renders


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_frames_of_a_job_on_two_nodes_are_paraviews(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path, how: str
) -> None:
    words = ("--size", SIZE, "--launcher", how, "--schedule", "dynamic")
    number = sbatch(TWO_BY_TWO, scenes.state("orbit"), *words)
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log
    output = tmp_path / "orbit_renders"
    assert_same_pictures(output / SIZE, scenes.frames("orbit"))
    assert (output / f"orbit_{SIZE}.mp4").is_file()
    assert Counter(record["host"] for record in records(output, "start")) == {"n1": 2, "n2": 2}
    assert re.search(rf"Slurm job {number}: 4 ranks on n\[1-2\] by {how}", log)


def test_a_blender_file_is_rendered_on_two_nodes_into_one_movie(
    cluster: Cluster, sbatch: Submit, blends: SimpleNamespace, tmp_path: Path
) -> None:
    reference = blends.animate(blends.file("quick"), tmp_path / "own")
    job = ended(cluster, sbatch(TWO_BY_TWO, blends.file("quick")))
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), (tmp_path / "log").read_text()
    output = tmp_path / "quick_renders"
    assert_same_pictures(output / "160x90", reference)
    assert encode.read_back(output / "quick_160x90.mp4").frames == 12
    assert Counter(record["host"] for record in records(output, "start")) == {"n1": 2, "n2": 2}
    assert Counter(record["host"] for record in records(output, "done")) == {"n1": 6, "n2": 6}


def test_ranks_of_two_nodes_share_the_frames_of_a_study(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """A group on each node, and one on both."""
    words = ("--size", SIZE, "--vary", "Contour1.Isosurfaces=100,140,180", "--ranks-per-frame", "2")
    options = ("--nodes=2", "--ntasks-per-node=3", "--export=ALL,MPIRENDER_COMMAND=study")
    job = ended(cluster, sbatch(options, scenes.state("cut"), *words))
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log
    output = tmp_path / "cut_study"
    starts = records(output, "start")
    places = [sorted([start["host"], *(other["host"] for other in start["followers"])]) for start in starts]
    assert sorted(places) == [["n1", "n1"], ["n1", "n2"], ["n2", "n2"]]
    assert "3 groups of 2 ranks on n[1-2] by " in log
    assert len((output / "study.csv").read_text().splitlines()) == 1 + 3
    pictures = [pixels(path) for path in sorted(output.glob("*/*/*.png"))]
    assert len(pictures) == 3
    assert all(np.abs(pictures[0].astype(int) - other).max() > 50 for other in pictures[1:])


def test_status_on_the_login_node_shows_a_job_as_it_runs(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    seen = status(cluster, output)
    assert (seen["state"], seen["host"], seen["total"]) == ("running", "n1", 60)
    assert {rank["host"] for rank in seen["ranks"]} == {"n1", "n2"}
    assert f"Slurm job {number}" in cluster.ask(PROGRAM, "status", output)
    assert ended(cluster, number)["JobState"] == "COMPLETED"
    assert status(cluster, output)["state"] == "finished"


def test_jobs_of_two_users_with_equal_names_do_not_collide(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """Both render on the same node at once, each with an X server there, from folders of their own."""
    options = ("--nodes=1", "--ntasks=2", "--nodelist=n1")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    scene = Path(shutil.copy(scenes.state("orbit"), theirs))
    shutil.chown(theirs, "nobody", "nogroup")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    number = sbatch(options, scenes.state("orbit"), "--size", SIZE)
    words = ["sbatch", "--parsable", f"--output={theirs}/log", *options, SCRIPT, scene, "--size", SIZE]
    other = cluster.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words, cwd=theirs)
    assert other.returncode == 0, other.stderr
    for one, folder in ((number, tmp_path), (other.stdout.strip(), theirs)):
        job = ended(cluster, one)
        assert job["JobState"] == "COMPLETED", (folder / "log").read_text()
        assert job["NodeList"] == "n1"
        assert_same_pictures(folder / "orbit_renders" / SIZE, scenes.frames("orbit"))
    assert (theirs / "orbit_renders" / f"orbit_{SIZE}.mp4").owner() == "nobody"


def test_within_salloc_the_ranks_run_on_the_nodes(cluster: Cluster, tmp_path: Path) -> None:
    scene = slow_scene(tmp_path, 8, 0.01)
    done = cluster.run("salloc", *TWO_BY_TWO, PROGRAM, "render", scene, *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {record["host"] for record in records(tmp_path / "slow_renders", "start")} == {"n1", "n2"}


@pytest.mark.parametrize(
    ("options", "ranks", "threads"),
    [
        (("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4"), 2, 4),
        (("--nodes=2", "--exclusive"), 16, 1),
        (("--nodes=1", "--exclusive", "--cpus-per-task=4"), 2, 4),
        (("--ntasks=3",), 3, 1),
    ],
)
def test_ranks_and_threads_follow_what_slurm_was_asked_for(
    cluster: Cluster, tmp_path: Path, options: tuple[str, ...], ranks: int, threads: int
) -> None:
    shown = cluster.run("salloc", *options, PROGRAM, "render", slow_scene(tmp_path), "--dry-run", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    words = shlex.split(shown.stdout.splitlines()[-1])
    assert f"LP_NUM_THREADS={threads}" in words
    assert words[words.index("-n") + 1] == str(ranks)


def test_the_schedule_that_the_dry_run_shows_can_be_pasted(cluster: Cluster, tmp_path: Path) -> None:
    scene = slow_scene(tmp_path, 6, 0.01)
    script = tmp_path / "job.sh"
    script.write_text(f'#!/bin/sh\n{PROGRAM} render {scene} --dry-run --size 80x50 "$@" | tail -n 1 | sh -e\n')
    for how in ("mpiexec", "srun"):
        done = cluster.run("sbatch", "--wait", *TWO_BY_TWO, "-o", "log", script, "--launcher", how, cwd=tmp_path)
        assert done.returncode == 0, (tmp_path / "log").read_text()
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 6)


# --- time is over


def test_a_job_whose_time_is_over_queues_up_again_and_its_next_life_finishes(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    eventually(lambda: waits(cluster, number))
    assert status(cluster, output)["state"] == "stopped"
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 60)
    story = [
        f"Slurm job {number}: 4 ranks on n[1-2]",
        "images, stopping on SIGUSR1: images in flight get 1 min 30 s to end",
        f"of 60 images are done; Slurm job {number} is back in the queue and goes on with what is left",
        f"Slurm job {number}, started for the 2nd time: 4 ranks on n[1-2]",
        "kept from before",
    ]
    places = [log.index(line) for line in story]
    assert places == sorted(places), log
    assert "Traceback" not in log


def test_slurms_own_warning_before_the_end_of_the_time_limit_does_the_same(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    """Slurm looks at the time every half a minute, and warns as much earlier than asked.

    The limit is a minute, its shortest, so the warning comes 20 to 50 seconds after the start. Some images must be
    done by then, also on a machine that does much else.
    """
    options = (*TWO_BY_TWO, "--time=1", "--signal=B:USR1@10")
    number = sbatch(options, slow_scene(tmp_path, 1000, 0.2), *SMALL)
    eventually(lambda: cluster.job(number)["Restarts"] == "1", 120, story(tmp_path / "slow_renders"))
    assert "is back in the queue" in (tmp_path / "log").read_text()
    assert records(tmp_path / "slow_renders", "done")


def test_a_job_that_gets_nowhere_does_not_queue_up_again(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 100), *SMALL, "--grace-period", 1)
    eventually(lambda: records(tmp_path / "slow_renders", "take"))
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "75:0", "0")
    assert "is not put back into the queue: no image was done in this life" in (tmp_path / "log").read_text()


def test_a_job_queues_up_only_so_often(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 400), *SMALL, "--max-requeues", 1)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    eventually(lambda: waits(cluster, number))
    done = len(records(output, "done"))
    start_again(cluster, number)
    some_are_done(output, done + 4)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "75:0", "1")
    assert "it has been there 1 time (--max-requeues)" in (tmp_path / "log").read_text()


def test_a_job_that_may_not_queue_up_again_says_so(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch((*TWO_BY_TWO, "--no-requeue"), slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    assert ended(cluster, number)["ExitCode"] == "75:0"
    assert "could not be put back into the queue (scontrol: " in (tmp_path / "log").read_text()


def test_scancel_ends_a_job_for_good_and_leaves_nothing_running(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scancel", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")
    eventually(lambda: not subprocess.run(["pgrep", "-f", str(output)], stdout=subprocess.PIPE, check=False).stdout)
    assert "stopped on SIGTERM" in (tmp_path / "log").read_text()
    assert not (output / ".mpirender" / "lock").exists()


def test_a_job_that_slurm_starts_again_and_again_without_an_image_done_ends(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    """As when its node dies of it each time."""
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 100), *SMALL, "--grace-period", 0)
    for life in (1, 2, 3):
        eventually(lambda: (output / ".mpirender").is_dir() and len(records(output, "launch")) == life, 60)  # noqa: B023
        cluster.ask("scontrol", "requeue", number)
        start_again(cluster, number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "4:0", "3")
    assert "3 times in a row no image was done" in (tmp_path / "log").read_text()
    assert len(records(output, "launch")) == 3


# --- nodes are lost


def test_a_node_that_is_set_down_leads_to_a_requeue_and_a_finished_movie(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 60)
    assert f"Slurm job {number}, started for the 2nd time: 4 ranks on n[" in log


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_without_kill_a_run_goes_on_when_a_node_crashes(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "slow_renders"
    options = ("--nodes=3", "--ntasks-per-node=2", "--no-kill")
    number = sbatch(options, slow_scene(tmp_path, 100), *SMALL, "--launcher", how)
    some_are_done(output)
    cluster.crash("n2")
    job = ended(cluster, number, 180)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0"), log
    assert_each_frame_was_done_once(output, 100)
    assert len(deaths(output)) == 1, story(output)()
    (death,) = deaths(output)
    assert death["reason"] == "node n2 does not answer any more"
    assert death["blamed"] == []
    assert re.search(rf"Slurm job {number}: 4 ranks on n1,n3 by {how}", log)


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_crashed_node_leads_to_a_requeue_and_a_finished_movie(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, node: str
) -> None:
    """n1 is where the batch script runs: nobody is left there to give back the lock."""
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 200), *SMALL)
    some_are_done(output)
    cluster.crash(node)
    job = ended(cluster, number, 240)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 200)


def test_a_launcher_that_has_worked_gets_another_try(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    """As when a node is slow to answer: the trial went well, the first start of the ranks did not."""
    moody = tmp_path / "mpiexec"
    once = f'[[ " $* " != *" --trial "* ]] && mkdir {tmp_path}/tried 2>/dev/null && exit 205'
    moody.write_text(f'#!/bin/bash\n{once}\nexec mpiexec "$@"\n')
    moody.chmod(0o755)
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 0.01), *SMALL, "--mpiexec", moody)
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert job["JobState"] == "COMPLETED", log
    assert "warning: mpiexec ended before a rank had started (exit code 205); starting again" in log
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 8)


# --- it fails


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_poison_frame_fails_the_job_and_the_other_frames_are_there(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    scene = slow_scene(tmp_path, 12, 0.05, kill=[5])
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--launcher", how))
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "4:0", "0"), log
    assert "80x50 frames 5: set aside after 2 deaths at it" in log
    assert len(list((tmp_path / "slow_renders" / "80x50").glob("*.png"))) == 11


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_rank_that_is_killed_on_another_node_costs_its_frame_in_flight(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL, "--launcher", how)
    some_are_done(output)
    victim = next(record for record in records(output, "start") if record["host"] == "n2")
    assert cluster.run("kill", "-KILL", victim["pid"], on="n2").returncode == 0
    job = ended(cluster, number)
    assert job["JobState"] == "COMPLETED", (tmp_path / "log").read_text()
    (death,) = deaths(output)
    assert death["reason"].startswith(f"rank {victim['rank']} on n2 died")
    assert_each_frame_was_done_once(output, 60)


def test_mistakes_fail_the_job_with_their_lines_and_it_is_not_requeued(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.pvsm"
    lost.write_text(scenes.state("series").read_text().replace(str(scenes.folder / "data"), "/nowhere"))
    for arguments, line in (
        ((slow_scene(tmp_path), "--size", "4KK"), "--size '4KK' is not a size"),
        ((lost,), "/nowhere/shape_"),
        ((tmp_path / "none.pvsm",), "none.pvsm: no such file"),
    ):
        (tmp_path / "log").unlink(missing_ok=True)
        job = ended(cluster, sbatch((), *arguments))
        log = (tmp_path / "log").read_text()
        assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "2:0", "0")
        assert f"mpirender: error: {line}" in log or (line in log and "mpirender: error: " in log)
        assert "Traceback" not in log


def test_a_launcher_that_does_not_connect_the_ranks_is_found_out(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    lonely = tmp_path / "mpiexec"
    # As the mpiexec of another MPI does: every rank is started, none knows of the others.
    lonely.write_text('#!/bin/bash\nunset "${!OMPI@}" "${!PMI@}"; shift 2; [[ $1 == -host ]] && shift 2; "$@"; "$@"\n')
    lonely.chmod(0o755)
    scene = slow_scene(tmp_path, 8, 0.01)
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--mpiexec", lonely, "--launcher", "mpiexec"))
    assert job["ExitCode"] == "3:0"
    assert "each of 2 ranks believes that it is alone" in (tmp_path / "log").read_text()
    (tmp_path / "log").unlink()
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--mpiexec", lonely))
    log = (tmp_path / "log").read_text()
    assert job["ExitCode"] == "0:0", log
    assert "mpiexec: each of 2 ranks believes that it is alone; srun --mpi=pmix starts ranks that see each other" in log
    assert "4 ranks on n[1-2] by srun --mpi=pmix" in log
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 8)


# --- submit


def test_submit_checks_writes_the_script_and_the_job_makes_the_movie(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / 'ho st\'ile "dir" $HOME %j'
    folder.mkdir()
    scene = slow_scene(tmp_path, 8, 0.01).rename(folder / "or'b $i t%d.pattern")
    words = ["--size", "80x50", "--output", "o ut", *TWO_BY_TWO]
    done = cluster.run(PROGRAM, "submit", scene, *words, "--", "--comment", "a b", cwd=folder)
    assert done.returncode == 0, done.stderr
    number = re.search(r"submitted  Slurm job (\d+)\n", done.stdout)[1]
    job = ended(cluster, number)
    output = folder / "o ut"
    log = (output / f"mpirender-{number}.log").read_text()
    assert job["JobState"] == "COMPLETED", log
    assert "4 ranks on n[1-2]" in log
    assert (output / "or'b $i t%d_80x50.mp4").is_file()
    assert "#SBATCH --comment 'a b'" in (output / "mpi_render.slurm").read_text()
    watch = re.search(r"watch  (.*)\n", done.stdout)[1]
    assert "finished" in cluster.ask(PROGRAM, *shlex.split(watch)[1:])


def test_what_slurm_refuses_is_told_in_a_line(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.run(PROGRAM, "submit", slow_scene(tmp_path), "--partition", "nowhere", cwd=tmp_path)
    assert done.returncode == 6
    assert re.fullmatch(r"mpirender: error: sbatch: .*invalid partition specified: nowhere.*\n", done.stderr)


def test_submit_refuses_a_folder_in_which_a_run_lives(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    scene = slow_scene(tmp_path)
    sbatch(TWO_BY_TWO, scene, *SMALL)
    some_are_done(tmp_path / "slow_renders")
    done = cluster.run(PROGRAM, "submit", scene, *SMALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "another run writes here: pid" in done.stderr


# --- pools

POOL = """
import socket, sys, time
from mpirender import pool

def where(number):
    time.sleep(0.3)
    return socket.gethostname()

def note(outcome):
    with open("done", "a") as file:
        file.write(f"{outcome.number}\\n")

if __name__ == "__main__":
    for outcome in pool.run(where, range(int(sys.argv[2])), engine="pattern", launcher=sys.argv[1], watch=note):
        print("outcome", outcome.number, outcome.get() == outcome.host, outcome.rank, outcome.host)
"""


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_pool_has_its_ranks_on_all_nodes_though_it_is_called_on_none_of_them(
    cluster: Cluster, tmp_path: Path, how: str
) -> None:
    (tmp_path / "where.py").write_text(POOL)
    done = cluster.run("salloc", *TWO_BY_TWO, sys.executable, "where.py", how, 12, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    outcomes = re.findall(r"outcome (\d+) (True) (\d) (n\d)", done.stdout)
    assert [int(number) for number, *_ in outcomes] == list(range(12))
    hosts = {rank: host for *_, rank, host in outcomes}
    assert sorted(hosts) == ["0", "1", "2", "3"]
    assert hosts["0"] == hosts["1"] != hosts["2"] == hosts["3"], "two of three nodes, whichever"
    assert list(tmp_path.glob("mpirender-pool-*")) == []


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_pool_goes_on_without_a_node_that_crashes(cluster: Cluster, tmp_path: Path, how: str) -> None:
    script = tmp_path / "where.sh"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} where.py {how} 60\n")
    (tmp_path / "where.py").write_text(POOL)
    options = ("--nodes=3", "--ntasks-per-node=2", "--no-kill", f"--output={tmp_path}/log")
    number = cluster.run("sbatch", "--parsable", *options, script, cwd=tmp_path).stdout.strip()
    eventually((tmp_path / "done").exists, 180)
    cluster.crash("n2")
    job = ended(cluster, number, 180)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0"), log
    assert re.search(r"warning: node n2 does not answer any more; starting again", log)
    outcomes = re.findall(r"outcome (\d+) True (\d) (n\d)", log)
    assert [int(number) for number, *_ in outcomes] == list(range(60)), log
    assert {host for *_, host in outcomes[-4:]} == {"n1", "n3"}


# --- The documents


def test_the_sbatch_lines_of_the_documents_are_accepted(
    cluster: Cluster, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """The first is run to its end; the others ask for more nodes than there are, and wait."""
    shutil.copytree(REPOSITORY / "launch", tmp_path / "launch")
    shutil.copy(scenes.state("orbit"), tmp_path)
    text = (REPOSITORY / "docs" / "how-to" / "slurm.md").read_text()
    lines = re.findall(r"^sbatch .*", text, re.MULTILINE)
    numbers = []
    for line in lines:
        done = cluster.run(*shlex.split(line), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        numbers.append(done.stdout.split()[-1])
    cluster.run("scancel", *numbers[1:])
    job = ended(cluster, numbers[0])
    assert job["JobState"] == "COMPLETED", (tmp_path / f"mpirender-{numbers[0]}.log").read_text()
    assert (tmp_path / "orbit_renders" / "orbit_HD.mp4").is_file()


def test_doctor_finds_slurm(cluster: Cluster) -> None:
    assert re.search(r"ok  slurm +\S*sbatch, slurm\S* \d", cluster.ask(PROGRAM, "doctor"))
