"""The MPI program with the pattern engine: real mpiexec, no ParaView."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mpirender
from images import pixels
from movies import read_back
from mpirender.errors import FramesMissing
from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob
from mpirender.launcher.environment import MPI_SETTINGS, ROOT_SETTINGS
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Event
from mpirender.system import files
from processes import Pattern, Run, need
from records import done_frames
from repository import REPOSITORY
from waiting import wait_for

SMALL = ("--size", "160x90")


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["interleaved", "contiguous"])
def test_every_frame_is_rendered_once_whatever_the_ranks(run: Run, pattern: Pattern, ranks: int, schedule: str) -> None:
    done = run("render", pattern(), *SMALL, "--ranks", ranks, "--schedule", schedule)
    assert done.returncode == 0, done.stderr
    output = pattern().parent / "test_renders"
    assert done_frames(output) == list(range(6))
    assert read_back(output / "test_160x90.mp4").frames == 6
    assert "6 rendered" in done.stdout


def test_more_ranks_than_frames_leaves_ranks_idle_and_all_frames_rendered(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern('{"frames": 2}'), *SMALL, "--ranks", 5)
    assert done.returncode == 0, done.stderr
    assert done_frames(pattern().parent / "test_renders") == [0, 1]


def test_one_frame_makes_a_movie_of_one_frame(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    assert run("render", pattern('{"frames": 1}'), *SMALL).returncode == 0
    assert read_back(tmp_path / "test_renders" / "test_160x90.mp4").frames == 1


def test_a_frame_set_with_gaps_makes_a_movie_of_just_those_frames(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 30}'), *SMALL, "--frames", "1-9x4,20,29", "--frame-rate", "10")
    assert done.returncode == 0, done.stderr
    assert done_frames(tmp_path / "test_renders") == [1, 5, 9, 20, 29]
    made = read_back(tmp_path / "test_renders" / "test_160x90.mp4")
    assert (made.frames, made.frame_rate) == (5, 10)


def test_three_sizes_make_three_folders_and_three_movies(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern(), "--size", "160x90", "--size", "odd=161x91", "--size", "tall=90x160", "--ranks", 2)
    assert done.returncode == 0, done.stderr
    for name, shape in (("160x90", (160, 90)), ("odd", (162, 92)), ("tall", (90, 160))):
        assert len(list((tmp_path / "test_renders" / name).glob("frame_*.png"))) == 6
        made = read_back(tmp_path / "test_renders" / f"test_{name}.mp4")
        assert (made.frames, made.width, made.height) == (6, *shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "image_format"),
    [
        ("mp4", "png"),
        ("webm", "jpg"),
        ("gif", "tiff"),
        ("mkv", "jpg"),
        ("none", "png"),
        ("mp4", "tiff"),
        ("gif", "png"),
    ],
)
def test_every_movie_kind_and_every_image_format(
    run: Run, pattern: Pattern, tmp_path: Path, kind: str, image_format: str
) -> None:
    done = run("render", pattern(), *SMALL, "--movie", kind, "--image-format", image_format)
    assert done.returncode == 0, done.stderr
    movies = [path.name for path in (tmp_path / "test_renders").glob("test_160x90.*")]
    assert movies == ([] if kind == "none" else [f"test_160x90.{kind}"])


def test_transparent_frames_stay_transparent(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern(), *SMALL, "--transparent-background", "--movie", "webm")
    assert done.returncode == 0, done.stderr
    picture = pixels(tmp_path / "test_renders" / "160x90" / "frame_000000.png")
    assert picture.shape == (90, 160, 4)
    assert picture[0, 0, 3] == 0


def test_the_same_command_again_renders_nothing(run: Run, pattern: Pattern, rendered: Path) -> None:
    again = run("render", pattern(), *SMALL, "--ranks", 3)
    assert again.returncode == 0
    assert "0 rendered, 6 kept from before" in again.stdout
    assert done_frames(rendered) == list(range(6))


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "gone", "other"])
def test_a_damaged_frame_is_rendered_again_and_no_other(
    run: Run, pattern: Pattern, rendered: Path, damage: str
) -> None:
    folder = rendered / "160x90"
    victim = folder / "frame_000003.png"
    content = victim.read_bytes()
    changed = {
        "cut": content[:-20], "empty": b"", "flipped": content[:60] + bytes([content[60] ^ 1]) + content[61:],
        "other": (folder / "frame_000002.png").read_bytes(),
    }  # fmt: skip
    victim.unlink() if damage == "gone" else victim.write_bytes(changed[damage])
    again = run("render", pattern(), *SMALL)
    assert "1 rendered, 5 kept from before" in again.stdout
    assert victim.read_bytes() == content


@pytest.mark.usefixtures("rendered")
def test_another_scene_of_the_same_name_is_rendered_again(run: Run, pattern: Pattern) -> None:
    assert "6 rendered," in run("render", pattern('{"frames": 6, "seconds": 0.001}'), *SMALL).stdout


def test_frames_that_fail_are_named_with_rank_host_and_reason_and_no_movie_is_made(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 8, "fail": [3, 5]}'), *SMALL, "--ranks", 2)
    assert done.returncode == 4
    assert f"160x90 frames 3: rank 0 on {os.uname().nodename}: the pattern is set to fail at frame 3" in done.stderr
    assert "frames 5: rank 0" in done.stderr
    assert "2 of 8 images missing, so no movie was made" in done.stderr
    assert not list((tmp_path / "test_renders").glob("*.mp4"))
    assert done_frames(tmp_path / "test_renders") == [0, 1, 2, 4, 6, 7]


def test_with_on_error_warn_failed_frames_are_kept_and_reported(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("render", pattern('{"frames": 8, "fail": [3, 5]}'), *SMALL, "--on-error", "warn")
    assert done.returncode == 0, done.stderr
    assert "warning: frame 3: the pattern is set to fail at frame 3" in done.stdout
    assert "errors were reported during 2 images" in done.stdout
    strict = run("render", pattern('{"frames": 8, "fail": [3, 5]}'), *SMALL)
    assert strict.returncode == 4, "an image kept despite an error must not count as complete"
    assert "2 of 8 images missing" in strict.stderr
    assert read_back(tmp_path / "test_renders" / "test_160x90.mp4").frames == 8


def test_when_the_command_itself_is_killed_no_rank_goes_on(pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 100, "seconds": 0.2}')
    command = [sys.executable, "-m", "mpirender", "render", str(scene), *SMALL, "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        wait_for(lambda: len(done_frames(tmp_path / "test_renders")) > 2)
        process.kill()
    wait_for(lambda: not subprocess.run(["pgrep", "-f", str(tmp_path)], stdout=subprocess.PIPE, check=False).stdout)


@pytest.mark.parametrize("schedule", ["interleaved", "contiguous"])
def test_the_shown_command_can_be_pasted_and_the_schedule_is_true(
    run: Run, pattern: Pattern, tmp_path: Path, schedule: str
) -> None:
    shown = run("render", pattern(), *SMALL, "--ranks", 2, "--schedule", schedule, "--dry-run")
    assert shown.returncode == 0
    assert not (tmp_path / "test_renders" / "160x90").exists()
    command = shown.stdout.strip().splitlines()[-1]
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    assert done.returncode == 0, done.stderr
    for record in journal.read(tmp_path / "test_renders" / ".mpirender"):
        if isinstance(record, events.Done):
            line = next(line for line in shown.stdout.splitlines() if line.startswith(f"rank {record.rank}:"))
            assert record.image.frame in framesets.parse(line.partition(": ")[2])


def test_the_job_runs_from_python(pattern: Pattern, tmp_path: Path) -> None:
    job = RenderJob(scene=pattern(), output=tmp_path / "out", sizes=("160x90", "80x50"), ranks=2, movie="gif")
    seen: list[Event] = []
    result = mpirender.render(job, watch=seen.extend)
    assert [len(images) for images in result.frames.values()] == [6, 6]
    assert all(image.is_file() for images in result.frames.values() for image in images)
    assert [made.name for made in result.movies] == ["test_160x90.gif", "test_80x50.gif"]
    assert (result.rendered, result.kept) == (12, 0)
    assert 0 < result.seconds_per_image < result.seconds
    assert 0 < result.busy <= 1
    assert {events.Start, events.Plan, events.Take, events.Done, events.Movie} <= set(map(type, seen))


def test_errors_reach_python_as_exceptions(pattern: Pattern, tmp_path: Path) -> None:
    with pytest.raises(FramesMissing, match="frames 1"):
        mpirender.render(
            RenderJob(scene=pattern('{"fail": [1], "frames": 2}'), output=tmp_path / "o", sizes=("80x50",))
        )


def test_the_manifest_names_every_image_with_its_digest(rendered: Path) -> None:
    manifest = json.loads((rendered / ".mpirender" / "manifest.json").read_text())
    assert manifest["complete"]
    assert len(manifest["images"]) == 6
    for image in manifest["images"]:
        path = rendered / "160x90" / framesets.file_name(image["frame"], "png")
        assert files.digest(path.read_bytes()) == image["digest"]


def test_images_differ_between_frames_and_show_their_number(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    assert run("render", pattern('{"frames": 12}'), *SMALL, "--movie", "none").returncode == 0
    pictures = [pixels(path) for path in sorted((tmp_path / "test_renders" / "160x90").glob("*.png"))]
    assert len({picture.tobytes() for picture in pictures}) == 12
    assert all(np.any(np.all(picture == 0, axis=2)) for picture in pictures)


def test_ranks_that_do_not_see_each_other_are_found(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """MPICH's mpiexec starts ranks whose mpi4py uses Open MPI: each believes it is rank 0 of 1."""
    folder = tmp_path / "mpich"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "mpich"]
    subprocess.run(install, check=True, capture_output=True)
    done = run("render", pattern(), *SMALL, "--ranks", 2, "--mpiexec", folder / "bin" / "mpiexec")
    assert done.returncode == 3
    assert done.stderr.count("each believes it is alone") == 1
    assert not (tmp_path / "test_renders" / "160x90").exists()


