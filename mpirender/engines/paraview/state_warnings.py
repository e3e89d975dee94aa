"""What in a ParaView state might surprise: frames that depend on each other, tracks that move nothing, versions.

Each function yields warnings of one line that name the objects and the cure. What is not certain is not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mpirender.engines.paraview import color_range
from mpirender.engines.paraview.state_xml import NOT_PICTURES, Proxy, State
from mpirender.errors import one_line
from mpirender.job.render_job import RenderJob

GROW_EVERY_TIMESTEP = 1  # vtkSMTransferFunctionManager::GROW_ON_APPLY_AND_TIMESTEP; mode 3 looks at its own frame alone
RESET_EVERY_TIMESTEP = 3  # RESET_ON_APPLY_AND_TIMESTEP
KEYED = ("CameraAnimationCue", "KeyFrameAnimationCue")  # tracks that move by key frames alone
STILL_DATA = ("CameraAnimationCue", "TimeAnimationCue")  # tracks that leave the data as it is
FOLLOW_DATA = 2  # vtkPVCameraCueManipulator's mode
# Filters whose output is made of what they computed for the frames before: particles, and the trails of frames.
ACCUMULATING = ("ParticleTracer", "ParticlePath", "StreakLine", "LegacyParticlePath", "LegacyStreakLine",
            "LegacyParticleTracer", "InSituParticlePath", "ParticlePathLines")  # fmt: skip
# Sources without time. One that is not listed may have it, from a plugin perhaps.
TIMELESS = ("ArrowSource", "AxesSource", "BoundedPlaneSource", "BoundedVolumeSource", "ConeSource", "CubeSource",
            "CylinderSource", "DiskSource", "EllipseSource", "FastUniformGrid", "GlyphSource2D", "HyperTreeGridSource",
            "LineSource", "LogoSource", "OutlineSource", "ParametricSource", "PlaneSource", "PointSource",
            "PolyLineSource", "RTAnalyticSource", "RulerSource", "SphereSource", "SplineSource", "SuperquadricSource",
            "TextSource", "WaveletSource")  # fmt: skip
TIMED = re.compile("Time|Temporal|Python|Program|Script|Annotat|Live|Stream|Particle|Harmonics|Date|Catalyst")
# When a colour legend writes this label at all: the property to look at, and its value.
LEGEND_LABELS = {
    "LabelFormat": ("AutomaticLabelFormat", 0), "RangeLabelFormat": ("AddRangeLabels", 1),
    "DataRangeLabelFormat": ("DrawDataRange", 1),
}  # fmt: skip


def warnings(state: State, job: RenderJob, read_by: str = "") -> Iterator[str]:
    """Yield everything that might surprise, one line each."""
    yield from _choice_of_view(state, job)
    yield from _versions(state.version, read_by)
    yield from _labels(state, read_by)
    yield from _growing_colours(state, job)
    yield from _filters_with_memory(state, job)
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
        whole = f"; for a whole layout --layout NAME ({_listed(layouts)})" if layouts else ""
        yield (
            f"the scene has {len(state.views)} views; {chosen!r} is rendered; "
            f"for another --view NAME ({_listed(others)}){whole}"
        )
    tables = [name for name, kind in state.view_types.items() if kind in NOT_PICTURES]
    if job.layouts and tables:
        shown = [name for layout in state.layouts for name in layout.views if name in tables]
        if shown:
            yield f"{_listed(shown)} is a spreadsheet; its part of the layout stays empty; take it out in ParaView"


def _versions(written: str, read_by: str) -> Iterator[str]:
    newer, older = _release(written), _release(read_by)
    if not newer or not older:
        return
    if newer > older:
        yield (
            f"the state was saved by ParaView {written} and is rendered by {read_by}, which leaves out what it does "
            f"not know; take ParaView {newer[0]}.{newer[1]} or newer (--pvbatch PATH)"
        )
    elif newer[0] < older[0]:
        yield (
            f"the state was saved by ParaView {written} and is rendered by {read_by}; look at one frame first "
            "(--frames 0), or open it in the newer ParaView and save it again"
        )


def _release(version: str) -> tuple[int, ...]:
    """Return major and minor of a version; nothing where it is unknown."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else ()


