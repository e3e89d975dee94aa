"""The ParaView engine: states (.pvsm) rendered in pvbatch.

paraview is imported inside functions. So is what only rank 0 needs, or only some scenes: very many ranks read their
program at once.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice, Check, Inspection
from mpirender.engines.paraview import backends
from mpirender.engines.paraview.error_log import ErrorLog
from mpirender.engines.paraview.scene import ParaViewScene
from mpirender.engines.paraview.script_source import is_script
from mpirender.errors import ToolMissing, UsageError
from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system import apptainer, child_process, site
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    from mpirender.engines.paraview.scene import Target

VERSION_SECONDS = 60.0
BACKENDS = tuple(backends.WINDOWS)
SCENES = "ParaView states"
OPTIONS = (
    "views", "layouts", "data_dir", "files", "overrides", "vary", "camera", "color_range", "measure",
    "override_color_palette", "font_scaling", "transparent_background", "separator_width", "separator_color",
    "stereo_mode", "one_pass", "quality", "compression", "ranks_per_frame", "allow_order_dependence", "backend", "gpus",
    "allow_software", "display", "pvbatch",
)  # fmt: skip
_kept: list[Any] = []  # what VTK refers to without owning it
CURE = (
    "load your site's ParaView module, install it (Debian, Ubuntu: apt-get install paraview python3-paraview), "
    "or name the program with --pvbatch PATH or MPIRENDER_PVBATCH"
)


def command(programs: Programs) -> list[str]:
    """Return pvbatch, each rank a ParaView of its own (``--no-mpi``); in a container it is the one in there.

    Where ranks share a frame all of them run the same program (``--sym``), and are divided into groups in there.

    Raises:
        ToolMissing: there is no such program.
    """
    mode = "--no-mpi" if programs.ranks_per_frame == 1 else "--sym"
    if programs.container:
        return [programs.pvbatch or "pvbatch", mode]
    asked = programs.pvbatch or site.read(site.PVBATCH) or "pvbatch"
    found = shutil.which(asked)
    if found is None:
        raise ToolMissing(
            f"{asked} is not found; {CURE}" if asked == "pvbatch" else f"{asked}: no such program; {CURE}"
        )
    return [found, mode]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Make sure that pvbatch is there, and is pvbatch; its answer is remembered, but for one in a container.

    Raises:
        ToolMissing: it is not.
    """
    program = [*apptainer.words(programs.container), command(programs)[0]]
    place = None if programs.container else probe_cache.path_of(program, "version")
    if place is not None and not afresh and probe_cache.load(place):
        return
    found, words = version(programs), shlex.join(program)
    if not found:
        raise ToolMissing(f"{words} does not say that it is ParaView; see what it says: {words} --version; {CURE}")
    if place is not None:
        probe_cache.store(place, found)


def mpiexec(programs: Programs) -> str | None:
    """Return the mpiexec that stands beside pvbatch: Kitware's binaries bring their own MPI along."""
    if programs.container:
        return None
    try:
        program = Path(command(programs)[0])
    except ToolMissing:
        return None
    beside = (program.resolve().with_name("mpiexec"), program.with_name("mpiexec"))
    return next((str(path) for path in beside if os.access(path, os.X_OK)), None)


def version(programs: Programs) -> str:
    """Return what pvbatch says of itself (``5.11.0``), empty when it is not there or says nothing of the kind."""
    try:
        question = [*apptainer.words(programs.container), command(programs)[0], "--no-mpi", "--version"]
        answer = child_process.run(question, timeout=VERSION_SECONDS, isolated=True, attempts=2)
    except (ToolMissing, OSError):
        return ""
    match = re.search(r"paraview version (\S+)", answer.output + answer.errors)
    return match[1] if match else ""


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Say what is in a state and what would go wrong, from its XML alone; of a script, what its text tells."""
    from mpirender.engines.paraview.inspect import inspect_state
    from mpirender.engines.paraview.script_source import inspect_script

    return inspect_script(scene, job) if is_script(job) else inspect_state(scene, job, read_by)


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Return the state with its data files where they are now, and those files; a script as it is."""
    from mpirender.engines.paraview.inspect import State, relocate

    if is_script(job):
        return scene, []
    content, files, mistakes = relocate(State.parse(scene, job.scene.name), job)
    if mistakes:
        raise UsageError(mistakes)
    return content, [Path(file.path) for file in files]


