"""Warnings about a ParaView state: frames that depend on earlier frames, tracks without effect, versions.

Each function yields warnings of one line, with the objects and the fix, and only for what is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mpirender.engines.paraview import color_range
from mpirender.engines.paraview.state_xml import NOT_RENDERABLE, PYTHON_TRACK, Proxy, State
from mpirender.errors import one_line
from mpirender.job.render_job import RenderJob
from mpirender.system.text import plural

RESET_EVERY_TIMESTEP = 3  # vtkSMTransferFunctionManager::RESET_ON_APPLY_AND_TIMESTEP: depends on its own frame only
KEYED = ("CameraAnimationCue", "KeyFrameAnimationCue")  # tracks that move only by key frames
STILL_DATA = ("CameraAnimationCue", "TimeAnimationCue")  # tracks that do not change the data
FOLLOW_DATA = 2  # vtkPVCameraCueManipulator's mode
# Filters whose output depends on all earlier frames.
ACCUMULATING = ("ParticleTracer", "ParticlePath", "StreakLine", "LegacyParticlePath", "LegacyStreakLine",
            "LegacyParticleTracer", "InSituParticlePath", "ParticlePathLines")  # fmt: skip
# Sources that do not depend on time. Others may depend on it.
TIMELESS = ("ArrowSource", "AxesSource", "BoundedPlaneSource", "BoundedVolumeSource", "ConeSource", "CubeSource",
            "CylinderSource", "DiskSource", "EllipseSource", "FastUniformGrid", "GlyphSource2D", "HyperTreeGridSource",
            "LineSource", "LogoSource", "OutlineSource", "ParametricSource", "PlaneSource", "PointSource",
            "PolyLineSource", "RTAnalyticSource", "RulerSource", "SphereSource", "SplineSource", "SuperquadricSource",
            "TextSource", "WaveletSource")  # fmt: skip
TIMED = re.compile("Time|Temporal|Python|Program|Script|Annotat|Live|Stream|Particle|Harmonics|Date|Catalyst")
# The property, and its value, with which labels of this format are shown: of color legends, polar axes and selections.
SHOWN_LABELS = {
    "LabelFormat": ("AutomaticLabelFormat", 0), "RangeLabelFormat": ("AddRangeLabels", 1),
    "DataRangeLabelFormat": ("DrawDataRange", 1), "PolarLabelFormat": ("PolarLabelVisibility", 1),
    "RadialLabelFormat": ("RadialLabelVisibility", 1),
    "SelectionPointLabelFormat": ("SelectionPointLabelVisibility", 1),
    "SelectionCellLabelFormat": ("SelectionCellLabelVisibility", 1),
}  # fmt: skip
OWN_AXES = ("DataAxesGrid", "PolarAxes")  # properties of a representation with which it owns axes


def warnings(state: State, job: RenderJob, read_by: str = "") -> Iterator[str]:
    """Yield all warnings, one line each."""
    yield from _choice_of_view(state, job)
    yield from versions(state.version, read_by)
    yield from _labels(state, read_by)
    yield from _order_dependence(state, job)
    yield from _axes_grids(state, job)
    yield from _idle_tracks(state)
    if not job.files and job.camera is None:  # other data may have timesteps
        yield from _nothing_moves(state)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _choice_of_view(state: State, job: RenderJob) -> Iterator[str]:
    if not job.layouts and not job.views and len(state.views) > 1:
        chosen, *others = state.views
        layouts = [layout.name for layout in state.layouts if len(layout.views) > 1]
        whole = f", or --layout NAME for a whole layout ({_listed(layouts)})" if layouts else ""
        yield (
            f"the scene has {len(state.views)} views; {chosen!r} is rendered; "
            f"use --view NAME for another view ({_listed(others)}){whole}"
        )
    shown = [name for layout in state.layouts if job.layouts for name in layout.views]
    tables = [name for name in shown if state.view_types[name] in NOT_RENDERABLE]
    if tables:
        yield f"{_listed(tables)} is a spreadsheet, so its part of the layout stays empty; remove it in ParaView"


def versions(written: str, read_by: str) -> Iterator[str]:
    """Warn of a state or script of a ParaView that does not fit the one that reads it."""
    saved, reader = _release(written), _release(read_by)
    if not saved or not reader:
        return
    both = f"the state was saved by ParaView {written} but is rendered by {read_by}"
    if saved > reader:
        newer = f"use ParaView {saved[0]}.{saved[1]} or newer (--pvbatch PATH)"
        yield f"{both}, which ignores objects and properties unknown to it; {newer}"
    elif saved[0] < reader[0]:
        again = "open the state in the newer ParaView and save it again"
        yield f"{both}; check one frame first (--frames 0), or {again}"


def _release(version: str) -> tuple[int, ...]:
    """Return major and minor version; empty if unknown."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else ()


