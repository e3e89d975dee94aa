"""What Blender has told of a file (:mod:`scene_facts`) becomes an inspection: pure functions, without Blender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from mpirender.engines.base import DataFile, Inspection
from mpirender.job import frames as framesets
from mpirender.job.outputs import LARGEST
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean, listed, plural

Facts = Mapping[str, Any]
# What people call Blender's engines, and its own names for them; EEVEE's depends on the version.
ENGINES = {
    "cycles": ("CYCLES",), "eevee": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"), "workbench": ("BLENDER_WORKBENCH",),
}  # fmt: skip
TITLES = {"cycles": "Cycles", "eevee": "EEVEE", "workbench": "Workbench"}
LINES = 10  # of files that are missing


def engine_of(about: Facts, job: RenderJob) -> str:
    """Return what people call the engine that renders a scene; empty for one that is not Blender's own."""
    if job.blender_engine:
        return job.blender_engine
    return next((name for name, ids in ENGINES.items() if about["engine"] in ids), "")


def inspection_of(facts: Facts, job: RenderJob) -> Inspection:
    """Say what is in a file and what would go wrong."""
    saved = ".".join(map(str, facts["saved"][:2]))
    found = [DataFile("Blender", "", path, path, True) for path in facts["files"]]
    lost = [DataFile("Blender", what, path, path, False) for what, path in facts["missing"]]
    name = job.scene_name or facts["active"]
    about = facts["scenes"].get(name)
    if about is None:
        meant = did_you_mean(name, list(facts["scenes"]))
        wrong = f"--scene {name!r} is not in the file{meant}; it has: {listed(facts['scenes'])}"
        return Inspection(engine="blender", written_by=f"Blender {saved}", mistakes=(wrong,))
    frames = range(about["first"], about["last"] + 1, about["step"])
    rate = float(Fraction(about["rate"]))
    kept = job.on_error == "warn"
    missing = tuple(_missing(facts, kept=kept))
    return Inspection(
        engine="blender",
        written_by=f"Blender {saved}",
        play_mode=f"{rate:.5g} frames a second",
        times=tuple((frame - about["first"]) / rate for frame in frames),
        first=about["first"],
        step=about["step"],
        open_ended=True,
        frame_rate=about["rate"],
        size=(about["size"][0], about["size"][1]),
        data_files=(*found, *lost),
        order_dependent=tuple(what for what, _ in about["unbaked"]),
        properties=tuple(_properties(facts, name, about, job)),
        warnings=(*_warnings(facts, about, job), *(missing if kept else ())),
        mistakes=(*_mistakes(name, about, job, frames), *(() if kept else missing)),
    )


def _properties(facts: Facts, name: str, about: Facts, job: RenderJob) -> Iterator[tuple[str, str]]:
    others = [other for other in facts["scenes"] if other != name]
    yield "scene", f"{name}{f' (and {listed(others)})' if others else ''}"
    markers = f", changed by {about['markers']} markers" if about["markers"] else ""
    more = [camera for camera in about["cameras"] if camera != about["camera"]]
    yield "camera", f"{about['camera'] or 'none'}{markers}{f' (and {listed(more)})' if more else ''}"
    yield "layers", ", ".join(layer if used else f"{layer} (not rendered)" for layer, used in about["layers"].items())
    yield "engine", TITLES.get(engine_of(about, job)) or str(about["engine"])
    yield "size", f"{about['size'][0]}x{about['size'][1]}"
    yield "frame rate", about["rate"]


