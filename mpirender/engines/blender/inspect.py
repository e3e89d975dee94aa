"""Makes an inspection from the facts that Blender found in a file (:mod:`scene_facts`), without Blender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from mpirender.engines.base import DataFile, Inspection, refused_scripts
from mpirender.job import frames as framesets
from mpirender.job.outputs import LARGEST
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean, listed, plural

Facts = Mapping[str, Any]
# Blender's identifiers of its engines; that of EEVEE depends on the version.
ENGINES = {"cycles": ("CYCLES",), "eevee": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"), "workbench": ("BLENDER_WORKBENCH",)}
TITLES = {"cycles": "Cycles", "eevee": "EEVEE", "workbench": "Workbench"}
DEEP = ("OPEN_EXR", "OPEN_EXR_MULTILAYER", "HDR", "DPX", "CINEON")  # formats with more than the colors of a display
MAX_MISSING = 10  # lines about missing files


def engine_of(scene: Facts, job: RenderJob) -> str:
    """Return the name of the engine that renders a scene; empty if it is not one of Blender's own."""
    return job.blender_engine or next((name for name, ids in ENGINES.items() if scene["engine"] in ids), "")


def inspection_of(facts: Facts, job: RenderJob) -> Inspection:
    """Return the contents of a file, and its warnings and mistakes."""
    saved = ".".join(map(str, facts["saved"][:2]))
    files = [DataFile("Blender", "", path, path, True) for path in facts["files"]]
    lost = [*facts["missing"], *(gap[:2] for gap in facts["gaps"])]
    missing_files = [DataFile("Blender", what, path, path, False) for what, path in lost]
    name = job.scene_name or facts["active"]
    scene = facts["scenes"].get(name)
    if scene is None:
        meant = did_you_mean(name, list(facts["scenes"]))
        mistake = f"--scene {name!r} is not in the file{meant}; it has: {listed(facts['scenes'])}"
        return Inspection(engine="blender", written_by=f"Blender {saved}", mistakes=(mistake,))
    frames = range(scene["first"], scene["last"] + 1, scene["step"])
    rate = float(Fraction(scene["rate"]))
    tolerated = job.on_error == "warn"
    missing = tuple(_missing(facts, tolerated=tolerated))
    width, height = scene["size"]
    scripts = ("scripts",) if facts["scripted"] and job.allow_scripts else ()  # perhaps
    return Inspection(
        engine="blender",
        written_by=f"Blender {saved}",
        play_mode=f"{rate:.5g} frames a second",
        times=tuple((frame - scene["first"]) / rate for frame in frames),
        first=scene["first"],
        step=scene["step"],
        open_ended=True,
        frame_rate=scene["rate"],
        size=(width, height),
        beside=tuple(scene["beside"]),
        data_files=(*files, *missing_files),
        order_dependent=(*(what for what, _ in scene["unbaked"]), *scripts),
        properties=tuple(_properties(facts, name, scene, job)),
        warnings=(*_warnings(facts, scene, job), *(missing if tolerated else ())),
        scripts=tuple(facts["programs"]),
        scripts_run=job.allow_scripts,
        mistakes=(
            *_mistakes(facts, name, job, frames),
            *refused_scripts(job, facts["programs"]),
            *(() if tolerated else missing),
        ),
    )


def _properties(facts: Facts, name: str, scene: Facts, job: RenderJob) -> Iterator[tuple[str, str]]:
    others = [other for other in facts["scenes"] if other != name]
    yield "scene", f"{name}{f' (and {listed(others)})' if others else ''}"
    markers = f", changed by {scene['markers']} markers" if scene["markers"] else ""
    more = [camera for camera in scene["cameras"] if camera != scene["camera"]]
    yield "camera", f"{scene['camera'] or 'none'}{markers}{f' (and {listed(more)})' if more else ''}"
    yield "layers", ", ".join(layer if used else f"{layer} (not rendered)" for layer, used in scene["layers"].items())
    yield "engine", TITLES.get(engine_of(scene, job)) or str(scene["engine"])
    yield "size", f"{scene['size'][0]}x{scene['size'][1]}"
    yield "frame rate", scene["rate"]