@pytest.mark.slow
def test_functions_that_take_a_communicator_work_under_mpiexec(tmp_path: Path) -> None:
    """Run the tests marked mpi on three ranks, with pytest-mpi.

    Their temporary folders are in a folder of this test, because pytest processes that clean up a shared folder
    interfere with each other.
    """
    temporary = {"PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    environment = {**os.environ, **MPI_SETTINGS, **ROOT_SETTINGS, **temporary}
    command = [need("mpiexec"), "-n", "3", sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--only-mpi"]
    files = [str(REPOSITORY / f"tests/ranks/test_{name}.py") for name in ("gather", "retries", "dynamic_schedule")]
    done = subprocess.run([*command, *files], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" passed") == 3


def test_rank_called_wrongly_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-m", "mpirender.ranks"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "mpiexec -n RANKS" in done.stderr


def test_nothing_hostile_in_a_path_matters(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' $HOME %d é"
    done = run("render", pattern(name="or bit%d $x.pattern"), *SMALL, "--output", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "or bit%d $x_160x90.mp4").is_file()


@pytest.mark.slow
def test_a_rank_opens_few_small_files_and_a_frame_only_its_own(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """Thousands of ranks open these files at once. The modules are compiled, as after pip install."""
    need("strace")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(REPOSITORY / "mpirender")], check=True)
    traced = tmp_path / "pvbatch"
    kinds = "trace=open,openat,stat,newfstatat,statx,access,getdents64,readlink,unlink,rename"
    traced.write_text(
        '#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" ] || exec pvbatch "$@"\n'
        f'exec strace -f -qq -y -e {kinds} -o {tmp_path}/trace.$OMPI_COMM_WORLD_RANK pvbatch "$@"\n'
    )
    traced.chmod(0o755)
    done = run("render", scenes.state("orbit"), "--size", "80x50", "--ranks", 2, "--pvbatch", traced)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "trace.1").read_text().splitlines()
    opened = {line.split('"')[1] for line in calls if re.search(r"\bopen(at)?\(", line) and "ENOENT" not in line}
    ours = {name for name in opened if any(Path(name).is_relative_to(root) for root in (REPOSITORY, sys.prefix))}
    page = REPOSITORY / "docs" / "how-to" / "start-thousands-of-ranks.md"
    (told,) = re.findall(r"Each opens (\d+) mpirender files", page.read_text())
    assert len({name for name in ours if Path(name).is_file()}) == pytest.approx(int(told), abs=3)
    assert not [name for name in ours if "/numpy/" in name], "the numpy that belongs to ParaView must be used"
    begun = [line for line in calls if " resumed>" not in line]  # strace splits a call that another process interrupts
    of_frames = [line for line in begun if str(tmp_path / "orbit_renders") in line]
    assert not [line for line in of_frames if "getdents64" in line], "no rank may list a folder"
    assert not [line for line in calls if str(scenes.state("orbit")) in line], "only rank 0 may read the scene"
    frames = len(list((tmp_path / "orbit_renders" / "80x50").iterdir())) // 2
    assert len(of_frames) <= 10 + 6 * frames