def checks(programs: Programs) -> Sequence[Check]:
    """Look for pvbatch, and ask it what it can render with here."""
    found = version(programs)
    try:
        program = [*apptainer.words(programs.container), command(programs)[0]]
    except ToolMissing:
        return (Check("pvbatch", False, "not found", CURE),)
    if not found:
        return (Check("pvbatch", False, f"{shlex.join(program)} (does not say that it is ParaView)", CURE),)
    seen = list(backends.seen_by(program))
    return (
        Check("pvbatch", True, f"{shlex.join(program)}, ParaView {found}"),
        *(_check_of(device) for device in seen),
        Check(
            "rendering",
            not all(device.problem for device in seen),
            ", ".join(dict.fromkeys(device.backend for device in seen if not device.problem)) or "not possible",
            "mend one of the backends above",
        ),
    )


def _check_of(device: BackendDevice) -> Check:
    """Return a line of doctor; no single backend is required."""
    problem, _, cure = device.problem.partition("; ")
    where = "" if device.device is None else f"device {device.device}, "
    found = problem or f"{where}{device.renderer}{' (on the CPU)' if device.software else ''}"
    return Check(device.backend, not problem, found, cure, required=False)


def backend_devices(programs: Programs, backend: str) -> Sequence[BackendDevice]:
    """Return what pvbatch can render with a backend on this machine, device by device; see :mod:`backends`."""
    insisted = programs.backend == backend or programs.gpus is not None
    return backends.backend_devices([command(programs)[0]], backend, shown_on=programs.display or "", insisted=insisted)


def environment(device: BackendDevice) -> Mapping[str, str]:
    """Return the environment in which ParaView renders so."""
    return backends.environment(device)


def split_into_groups(group: int, rank: int) -> None:
    """Make a ParaView of its own of each group of ranks that pvbatch has started as one."""
    from vtkmodules.vtkParallelCore import vtkMultiProcessController

    part = vtkMultiProcessController.GetGlobalController().PartitionController(group, rank)
    vtkMultiProcessController.SetGlobalController(part)
    _kept.append(part)


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> ParaViewScene:
    """Load a prepared state from memory, or run a script, and render once.

    Without that first render the first frame of each process differs from ParaView's own: labels of axes settle in it.

    Raises:
        UsageError: the state does not load, or holds no such view, layout, array, or reachable size; the script fails.
    """
    errors = ErrorLog(group)  # before ParaView loads anything: what it prints while loading counts too
    try:
        from paraview import simple
    except ImportError as error:
        raise ToolMissing(f"this pvbatch has no paraview.simple ({error}); {CURE}") from None
    seen = None
    if is_script(job):
        scene, seen = _run(scene, job)
    else:
        _load(scene, job.scene.name)
        _set_properties(job)
    targets = _targets(simple, job)
    if not job.one_pass:
        _check_sizes(targets, job.outputs)
    opened = ParaViewScene(simple, targets, job, errors, still_frames=_still_frames(scene, job))
    if job.overrides or job.vary:
        from mpirender.engines.paraview import set_properties

        set_properties.check_arrays(job)
    opened.measure(job.measure, group)
    if seen is not None:
        opened.files = [Path(file.path) for file in seen.data_files]
        opened.warnings = [*seen.warnings, *opened.warnings]
    return opened


def _run(script: bytes, job: RenderJob) -> tuple[bytes, Inspection]:
    """Run a script; return the scene that it leaves behind as a state, and what is in that.

    Raises:
        UsageError: it fails, or leaves behind what cannot be rendered as asked.
    """
    from mpirender.engines.paraview import script_runner
    from mpirender.engines.paraview.inspect import inspect_state

    script_runner.run(script, job.scene)
    _set_properties(job)
    scene = script_runner.left_behind()
    seen = inspect_state(scene, job)
    if seen.mistakes:
        raise UsageError(seen.mistakes)
    return scene, seen