def _labels(state: State, read_by: str) -> Iterator[str]:
    """Warn of label formats that this ParaView prints literally: 6.1 reads {:6.3g}, older versions %6.3g."""
    release = _release(read_by)
    formats = _old_formats if release >= (6, 1) else _new_formats
    hidden = [proxy for proxy in state.proxies if not proxy.number("Visibility", 1)]
    off = {
        key
        for proxy in hidden
        for key in (proxy.id, *(key for name in OWN_AXES for key in proxy.values(name, "Proxy")))
    }
    shown = [one for one in state.proxies if release and one.id not in off and one.number("GridAxesVisibility", 1)]
    found = [(one_line(proxy.text("Title")) or proxy.name, text) for proxy in shown for text in formats(proxy)]
    if not found:
        return
    where, text = _listed(title for title, _ in found), found[0][1]
    if release >= (6, 1):
        yield (
            f"labels of the legend {where} have the format {text}, which ParaView {read_by} prints literally; set a "
            "format such as {:g} and save the state again, or use the ParaView that saved it (--pvbatch PATH)"
        )
    else:
        yield (
            f"labels of {where} have the format {text} of ParaView 6.1, which {read_by} prints literally; use ParaView "
            "6.1 or newer (--pvbatch PATH), or set a format such as %-#6.3g and save the state again"
        )


def _old_formats(proxy: Proxy) -> Iterator[str]:
    """Yield the old format of the labels between the ends of a color legend; 6.1.1 converts all others."""
    text = proxy.text("LabelFormat")
    if proxy.number("AutomaticLabelFormat", 1) == 0 and "%" in text and "{" not in text:
        yield text


def _new_formats(proxy: Proxy) -> Iterator[str]:
    for name in proxy.properties:
        text = proxy.text(name) if name.endswith("Format") else ""
        switch, shown = SHOWN_LABELS.get(name, (name, 0))
        if "{:" in text and "%" not in text and proxy.number(switch, shown) == shown:
            yield text


def shared_color_maps(state: State, job: RenderJob) -> Iterator[str]:
    """Refuse color maps that are rescaled every timestep if ranks share frames; seen with ParaView 5.11."""
    if job.ranks_per_frame == 1:
        return
    names = arrays_in_modes(state, job, (color_range.GROW_EVERY_TIMESTEP, RESET_EVERY_TIMESTEP))
    clamped = color_range.CLAMP in color_range.requested(job.color_range).values()
    if names or clamped:
        which = "--color-range clamp" if clamped else f"the color map of {_listed(names)}"
        yield (
            f"{which} is rescaled every timestep; with --ranks-per-frame, ParaView would use the data of only one "
            "rank; use --color-range global, which finds the range over all frames first"
        )


def arrays_in_modes(state: State, job: RenderJob, modes: Sequence[int]) -> list[str]:
    """Return the arrays whose color map is in one of these modes, unless --color-range sets another range."""
    usual = next((proxy.number("TransferFunctionResetMode", 0) for proxy in state.proxies
                  if proxy.type == "GeneralSettings"), 0.0)  # fmt: skip
    used = {key for proxy in state.proxies if proxy.group == "representations" and proxy.number("Visibility", 1)
            for name in ("LookupTable", "BlockLookupTables") for key in proxy.values(name, "Proxy")}  # fmt: skip
    maps = [proxy for proxy in state.proxies if proxy.type == "PVLookupTable" and proxy.id in used]
    names = [proxy.name.split(".PVLookupTable")[0] for proxy in maps if _rescale_mode(proxy, usual) in modes]
    return [name for name in names if color_range.how(job.color_range, name) is None]