def _labels(state: State, read_by: str) -> Iterator[str]:
    """Name labels in the format of ParaView 6.1 ({:6.3g}), which older ones print as they stand."""
    release = _release(read_by)
    if release >= (6, 1):
        yield from _old_labels(state, read_by)
    if not release or release >= (6, 1):
        return
    found = [(proxy, text) for proxy in state.proxies for text in _new_formats(proxy)]
    if found:
        where = _listed(_title(proxy) for proxy, _ in found)
        yield (
            f"labels of {where} have the format {found[0][1]} of ParaView 6.1, which {read_by} prints as it stands; "
            "take ParaView 6.1 or newer (--pvbatch PATH), or set a format such as %-#6.3g and save the state again"
        )


def _title(proxy: Proxy) -> str:
    """Name a legend or an axis as it is seen."""
    return one_line(next(iter(proxy.values("Title")), "")) or proxy.name


def _old_labels(state: State, read_by: str) -> Iterator[str]:
    """Name colour legends whose labels have a format of before ParaView 6.1, which that prints as it stands.

    Only of the labels between the ends of the legend: all others it converts (seen with 6.1.1).
    """
    found = [
        (_title(proxy), next(iter(proxy.values("LabelFormat")), ""))
        for proxy in state.proxies
        if proxy.number("Visibility", 1) and proxy.number("AutomaticLabelFormat", 1) == 0
    ]
    old = [(legend, text) for legend, text in found if "%" in text and "{" not in text]
    if old:
        yield (
            f"labels of the legend {_listed(legend for legend, _ in old)} have the format {old[0][1]}, which ParaView "
            f"{read_by} prints as it stands; set one such as {{:g}} in it and save the state again, or take the "
            "ParaView that saved it (--pvbatch PATH)"
        )


def _new_formats(proxy: Proxy) -> Iterator[str]:
    if proxy.number("Visibility", 1) == 0:
        return
    for name in proxy.properties:
        text = next(iter(proxy.values(name)), "") if name.endswith("Format") else ""
        switch, shown = LEGEND_LABELS.get(name, (name, 0))
        if "{:" in text and "%" not in text and proxy.number(switch, shown) == shown:
            yield text


def shared_colours(state: State, job: RenderJob) -> Iterator[str]:
    """Refuse colour maps that are updated every timestep where ranks share frames.

    ParaView looks at the data of one of them alone (seen with 5.11).
    """
    if job.ranks_per_frame == 1:
        return
    of_all, of_arrays = color_range.requested(job.color_range)
    names = updated_colours(state, job, (GROW_EVERY_TIMESTEP, RESET_EVERY_TIMESTEP))
    asked = color_range.CLAMP in (of_all, *of_arrays.values())
    if names or asked:
        which = "--color-range clamp" if asked else f"the colour map of {_listed(names)}"
        yield (
            f"{which} is updated every timestep, and where ranks share frames (--ranks-per-frame) ParaView looks at "
            "the data of one of them alone; --color-range global finds the range of all frames first and keeps it"
        )


def growing_colours(state: State, job: RenderJob) -> list[str]:
    """Return the arrays whose colour map has the range of all frames so far, unless another one is asked for."""
    return updated_colours(state, job, (GROW_EVERY_TIMESTEP,))


def updated_colours(state: State, job: RenderJob, modes: Sequence[int]) -> list[str]:
    """Return the arrays whose colour map is in one of these modes, unless another range is asked for."""
    of_all, of_arrays = color_range.requested(job.color_range)
    usual = next((proxy.number("TransferFunctionResetMode", 0) for proxy in state.proxies
                  if proxy.type == "GeneralSettings"), 0.0)  # fmt: skip
    used = {key for proxy in state.proxies if proxy.group == "representations" and proxy.number("Visibility", 1)
            for name in ("LookupTable", "BlockLookupTables") for key in proxy.references(name)}  # fmt: skip
    growing = [
        proxy.name.split(".PVLookupTable")[0]
        for proxy in state.proxies
        if proxy.type == "PVLookupTable" and proxy.id in used and _rescale_mode(proxy, usual) in modes
    ]
    return [] if of_all is not None else [name for name in growing if name not in of_arrays]


def _growing_colours(state: State, job: RenderJob) -> Iterator[str]:
    names = growing_colours(state, job)
    if names:
        yield (
            f"the colour map of {_listed(names)} grows with every timestep, so a colour means another value later on; "
            f"--color-range global finds the range of all frames first and keeps it. As it is, {_replay(job)}"
        )


