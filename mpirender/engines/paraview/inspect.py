"""Inspects ParaView state files (.pvsm): their contents, warnings, and the mistakes in a job that renders them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterator

from mpirender.engines.base import DataFile, Inspection, refused_scripts
from mpirender.engines.paraview import (
    color_range,
    index_files,
    measure,
    orbit_camera,
    overrides,
    state_scripts,
    state_warnings,
)
from mpirender.engines.paraview.data_files import file_properties, relocate
from mpirender.engines.paraview.script_source import is_script
from mpirender.engines.paraview.state_xml import NO_REAL_TIME, NO_VIEW, NOT_RENDERABLE, REAL_TIME, State
from mpirender.job import frames as framesets
from mpirender.job.options import ALL
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean, plural

DEFAULT_SIZES = ("HD", "4K")  # sizes whose cost is reported if the job gives none

__all__ = ["State", "inspect_state", "relocate"]


def inspect_state(content: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Return the contents of a state, warnings, and the reasons why ParaView ``read_by`` cannot render it as requested.

    :raises UsageError: the file is not a state.
    """
    state = State.parse(content, job.scene.name)
    _, files, file_mistakes = relocate(state, job)
    mistakes = [
        *_argument_mistakes(job), *file_mistakes, *overrides.mistakes(state, job), *color_range.mistakes(state, job),
        *measure.mistakes(state, job), *orbit_camera.mistakes(job), *_view_mistakes(state, job),
        *_comparative_charts(state, job),
        *refused_scripts(job, found := tuple(state_scripts.scripts(state, job))),
        *_animation_mistakes(state, job), *state_warnings.shared_color_maps(state, job),
    ]  # fmt: skip
    return Inspection(
        engine="paraview",
        written_by=f"ParaView {state.version}".strip(),
        views=state.views,
        renderable_views=tuple(name for name, kind in state.view_types.items() if kind not in NOT_RENDERABLE),
        layouts=state.layouts,
        play_mode=state.play_mode,
        times=orbit_camera.times(state, job),
        data_files=files,
        order_dependent=tuple(itertools.chain(*state_warnings.order_dependent(state, job))),
        objects=tuple(overrides.objects(state).items()),
        scripts=found,
        warnings=(
            *state_warnings.warnings(state, job, read_by),
            *_replaced_series(state, job, files),
            *_more_steps(state, job, files),
        ),
        advice=(*_tiles(state, job), *_ray_tracing(state, job)),
        mistakes=tuple(mistakes),
    )


def _tiles(state: State, job: RenderJob) -> Iterator[str]:
    """Yield advice if ParaView renders the view in more than one pass."""
    chosen = job.views[0] if job.views else next(iter(state.views), None)
    view = next((view for view in state.registered("views") if view.name == chosen), None)
    sides = tuple(map(int, view.numbers("ViewSize"))) if view is not None else ()
    if job.one_pass or job.layouts or len(sides) != 2 or min(sides) < 1:
        return
    sizes = job.sizes or tuple(map(Size.parse, DEFAULT_SIZES))
    counts = [(size.name, passes((size.width, size.height), sides)) for size in sizes]
    tiled = [f"{name} in {across * down} passes" for name, (across, down) in counts if across * down > 1]
    if tiled:
        yield (
            f"the view was saved with {sides[0]}x{sides[1]} pixels, so ParaView renders {', '.join(tiled)}; --one-pass "
            "renders each in a single pass: faster for large geometry, but the image changes: text keeps its size in "
            "points and looks smaller"
        )


def _argument_mistakes(job: RenderJob) -> Iterator[str]:
    if job.script_arguments and not is_script(job):
        yield f"{shlex.join(job.script_arguments)}: only Python scripts (.py) take arguments; leave them out"


def _ray_tracing(state: State, job: RenderJob) -> Iterator[str]:
    """Yield advice about views that only some builds of ParaView render as they ask for."""
    rendered = _rendered_views(state, job)
    for view in state.registered("views"):
        if view.name in rendered and view.number("EnableOSPRay", 0):
            yield (
                f"view {view.name!r} asks for ray tracing; a ParaView built without OSPRay and OptiX renders it with "
                "OpenGL instead, and a run warns of that"
            )