def _set_properties(job: RenderJob) -> None:
    if job.overrides or job.vary:
        from mpirender.engines.paraview import set_properties

        set_properties.apply(job)


def _still_frames(scene: bytes, job: RenderJob) -> int | None:
    """Return the number of frames of a turn around a scene that stands still, None where it does not."""
    if job.camera is None:
        return None
    from mpirender.engines.paraview import state_xml, turntable

    return turntable.still_frames(state_xml.State.parse(scene, job.scene.name), job)


def _load(scene: bytes, name: str) -> None:
    """Load a state from memory; LoadState would read it from disk in every rank."""
    from paraview import servermanager, simple

    try:
        from paraview.modules.vtkPVCommon import vtkPVXMLParser  # ParaView 6
    except ImportError:
        from paraview.modules.vtkPVVTKExtensionsCore import vtkPVXMLParser
    simple.RemoveViewsAndLayouts()
    parser = vtkPVXMLParser()
    if not parser.Parse(scene.decode()):
        raise UsageError(f"{name}: ParaView cannot read this state; save it again from ParaView")
    servermanager.ProxyManager().SMProxyManager.LoadXMLState(parser.GetRootElement())
    if not simple.GetViews():
        raise UsageError(f"{name}: the state holds no view, so there is nothing to see; save it with a view open")


def _targets(simple: Any, job: RenderJob) -> dict[Target, Any]:  # noqa: ANN401 - ParaView's proxies have no types
    """Return the views and layouts to render: those asked for, else the view that the state shows first."""
    views = {_name("views", view): view for view in simple.GetViews()}
    layouts = {_name("layouts", layout): layout for layout in simple.GetLayouts().values()}
    by_number = {str(number): layout for number, layout in enumerate(layouts.values(), start=1)}
    mistakes = [
        f"--view {name!r} is not in the state; it has: {', '.join(views)}" for name in job.views if name not in views
    ]
    mistakes += [
        f"--layout {name!r} is not in the state; it has: {', '.join(layouts)}"
        for name in job.layouts
        if name not in layouts and name not in by_number
    ]
    if mistakes:
        raise UsageError(mistakes)
    if not job.views and not job.layouts:
        return {(None, None): (simple.GetRenderViews() or list(views.values()))[0]}
    chosen: dict[Target, Any] = {(name, None): views[name] for name in job.views}
    return {**chosen, **{(None, name): layouts.get(name) or by_number[name] for name in job.layouts}}


def _name(group: str, proxy: Any) -> str:  # noqa: ANN401
    from paraview import servermanager

    return str(servermanager.ProxyManager().GetProxyName(group, proxy.SMProxy))


def _check_sizes(targets: Mapping[Target, Any], outputs: Sequence[Output]) -> None:
    """Refuse a size that ParaView would silently change.

    An image larger than the view is rendered in tiles of whole pixels; a side without a fitting divisor (a prime, say)
    is shortened to the next that has one (vtkSMSaveScreenshotProxy::GetScaleFactorsAndSize).
    """
    from paraview.modules.vtkRemotingViews import vtkSMSaveScreenshotProxy
    from vtkmodules.vtkCommonDataModel import vtkVector2i

    mistakes = []
    for output in {(one.view, one.layout, one.width, one.height): one for one in outputs}.values():
        target = targets[output.view, output.layout]
        shown = list(target.GetSize()) if target.IsA("vtkSMViewLayoutProxy") else list(target.ViewSize)
        tile = vtkVector2i(*shown)
        times = vtkSMSaveScreenshotProxy.GetScaleFactorsAndSize(vtkVector2i(output.width, output.height), tile)
        reached = (tile[0] * times[0], tile[1] * times[1])
        if reached != (output.width, output.height):
            mistakes.append(
                f"--size {output.asked_size}: ParaView cannot render this size from a view of {shown[0]}x{shown[1]} "
                f"pixels; take {reached[0]}x{reached[1]}, or save the state with a larger view"
            )
    if mistakes:
        raise UsageError(mistakes)