def _mistakes(facts: Facts, name: str, job: RenderJob, frames: range) -> Iterator[str]:
    """Yield why the scene cannot be rendered as requested."""
    scene = facts["scenes"][name]
    where = f"{job.scene.name}: scene {name!r}"
    if job.camera is not None and job.camera not in scene["cameras"]:
        has = f"it has: {listed(scene['cameras'])}" if scene["cameras"] else "it has none"
        meant = did_you_mean(job.camera, scene["cameras"])
        yield f"--camera {job.camera!r} is not a camera of scene {name!r}{meant}; {has}"
    elif not (job.camera or scene["camera"] or scene["markers"] or scene["strips"]):
        choice = f"choose one with --camera: {listed(scene['cameras'])}"
        yield f"{where} has no active camera; {choice if scene['cameras'] else 'add a camera and save the file'}"
    if job.view_layer is not None and job.view_layer not in scene["layers"]:
        meant = did_you_mean(job.view_layer, list(scene["layers"]))
        yield f"--view-layer {job.view_layer!r} is not in scene {name!r}{meant}; it has: {listed(scene['layers'])}"
    elif job.view_layer is None and not any(scene["layers"].values()) and not scene["strips"]:
        yield f"{where} renders none of its view layers; choose one with --view-layer: {listed(scene['layers'])}"
    if job.frames is None and not frames:
        yield f"{where} has no frames: its end ({scene['last']}) is before its start ({scene['first']}); give --frames"
    elif job.frames is None and frames[0] < 0:
        yield f"{where} begins at frame {frames[0]}, but images count from 0; give --frames, or shift the animation"
    yield from _of_engine(where, scene, job)
    for other in scene["others"]:
        if not any(facts["scenes"][other]["engine"] in ids for ids in ENGINES.values()):
            yield f"{where} shows scene {other!r}, which is rendered by {_lacking(facts['scenes'][other]['engine'])}"
    if scene["eyes"]:
        yield f"{where} renders a separate image for each eye; turn stereoscopy off, or choose anaglyph"
    if scene["region"] and job.sizes and [(one.width, one.height) for one in job.sizes] != [tuple(scene["size"])]:
        yield f"{where} renders a cropped region, which has its own size; remove --size"
    if not job.sizes and not all(1 <= side <= LARGEST for side in scene["size"]):
        yield f"{where}: the size {scene['size'][0]}x{scene['size'][1]} is not possible; give --size"


def _of_engine(where: str, scene: Facts, job: RenderJob) -> Iterator[str]:
    engine = engine_of(scene, job)
    if not engine:
        yield f"{where} is rendered by {_lacking(scene['engine'])}, or with --blender-engine"
    elif engine != "cycles" and job.device is not None:
        yield f"--device applies to Cycles only; {TITLES[engine]} uses OpenGL; remove --device"
    if engine == "workbench" and job.samples is not None:
        yield "--samples applies to Cycles and EEVEE only; remove it for Workbench"


def _lacking(engine: str) -> str:
    return f"{engine}, which this Blender does not have, and add-ons are not loaded; choose another engine in the file"


def _warnings(facts: Facts, scene: Facts, job: RenderJob) -> Iterator[str]:
    """Yield warnings."""
    saved, app = facts["saved"][:2], facts["app"][:2]
    if saved > app:
        yield (
            f"saved by Blender {'.'.join(map(str, saved))}, but rendered by the older {'.'.join(map(str, app))}, which "
            "ignores features unknown to it; check the images, or use the newer version (--blender PATH)"
        )
    if facts["scripts"]:
        yield (
            f"scripts in the file do not run ({facts['scripts']}), so images may differ from the author's; "
            "--allow-scripts runs them with your permissions"
        )
    if scene["unbaked"]:
        named = ", ".join(what for what, _ in scene["unbaked"])
        yield (
            f"{named}: not baked, so frames depend on earlier frames, and each rank must also compute the frames "
            "before its own; bake and save the file to avoid this"
        )
    if scene["format"] in DEEP:
        yield (
            f"the scene is set to {scene['format']} images, but mpirender writes {job.image_format} with the colors of "
            "the display; File Output nodes of the compositor keep their format, depth and passes"
        )
    if scene["sound"] and job.movie != "none":
        yield "the scene has sound, but the movie will be silent; export it from Blender (Render Audio) and add it"
    if scene["time_limit"]:
        yield (
            f"Cycles stops each frame after {scene['time_limit']:g} s (Time Limit), so the same frame differs from one "
            "run to the next; limit the samples instead"
        )
    if facts["random"] and job.allow_scripts:
        named = listed(facts["random"])
        yield f"drivers use random numbers or the clock ({named}), so the same frame differs in every run"
    if scene["stamp"]:
        yield "images show when or where they were rendered (Metadata), so the same frame differs in every run"
    requested = framesets.parse(job.frames) if job.frames is not None else ()
    if outside := [frame for frame in requested if not scene["first"] <= frame <= scene["last"]]:
        verb = "is" if len(outside) == 1 else "are"
        yield f"{framesets.named(outside)} {verb} outside the scene's frame range, {scene['first']}-{scene['last']}"


def _missing(facts: Facts, *, tolerated: bool) -> Iterator[str]:
    """Yield a line for each missing file, up to a limit."""
    restore = "restore it, or pack it into the file; --on-error warn renders without it"
    fix = "images are wrong without it" if tolerated else restore
    lines = [f"{what} is missing: {path}; {fix}" for what, path in facts["missing"]]
    named = {what for what, _ in facts["missing"]}
    restore_all = "restore them, or render other frames (--frames); --on-error warn renders without them"
    fix = "images are wrong without them" if tolerated else restore_all
    for what, path, count, needed in facts["gaps"]:
        if what not in named:
            of = plural(needed, "needed file")
            lines.append(f"{what}: {count} of {of} missing or empty, the first is {path}; {fix}")
    yield from lines[:MAX_MISSING]
    if (more := len(lines) - MAX_MISSING) > 0:
        yield f"and {plural(more, 'more file')} that {'is' if more == 1 else 'are'} missing"