def passes(image: tuple[int, int], view: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of tiles, across and down, in which ParaView renders an image larger than its view.

    Both numbers are equal if that gives tiles of whole pixels; otherwise each is the smallest possible
    (vtkSMSaveScreenshotProxy::GetScaleFactorsAndSize).
    """
    least = (max(-(-image[0] // view[0]), 1), max(-(-image[1] // view[1]), 1))
    equal = range(max(least), min(image) + 1) if max(least) > 1 else ()
    count = next((count for count in equal if image[0] % count == image[1] % count == 0), None)
    return least if count is None else (count, count)


def _replaced_series(state: State, job: RenderJob, files: tuple[DataFile, ...]) -> Iterator[str]:
    """Warn of readers whose series of files is replaced by one file."""
    replaced = {reader for reader, _ in job.files}
    now = Counter((file.reader, file.property) for file in files)
    for prop in file_properties(state):
        if prop.reader in replaced and len(prop.saved) > 1 and now[prop.reader, prop.name] == 1:
            yield (
                f"--file replaces the {len(prop.saved)} files of {prop.reader!r} by a single file, so its data are the "
                "same in all frames; give a pattern for a series ('FOLDER/NAME_*.SUFFIX')"
            )


def _more_steps(state: State, job: RenderJob, files: tuple[DataFile, ...]) -> Iterator[str]:
    """Warn of readers whose data have more timesteps now than the state knows."""
    for prop in file_properties(state):
        own = [file.path for file in files if (file.reader, file.property, file.index) == (prop.reader, prop.name, "")]
        if prop.many and (more := index_files.newer(own)):
            count = (
                f"{len(more)} more files of its series exist" if len(more) > 1 else "one more file of its series exists"
            )
            pattern = shlex.quote(re.sub(r"\d+(?=\D*$)", "*", own[-1]))
            yield (
                f"reader {prop.reader!r}: {count} than the state reads ({more[-1]} is the last); use --file "
                f"{shlex.quote(prop.reader)}={pattern}, or reload the files in ParaView and save the state again"
            )
        saved = state.by_id[prop.key[0]].numbers("TimestepValues")
        times = {file.time for file in files if file.reader == prop.reader and file.time is not None and file.found}
        if saved and not job.overrides and (later := [time for time in times if time > max(saved) * (1 + 1e-9)]):
            yield (
                f"reader {prop.reader!r}: its data have {plural(len(later), 'more timestep')} than when the state was "
                f"saved, up to {max(later):g}; {_end_of_animation(state)}"
            )


def _end_of_animation(state: State) -> str:
    """Return what becomes of timesteps that were added since the state was saved."""
    if state.play_mode == "Snap To TimeSteps":
        return "they are rendered as well"
    return f"the animation ends at {state.times[-1]:g}" if state.times else "the animation stays as it is"


def _rendered_views(state: State, job: RenderJob) -> list[str]:
    """Return the names of the views that are rendered, alone or in a layout."""
    layouts = {layout.name: layout.views for layout in state.layouts}
    numbered = {str(number): layout.views for number, layout in enumerate(state.layouts, start=1)}
    in_layouts = [view for name in job.layouts for view in {**numbered, **layouts, ALL: ()}.get(name, ())]
    return [*(job.views or (() if job.layouts else state.views[:1])), *in_layouts]


def _comparative_charts(state: State, job: RenderJob) -> Iterator[str]:
    """Refuse charts whose labels depend on the renders before; seen with ParaView 5.11."""
    for view in [] if job.allow_order_dependence else _rendered_views(state, job):
        if state.view_types.get(view, "").startswith("ComparativeXY"):
            yield (
                f"view {view!r} is a comparative chart, whose axis labels ParaView places according to the frames "
                "rendered before; render another view, or render it nevertheless with --allow-order-dependence"
            )


def _view_mistakes(state: State, job: RenderJob) -> Iterator[str]:
    if not state.views:
        yield f"{state.name}: {NO_VIEW}"
        return
    for layout in job.layouts:
        yield from _layout_mistakes(state, layout) if layout != ALL else ()
    for view in job.views or (() if job.layouts else state.views[:1]):
        if view == ALL:
            continue
        if view not in state.views:
            meant = did_you_mean(view, state.views)
            yield f"--view {view!r} is not in the scene{meant}; it has: {', '.join(state.views)}"
        elif state.view_types[view] in NOT_RENDERABLE:
            others = [name for name, kind in state.view_types.items() if kind not in NOT_RENDERABLE]
            fix = f"use --view with one of: {', '.join(others)}" if others else "save the state with a render view"
            yield f"view {view!r} is a spreadsheet, which ParaView cannot render to an image; {fix}"


def _layout_mistakes(state: State, requested: str) -> Iterator[str]:
    names = [layout.name for layout in state.layouts]
    by_number = {str(number): layout for number, layout in enumerate(state.layouts, start=1)}
    layout = next((layout for layout in state.layouts if layout.name == requested), by_number.get(requested))
    if layout is None:
        numbered = ", ".join(f"{number} {name!r}" for number, name in enumerate(names, start=1))
        has = f"it has: {numbered}" if names else "it has none; use --view"
        yield f"--layout {requested!r} is not in the scene{did_you_mean(requested, names)}; {has}"
    elif not layout.views:
        yield f"--layout {requested!r} contains no view; choose another layout, or use --view"


def _animation_mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the frames of the scene, or with the requested frames.

    If data files are replaced or properties changed, the timesteps are known only after ParaView has opened the scene,
    so their number is not checked here.
    """
    snaps, static = state.play_mode == "Snap To TimeSteps", orbit_camera.static_frames(state, job) is not None
    unknown = job.overrides or (snaps and (job.data_dir is not None or job.files))
    times = orbit_camera.times(state, job)
    fix = "in ParaView's Animation View and save the state again"
    if state.animation is None:
        yield f"{state.name}: the state contains no animation; open it in ParaView and save it again"
    elif static or times:
        if job.frames is not None and (static or not unknown):
            yield from filter(None, [framesets.out_of_range(job.frames, range(len(times)))])
    elif state.play_mode == REAL_TIME:
        if not any(".PlayMode=" in text for text in job.overrides):
            yield f"{state.name} {NO_REAL_TIME}"
    elif state.play_mode == "Sequence":
        yield f"{state.name} has no frames; set the number of frames {fix}"
    elif not snaps:
        yield f"{state.name} was saved in an unknown mode ({state.play_mode}); set the mode to Sequence {fix}"
    elif not unknown:
        yield (
            f"{state.name} is in Snap To TimeSteps mode but its data have no timesteps, so it has no frames; "
            f"set the mode to Sequence and the number of frames {fix}"
        )