def _order_dependence(state: State, job: RenderJob) -> Iterator[str]:
    """Warn of what depends on earlier frames, and of the cost."""
    by_default = " (used here)" if job.schedule in ("auto", "contiguous") else ""
    cost = (
        f"each rank must also compute the frames before its own; --schedule contiguous{by_default} does this once per "
        "rank, --ranks 1 not at all"
    )
    filters, arrays = order_dependent(state, job)
    if arrays:
        yield (
            f"the color map of {_listed(arrays)} grows with every timestep, so the meaning of its colors changes, and "
            f"{cost}; --color-range global finds the range over all frames first and keeps it"
        )
    if filters:
        yield f"{_listed(filters)} {'depends' if len(filters) == 1 else 'depend'} on earlier frames, so {cost}"


def _rescale_mode(color_map: Proxy, usual: float) -> float:
    """Return the rescaling mode of a color map; before ParaView 5.5 it had only a lock, and never grew by timestep."""
    return color_map.number("AutomaticRescaleRangeMode", -1 if "LockScalarRange" in color_map.properties else usual)


def order_dependent(state: State, job: RenderJob) -> tuple[list[str], list[str]]:
    """Return the filters that depend on earlier frames, and the arrays whose color maps do."""
    filters = [proxy.name for proxy in state.proxies if proxy.group == "filters" and proxy.type in ACCUMULATING]
    if job.camera is None or ":" not in job.camera:  # orbit:N keeps everything else at rest
        filters += [cue.name for cue, _ in state.cues() if cue.type == PYTHON_TRACK]
    return filters, arrays_in_modes(state, job, (color_range.GROW_EVERY_TIMESTEP,))


def _axes_grids(state: State, job: RenderJob) -> Iterator[str]:
    """Warn of the cost of an axes grid around changing data if consecutive frames go to different ranks."""
    grids = ((view.name, grid) for view in state.registered("views") for grid in state.referenced(view, "AxesGrid"))
    gridded = [view for view, grid in grids if grid.number("Visibility", 0)]
    changing = state.timesteps or any(cue.type not in STILL_DATA for cue, _ in state.cues())
    if gridded and changing and job.schedule in ("auto", "interleaved"):
        yield (
            f"ParaView draws the axes grid of {_listed(gridded)} around the data of the previous frame, so that frame "
            "must be rendered as well; --schedule contiguous avoids most of this work"
        )


def _idle_tracks(state: State) -> Iterator[str]:
    """Warn of tracks with fewer than two key frames, which have no effect."""
    fix = "add key frames or delete the track, and save the state again"
    for cue, frames in state.cues():
        follows = cue.type == "CameraAnimationCue" and cue.number("Mode", 0) == FOLLOW_DATA  # without key frames
        if cue.type not in KEYED or frames >= 2 or follows:
            continue
        why = f"the animation track {cue.name} has {plural(frames, 'key frame').replace('0', 'no')}"
        if cue.type == "KeyFrameAnimationCue":
            yield f"{why}, so {cue.text('AnimatedPropertyName') or 'its property'} does not change; {fix}"
        else:
            yield f"{why}, so the camera does not move; {fix}"


def _nothing_moves(state: State) -> Iterator[str]:
    """Warn that all frames will be identical, if that is certain."""
    if len(state.times) > 1 and not state.timesteps and not may_move(state):
        yield (
            f"nothing in this scene changes with time: all {len(state.times)} frames will be identical; animate "
            "something in ParaView's Animation View and save the state again, or render only one with --frames 0"
        )


def may_move(state: State) -> bool:
    """Return whether a track or an object of the scene could depend on time."""
    moving = (cue.type != "TimeAnimationCue" and (frames >= 2 or cue.type not in KEYED) for cue, frames in state.cues())
    return any(moving) or any(map(_may_have_time, state.registered("sources")))


def _may_have_time(proxy: Proxy) -> bool:
    reader = any(prop.find("Domain[@name='files']") is not None for prop in proxy.properties.values())
    unknown = proxy.group == "sources" and not reader and proxy.type not in TIMELESS
    return unknown or bool(TIMED.search(proxy.type)) or bool(proxy.values("TimestepValues"))
