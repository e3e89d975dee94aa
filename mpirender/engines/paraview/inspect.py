"""ParaView state files (.pvsm): what is in one, what is wrong with it, and its data files put where they are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mpirender.engines.base import DataFile, Inspection
from mpirender.engines.paraview import color_range, measure_spec, orbit_camera, overrides, state_warnings
from mpirender.engines.paraview.data_files import file_properties, relocate
from mpirender.engines.paraview.state_xml import NOT_PICTURES, State
from mpirender.job import frames as framesets
from mpirender.job.options import ALL
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

INSPECTED = ("HD", "4K")  # sizes whose cost is told where none is asked for

__all__ = ["State", "inspect_state", "relocate"]


def inspect_state(content: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Say what is in a state, what might surprise, and why it cannot be rendered as asked.

    Args:
        content: the bytes of the state file.
        job: what is asked for; its data folder and files count.
        read_by: version of the ParaView that would render it, where known.

    Raises:
        UsageError: it is no state at all.
    """
    state = State.parse(content, job.scene.name)
    _, files, lost = relocate(state, job)
    mistakes = [
        *lost, *overrides.mistakes(state, job), *color_range.mistakes(state, job), *measure_spec.mistakes(state, job),
        *orbit_camera.mistakes(job), *_of_views(state, job), *_of_animation(state, job),
        *state_warnings.shared_colours(state, job),
    ]  # fmt: skip
    return Inspection(
        engine="paraview",
        written_by=f"ParaView {state.version}".strip(),
        views=state.views,
        renderable_views=tuple(name for name, kind in state.view_types.items() if kind not in NOT_PICTURES),
        layouts=state.layouts,
        play_mode=state.play_mode,
        times=orbit_camera.times(state, job),
        data_files=files,
        order_dependent=tuple(state_warnings.order_dependent(state, job)),
        objects=tuple(overrides.objects(state).items()),
        warnings=(*state_warnings.warnings(state, job, read_by), *_replaced_series(state, job, files)),
        advice=tuple(_of_tiles(state, job)),
        mistakes=tuple(mistakes),
    )


def _of_tiles(state: State, job: RenderJob) -> Iterator[str]:
    """Say in how many passes the view is rendered for each size, where that is more than one."""
    chosen = job.views[0] if job.views else next(iter(state.views), None)
    view = next((view for view in state.registered("views") if view.name == chosen), None)
    sides = tuple(int(float(side)) for side in view.values("ViewSize")) if view is not None else ()
    if job.one_pass or job.layouts or len(sides) != 2 or min(sides) < 1:
        return
    sizes = job.sizes or tuple(map(Size.parse, INSPECTED))
    counts = [(size.name, passes((size.width, size.height), sides)) for size in sizes]
    tiled = [f"{name} in {across * down} passes" for name, (across, down) in counts if across * down > 1]
    if tiled:
        yield (
            f"the view was saved with {sides[0]}x{sides[1]} pixels, so ParaView renders {', '.join(tiled)}; --one-pass "
            "renders each in one: faster where there is much geometry, and another picture, since text keeps its "
            "points and looks smaller"
        )


def passes(image: tuple[int, int], view: tuple[int, ...]) -> tuple[int, int]:
    """Return in how many tiles, across and down, ParaView renders an image that is larger than its view.

    As many one way as the other where that makes tiles of whole pixels; else at least this many
    (vtkSMSaveScreenshotProxy::GetScaleFactorsAndSize).
    """
    least = (max(-(-image[0] // view[0]), 1), max(-(-image[1] // view[1]), 1))
    equal = range(max(least), min(image) + 1) if max(least) > 1 else ()
    count = next((count for count in equal if image[0] % count == image[1] % count == 0), None)
    return least if count is None else (count, count)


def _replaced_series(state: State, job: RenderJob, files: tuple[DataFile, ...]) -> Iterator[str]:
    asked = {reader for reader, _ in job.files}
    now = Counter((file.reader, file.property) for file in files)
    series = [(prop.reader, len(prop.saved), now[prop.reader, prop.name])
              for prop in file_properties(state) if prop.reader in asked]  # fmt: skip
    yield from state_warnings.replaced_series(series)


def _of_views(state: State, job: RenderJob) -> Iterator[str]:
    if not state.views:
        yield f"{state.name}: the state holds no view, so there is nothing to see; save it again with a view open"
        return
    for layout in job.layouts:
        yield from _of_layout(state, layout) if layout != ALL else ()
    for view in job.views or (() if job.layouts else state.views[:1]):
        if view == ALL:
            continue
        if view not in state.views:
            meant = did_you_mean(view, state.views)
            yield f"--view {view!r} is not in the scene{meant}; it has: {', '.join(state.views)}"
        elif state.view_types[view] in NOT_PICTURES:
            pictures = [name for name, kind in state.view_types.items() if kind not in NOT_PICTURES]
            cure = f"take another: --view {', '.join(pictures)}" if pictures else "save the state with a render view"
            yield f"view {view!r} is a spreadsheet, of which ParaView makes no picture; {cure}"


def _of_layout(state: State, asked: str) -> Iterator[str]:
    names = [layout.name for layout in state.layouts]
    by_number = {str(number): layout for number, layout in enumerate(state.layouts, start=1)}
    layout = next((layout for layout in state.layouts if layout.name == asked), by_number.get(asked))
    if layout is None:
        listed = ", ".join(f"{number} {name!r}" for number, name in enumerate(names, start=1))
        has = f"it has: {listed}" if names else "it has none; use --view"
        yield f"--layout {asked!r} is not in the scene{did_you_mean(asked, names)}; {has}"
    elif not layout.views:
        yield f"--layout {asked!r}: no view is in this layout; choose another, or use --view"


def _of_animation(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the frames of the scene, or with those asked for.

    The timesteps of data read from another place, or of objects whose properties are changed, are known only when
    ParaView has opened them, so their number is not judged here.
    """
    elsewhere = state.play_mode == "Snap To TimeSteps" and (job.data_dir is not None or bool(job.files))
    elsewhere = elsewhere or bool(job.overrides)
    times = orbit_camera.times(state, job)
    again = "in ParaView's Animation View and save the state again"
    if state.animation is None:
        yield f"{state.name}: the state holds no animation; open it in ParaView and save it again"
    elif orbit_camera.static_frames(state, job) is not None:
        yield from _of_frames(job, len(times))
    elif state.play_mode == "Real Time":
        yield (
            f"{state.name} was saved in Real Time mode, whose number of frames depends on the machine's speed; "
            f"set the mode to Sequence or Snap To TimeSteps {again}"
        )
    elif state.play_mode not in ("Sequence", "Snap To TimeSteps"):
        yield f"{state.name} was saved in {state.play_mode}, which is unknown; set the mode to Sequence {again}"
    elif times:
        if not elsewhere:
            yield from _of_frames(job, len(times))
    elif state.play_mode == "Sequence":
        yield f"{state.name} has no frames; set the number of frames {again}"
    elif not elsewhere:
        yield (
            f"{state.name} is in Snap To TimeSteps mode but its data has no timesteps, so it has no frames; "
            f"set the mode to Sequence and the number of frames {again}"
        )


def _of_frames(job: RenderJob, count: int) -> Iterator[str]:
    """Say which of the frames asked for the scene does not have."""
    if job.frames is not None:
        yield from filter(None, [framesets.out_of_range(job.frames, range(count))])