def _mistakes(name: str, about: Facts, job: RenderJob, frames: range) -> Iterator[str]:
    """Yield why it cannot be rendered as asked."""
    where = f"{job.scene.name}: scene {name!r}"
    if job.camera is not None and job.camera not in about["cameras"]:
        has = f"it has: {listed(about['cameras'])}" if about["cameras"] else "it has none"
        meant = did_you_mean(job.camera, about["cameras"])
        yield f"--camera {job.camera!r} is no camera of scene {name!r}{meant}; {has}"
    elif not (job.camera or about["camera"] or about["markers"] or about["strips"]):
        cure = (
            f"name one of {listed(about['cameras'])} with --camera" if about["cameras"] else "add one and save the file"
        )
        yield f"{where} has no camera to render with; {cure}"
    if job.view_layer is not None and job.view_layer not in about["layers"]:
        meant = did_you_mean(job.view_layer, list(about["layers"]))
        yield f"--view-layer {job.view_layer!r} is not in scene {name!r}{meant}; it has: {listed(about['layers'])}"
    elif job.view_layer is None and not any(about["layers"].values()) and not about["strips"]:
        yield f"{where} renders none of its view layers; name one with --view-layer: {listed(about['layers'])}"
    yield from _of_frames(where, about, job, frames)
    yield from _of_engine(where, about, job)
    if about["eyes"]:
        yield f"{where} renders each eye into a picture of its own; turn stereo off, or choose anaglyph"
    if about["region"] and job.sizes and [(one.width, one.height) for one in job.sizes] != [tuple(about["size"])]:
        yield f"{where} renders a cropped region of the picture, which has a size of its own; leave --size out"
    if not job.sizes and not all(1 <= side <= LARGEST for side in about["size"]):
        yield f"{where}: its size {about['size'][0]}x{about['size'][1]} is not possible; give --size"


def _of_frames(where: str, about: Facts, job: RenderJob, frames: range) -> Iterator[str]:
    if job.frames is not None:
        return
    if not frames:
        yield f"{where} has no frames: it ends at {about['last']}, before {about['first']}; give --frames"
    elif frames[0] < 0:
        yield f"{where} begins at frame {frames[0]}, and images are counted from 0; give --frames, or move it"


def _of_engine(where: str, about: Facts, job: RenderJob) -> Iterator[str]:
    engine = engine_of(about, job)
    if not engine:
        yield f"{where} is rendered by {about['engine']}, which is no part of Blender; give --blender-engine"
    elif engine != "cycles" and job.device is not None:
        yield f"--device is for Cycles; {TITLES[engine]} takes the OpenGL that there is; leave it out"
    if engine == "workbench" and job.samples is not None:
        yield "--samples is for Cycles and EEVEE; Workbench has none; leave it out"


def _warnings(facts: Facts, about: Facts, job: RenderJob) -> Iterator[str]:
    """Yield what might surprise."""
    saved, app = facts["saved"][:2], facts["app"][:2]
    if saved > app:
        yield (
            f"saved by Blender {'.'.join(map(str, saved))}, newer than the {'.'.join(map(str, app))} that renders it: "
            "what that does not know is lost; look at the pictures, or take the newer one (--blender)"
        )
    if facts["scripts"]:
        yield (
            f"scripts in the file do not run ({facts['scripts']}), so its pictures may not be those that its author "
            "sees; --allow-scripts runs them, with your rights"
        )
    if about["unbaked"]:
        named = ", ".join(what for what, _ in about["unbaked"])
        yield (
            f"{named}: not baked, so a frame depends on those before it; each rank plays the frames before its own "
            "first; bake and save to spare it that"
        )
    if about["file_outputs"]:
        yield f"{listed(about['file_outputs'])} in the compositor writes files that are not looked after"
    if about["stamp"]:
        yield "the pictures show when or where they were rendered, so the same frame differs each time"
    asked = framesets.parse(job.frames) if job.frames is not None else ()
    if outside := [frame for frame in asked if not about["first"] <= frame <= about["last"]]:
        verb = "is" if len(outside) == 1 else "are"
        yield f"{framesets.named(outside)} {verb} outside the scene's own, {about['first']}-{about['last']}"


def _missing(facts: Facts, *, kept: bool) -> Iterator[str]:
    """Yield a line for each file that is missing, as long as they are few."""
    cure = (
        "without it pictures are wrong"
        if kept
        else "put it there, or pack it into the file; --on-error warn does without"
    )
    for what, path in facts["missing"][:LINES]:
        yield f"{what} is missing: {path}; {cure}"
    more = len(facts["missing"]) - LINES
    if more > 0:
        yield f"and {plural(more, 'more file')} that {'is' if more == 1 else 'are'} missing"