def _replay(job: RenderJob) -> str:
    """Say what it costs that a frame depends on those before it."""
    dealt = job.schedule in ("interleaved", "dynamic")
    once = "with --schedule contiguous" if dealt else "in blocks (--schedule contiguous)"
    return f"every rank computes the frames before its own as well; {once} it does so once, with --ranks 1 not at all"


def _rescale_mode(colours: Proxy, usual: float) -> float:
    """Return a colour map's mode; before ParaView 5.5 it had none but a lock, which never meant growing by timestep."""
    return colours.number("AutomaticRescaleRangeMode", -1 if "LockScalarRange" in colours.properties else usual)


def order_dependent(state: State, job: RenderJob) -> list[str]:
    """Return the filters and colour maps for which the frames before one have to be computed first."""
    return [*filters_with_memory(state), *growing_colours(state, job)]


def filters_with_memory(state: State) -> list[str]:
    """Return the filters whose output depends on the frames that they computed before."""
    return [proxy.name for proxy in state.proxies if proxy.group == "filters" and proxy.type in ACCUMULATING]


def _filters_with_memory(state: State, job: RenderJob) -> Iterator[str]:
    names = filters_with_memory(state)
    if names:
        yield f"{_listed(names)} carries something on from frame to frame, so {_replay(job)}"


def _axes_grids(state: State, job: RenderJob) -> Iterator[str]:
    """Say what an axes grid around data that changes costs where frames are dealt out one by one."""
    gridded = [
        view.name
        for view in state.registered("views")
        if any(state.by_id[key].number("Visibility", 0) for key in view.references("AxesGrid") if key in state.by_id)
    ]
    changing = state.timesteps or any(cue.type not in STILL_DATA for cue, _ in state.cues())
    if gridded and changing and job.schedule in ("auto", "interleaved"):
        yield (
            f"ParaView draws the axes grid of {_listed(gridded)} around the data of the frame before, so each frame's "
            "predecessor has to be rendered, too; --schedule contiguous saves most of that"
        )


def _idle_tracks(state: State) -> Iterator[str]:
    """Name tracks with fewer than two key frames; ParaView moves nothing along these."""
    for cue, frames in state.cues():
        if cue.type not in KEYED or frames >= 2:
            continue
        why = f"the animation track {cue.name} has {frames or 'no'} key frame{'s' if frames != 1 else ''}"
        if cue.type == "KeyFrameAnimationCue":
            what = next(iter(cue.values("AnimatedPropertyName")), "") or "what it animates"
            yield f"{why}, so {what} stays as it is; give it two or more, or delete it, and save the state again"
        elif cue.number("Mode", 0) == FOLLOW_DATA:
            yield f"{why}, an error to ParaView in every frame though it follows the data; take --on-error warn"
        else:
            yield f"{why}, so the camera stands still; give it two or more, or delete it, and save the state again"


def _nothing_moves(state: State) -> Iterator[str]:
    """Say that all frames will be equal, where that is certain."""
    if len(state.times) > 1 and not state.timesteps and not may_move(state):
        yield (
            f"nothing in this scene changes with time: all {len(state.times)} frames will be equal; animate something "
            "in ParaView's Animation View and save the state again, or render one with --frames 0"
        )


def may_move(state: State) -> bool:
    """Say whether a track or an object of the scene could depend on time."""
    for cue, frames in state.cues():
        if cue.type != "TimeAnimationCue" and (frames >= 2 or cue.type not in KEYED):
            return True
    return any(_may_have_time(proxy) for proxy in state.registered("sources"))


def _may_have_time(proxy: Proxy) -> bool:
    reader = any(prop.find("Domain[@name='files']") is not None for prop in proxy.properties.values())
    unknown = proxy.group == "sources" and not reader and proxy.type not in TIMELESS
    return unknown or bool(TIMED.search(proxy.type)) or bool(proxy.values("TimestepValues"))


def replaced_series(files: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    """Name readers whose series of files is replaced by one file: (reader, files before, files now)."""
    for reader, before, now in files:
        if before > 1 and now == 1:
            yield (
                f"--file puts one file in place of the {before} that {reader!r} reads, so its data stay the same in "
                "all frames; name a series with a pattern ('FOLDER/NAME_*.SUFFIX')"
            )
