"""Render stereo images and other file formats as ParaView does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, pixels
from movies import read_back
from mpirender.job.outputs import EYES
from mpirender.run_folder import events, journal
from processes import Run
from repository import SUPPORT

BOTH = "Both Eyes"


def different(folder: Path, reference: Path, eye: str = "") -> list[str]:
    """Return the names of the images that differ from ParaView's, for one eye or for all images."""
    found, expected = sorted(folder.glob("*.png")), sorted(reference.glob(f"*{eye}.png"))
    assert len(found) == len(expected) > 0
    return [one.name for one, other in zip(found, expected) if not np.array_equal(pixels(one), pixels(other))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["annotated", "pulse"])
def test_both_eyes_are_those_of_paraview_whichever_rank_renders_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str
) -> None:
    """Also after the image of one eye was deleted, which depends on the image of the other."""
    reference = tmp_path / "reference"
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), reference, SIZE, f"StereoMode={BOTH!r}")
    command = ("render", scenes.state(name), "--stereo-mode", BOTH, "--size", SIZE, "--ranks", 2)
    done = run(*command, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / "out" / f"{SIZE}_{eye}" for eye in EYES]
    assert [different(folder, reference, eye) for folder, eye in zip(folders, EYES)] == [[], []]
    assert not np.array_equal(*(pixels(folder / "frame_000002.png") for folder in folders))
    frames = len(list(folders[0].iterdir()))
    assert all(read_back(tmp_path / "out" / f"{name}_{SIZE}_{eye}.mp4").frames == frames for eye in EYES)
    for lost in (folders[1] / "frame_000003.png", folders[0] / "frame_000002.png"):
        lost.unlink()
    assert f"2 rendered, {2 * frames - 2} kept from before" in run(*command, "--output", tmp_path / "out").stdout
    assert [different(folder, reference, eye) for folder, eye in zip(folders, EYES)] == [[], []]
    records = journal.read(tmp_path / "out" / ".mpirender")
    assert sum(isinstance(record, events.Done) for record in records) == 2 * frames + 2


@pytest.mark.slow
def test_both_eyes_of_a_layout_are_those_of_paraview(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    pvbatch(
        SUPPORT / "save_animation.py", scenes.state("two_views"), tmp_path / "ref", "800x450", "Both",
        f"StereoMode={BOTH!r}",
    )  # fmt: skip
    words = ("--layout", "Both", "--stereo-mode", BOTH, "--size", "800x450", "--movie", "none", "--ranks", 2)
    done = run("render", scenes.state("two_views"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [different(tmp_path / "out" / f"800x450_{eye}", tmp_path / "ref", eye) for eye in EYES] == [[], []]


@pytest.mark.slow
def test_frames_that_depend_on_all_before_are_refused_in_stereo(run: Run, pvbatch: Run, tmp_path: Path) -> None:
    """The trial renders without stereo, in which labels depend on the image before anyway."""
    pvbatch(SUPPORT / "make_random_scenes.py", tmp_path / "random.pvsm", "Probe")
    done = run("render", tmp_path / "random.pvsm", "--stereo-mode", BOTH, "--size", "160x90", "--ranks", 2)
    assert done.returncode == 2
    assert "frames depend on earlier frames" in done.stderr
    assert "render it without --stereo-mode" in done.stderr


@pytest.mark.slow
def test_what_goes_wrong_in_a_frame_fails_both_eyes_of_it(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    """VTK reports the error only once, while the first eye is rendered."""
    words = ("--stereo-mode", BOTH, "--size", SIZE, "--ranks", 1, "--output", tmp_path / "out")
    done = run("render", scenes.folder / "broken" / "raises.pvsm", *words)
    assert done.returncode == 4
    for eye in EYES:
        assert f"{SIZE}_{eye} frames 3: rank " in done.stderr
        assert len(list((tmp_path / "out" / f"{SIZE}_{eye}").iterdir())) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [("annotated", "Left Eye Only"), ("annotated", "Red-Blue"), ("pulse", "Right Eye Only")]
)
def test_images_in_stereo_are_those_of_paraview_whichever_rank_renders_them(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, name: str, mode: str
) -> None:
    """An image no larger than the view is rendered in one pass, so it depends on the previous image."""
    pvbatch(SUPPORT / "save_animation.py", scenes.state(name), tmp_path / "reference", SIZE, f"StereoMode={mode!r}")
    words = ("--stereo-mode", mode, "--size", SIZE, "--ranks", 2, "--movie", "none", "--output", tmp_path / "out")
    done = run("render", scenes.state(name), *words)
    assert done.returncode == 0, done.stderr
    assert different(tmp_path / "out" / SIZE, tmp_path / "reference") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "option", "paraview"),
    [
        ("jpg", (), ""),
        ("jpg", ("--quality", 20), "Quality=20"),
        ("tiff", ("--compression", "None"), "Compression='None'"),
        ("tiff", ("--compression", "Deflate"), "Compression='Deflate'"),
    ],
)
def test_files_of_other_formats_are_byte_for_byte_those_of_paraview(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, kind: str, option: tuple[object, ...], paraview
) -> None:
    script = tmp_path / "save.py"
    script.write_text((SUPPORT / "save_animation.py").read_text().replace("frame.png", f"frame.{kind}"))
    given = [paraview] if paraview else []
    pvbatch(script, scenes.state("orbit"), tmp_path / "reference", SIZE, *given)
    words = (
        "--image-format",
        kind,
        *option,
        "--size",
        SIZE,
        "--ranks",
        1,
        "--no-metadata",
        "--output",
        tmp_path / "out",
    )
    done = run("render", scenes.state("orbit"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found, expected = (sorted(folder.iterdir()) for folder in (tmp_path / "out" / SIZE, tmp_path / "reference"))
    assert len(found) == len(expected) == 7
    assert [one.read_bytes() == other.read_bytes() for one, other in zip(found, expected)] == [True] * 7
