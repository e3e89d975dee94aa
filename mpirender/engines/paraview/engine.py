"""The ParaView engine: states (.pvsm) and Python scripts (.py), rendered in pvbatch."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice, Check, Inspection, refused_scripts
from mpirender.engines.paraview import backends, open_warnings, screenshot
from mpirender.engines.paraview.error_log import ErrorLog
from mpirender.engines.paraview.proxies import PVObject, import_simple
from mpirender.engines.paraview.scene import ParaViewScene
from mpirender.engines.paraview.script_source import SCRIPT, is_script
from mpirender.engines.paraview.state_xml import NO_VIEW, State
from mpirender.errors import ToolMissing, UsageError
from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system import apptainer, child_process, site
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    from mpirender.engines.paraview.frame_inputs import Inputs
    from mpirender.engines.paraview.save_animation_order import Target

VERSION_SECONDS = 60.0
BACKENDS = tuple(backends.WINDOWS)
SCENES = "ParaView states"
NAMES_FILES = b'name="files"'  # the domain of properties that name files
_early_log: list[ErrorLog] = []  # at most one
_controllers: list[PVObject] = []  # VTK refers to them without owning them
INSTALL = (
    "load your site's ParaView module, install it (Debian, Ubuntu: apt-get install paraview python3-paraview), "
    "or name the program with --pvbatch PATH or MPIRENDER_PVBATCH"
)


def command(programs: Programs) -> list[str]:
    """Return the pvbatch command, of the host or of the container, in which each rank is on its own (``--no-mpi``).

    If ranks share a frame, all ranks form one ParaView (``--sym``), which :func:`split_into_groups` then divides.

    :raises ToolMissing: there is no such program.
    """
    mode = "--no-mpi" if programs.ranks_per_frame == 1 else "--sym"
    if programs.container:
        return [programs.pvbatch or "pvbatch", mode]
    requested = programs.pvbatch or site.read(site.PVBATCH) or "pvbatch"
    found = shutil.which(requested)
    if found is None:
        what = "pvbatch is not found" if requested == "pvbatch" else f"{requested}: no such program"
        raise ToolMissing(f"{what}; {INSTALL}")
    return [found, mode]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Check that pvbatch exists and is ParaView's; the result is cached, except in a container.

    :raises ToolMissing: it does not exist or is another program.
    """
    program = [*apptainer.words(programs.container), command(programs)[0]]
    place = None if programs.container else probe_cache.path_of(program, "version")
    if place is not None and not afresh and probe_cache.load(place):
        return
    found = version(programs)
    if not found:
        question = f"{shlex.join(program)} --version"
        raise ToolMissing(f"`{question}` did not report a ParaView version; check --pvbatch, or {INSTALL}")
    if place is not None:
        probe_cache.store(place, found)


def mpiexec(programs: Programs) -> str | None:
    """Return the mpiexec in the folder of pvbatch: Kitware's binaries include their own MPI."""
    if programs.container:
        return None
    with contextlib.suppress(ToolMissing):
        program = Path(command(programs)[0])
        beside = (program.resolve().with_name("mpiexec"), program.with_name("mpiexec"))
        return next((str(path) for path in beside if os.access(path, os.X_OK)), None)
    return None


def version(programs: Programs) -> str:
    """Return the version that pvbatch reports (``5.11.0``); empty if there is none."""
    try:
        question = [*apptainer.words(programs.container), command(programs)[0], "--no-mpi", "--version"]
        answer = child_process.run(question, timeout=VERSION_SECONDS, isolated=True, attempts=2)
    except (ToolMissing, OSError):
        return ""
    match = re.search(r"paraview version (\S+)", answer.output + answer.errors)
    return match[1] if match else ""


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Return the contents and mistakes of a state from its XML, or of a script from its source."""
    from mpirender.engines.paraview.inspect import inspect_state
    from mpirender.engines.paraview.script_source import inspect_script

    return inspect_script(scene, job, read_by) if is_script(job) else inspect_state(scene, job, read_by)


def moved(scene: bytes, job: RenderJob, folder: str) -> bytes:
    """Return the state with its files in a folder of another machine; a script is returned unchanged."""
    from mpirender.engines.paraview.data_files import relocate

    return scene if is_script(job) else relocate(State.parse(scene, job.scene.name), job, folder)[0]


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Return the state with the current paths of its data files, and these files; a script is returned unchanged."""
    from mpirender.engines.paraview import state_scripts
    from mpirender.engines.paraview.data_files import relocate

    if is_script(job):
        if refused := refused_scripts(job, [SCRIPT]):
            raise UsageError(refused)
        return scene, []
    state = State.parse(scene, job.scene.name)
    content, files, mistakes = relocate(state, job)
    # The file may have changed since it was inspected.
    if mistakes := [*mistakes, *refused_scripts(job, list(state_scripts.scripts(state, job)))]:
        raise UsageError(mistakes)
    return content, [Path(file.path) for file in files if file.found]


def checks(programs: Programs) -> Sequence[Check]:
    """Check pvbatch, and the backends that it can use on this machine."""
    found = version(programs)
    try:
        program = [*apptainer.words(programs.container), command(programs)[0]]
    except ToolMissing:
        return (Check("pvbatch", False, "not found", INSTALL),)
    if not found:
        return (Check("pvbatch", False, f"{shlex.join(program)} (did not report a ParaView version)", INSTALL),)
    devices = [device for backend in BACKENDS for device in backends.backend_devices(program, backend, afresh=True)]
    usable = ", ".join(dict.fromkeys(device.backend for device in devices if not device.problem))
    return (
        Check("pvbatch", True, f"{shlex.join(program)}, ParaView {found}"),
        *map(_check_of, devices),
        Check("rendering", bool(usable), usable or "not possible", "fix one of the backends above"),
    )


def _check_of(device: BackendDevice) -> Check:
    """Return doctor's line about a backend; none of them is required."""
    problem, _, fix = device.problem.partition("; ")
    where = "" if device.device is None else f"device {device.device}, "
    found = problem or f"{where}{device.renderer}{' (on the CPU)' if device.software else ''}"
    return Check(device.backend, not problem, found, fix, required=False)


environment = backends.environment


def backend_devices(programs: Programs, backend: str) -> Sequence[BackendDevice]:
    """Return the devices of a backend that pvbatch can use on this machine; see :mod:`backends`."""
    insisted = programs.backend == backend or programs.gpus is not None
    return backends.backend_devices([command(programs)[0]], backend, display=programs.display or "", insisted=insisted)


def warm_up() -> None:
    """Import ParaView's Python, which takes a second; errors that it reports meanwhile are errors of loading."""
    _early_log.append(ErrorLog())
    with contextlib.suppress(ImportError):  # reported by open_scene()
        importlib.import_module("paraview.simple")


def split_into_groups(group: int, rank: int) -> None:
    """Divide the ranks, which pvbatch has started as one ParaView, into one ParaView per group."""
    from vtkmodules.vtkParallelCore import vtkMultiProcessController

    part = vtkMultiProcessController.GetGlobalController().PartitionController(group, rank)
    vtkMultiProcessController.SetGlobalController(part)
    _controllers.append(part)


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> ParaViewScene:
    """Load a prepared state from memory, or run a script, and render once.

    Without that render, the first frame of each process would differ from ParaView's own in the labels of axes.

    :raises UsageError: the state does not load, or lacks a requested view, layout or array; a size cannot be rendered;
        the script fails.
    """
    opened = _opened(scene, job, group)
    if group is None:
        opened.open_again = partial(_opened, scene, job)
    return opened


def _opened(scene: bytes, job: RenderJob, group: Comm | None = None) -> ParaViewScene:
    """Open a scene in this process, as :func:`open_scene` does."""
    # Before loading anything, so that errors while loading are included.
    log = _early_log.pop() if _early_log else ErrorLog(group)
    log.forget_printed()
    try:
        simple = import_simple()
    except ImportError as error:
        raise ToolMissing(f"this pvbatch has no paraview.simple ({error}); {INSTALL}") from None
    if job.plugins:
        from mpirender.engines.paraview import plugins

        plugins.load(job)
    inputs = _watched(scene, job) if group is None else (None, "")
    if is_script(job):
        from mpirender.engines.paraview import script_runner

        script_runner.run(scene, job.scene, job.script_arguments)
    else:
        _load(scene, job.scene.name, log)
    if job.overrides or job.vary:
        from mpirender.engines.paraview import overrides

        overrides.apply(job)
    scene, inspection = script_runner.saved_state(job) if is_script(job) else (scene, None)
    targets = _targets(simple, job)
    if not job.one_pass:
        _check_sizes(targets, job.outputs)
    static_frames = None
    if job.camera is not None:
        from mpirender.engines.paraview import orbit_camera

        static_frames = orbit_camera.static_frames(State.parse(scene, job.scene.name), job)
    opened = ParaViewScene(simple, targets, job, log, static_frames=static_frames)
    if job.overrides or job.vary:
        overrides.check_arrays(job)
    opened.measure(job.measure, group)
    if job.plugins:
        opened.files = plugins.files(job)
    opened.warnings = [*opened.warnings, *open_warnings.warnings(opened.views, simple.GetAnimationScene())]
    if inspection is not None:
        opened.data = [Path(file.path) for file in inspection.data_files if file.found]
        opened.warnings = [*inspection.warnings, *opened.warnings]
        opened.contents = script_runner.contents(State.parse(scene, job.scene.name))
    _observe(opened, scene, simple.GetAnimationScene().TimeKeeper, *inputs)
    return opened


def _watched(scene: bytes, job: RenderJob) -> tuple[Inputs | None, str]:
    """Begin to watch the data files of a scene before it is loaded; return why this is not possible, if so."""
    if not is_script(job) and NAMES_FILES not in scene:
        return None, ""
    from mpirender.engines.paraview import data_watch

    return data_watch.start(scene, job)


def _observe(opened: ParaViewScene, scene: bytes, keeper: PVObject, inputs: Inputs | None, problem: str) -> None:
    """Let an open scene observe which data files its frames depend on, if it reads any."""
    if NAMES_FILES in scene:
        from mpirender.engines.paraview import data_watch

        opened.data_watch, beside, more = data_watch.observe(inputs, problem, State.parse(scene, "state"), keeper)
        opened.observes = opened.data_watch is not None
        opened.data, opened.warnings = [*opened.data, *beside], [*opened.warnings, *more]


def _load(scene: bytes, name: str, log: ErrorLog) -> None:
    """Load a state from memory; LoadState would read the file in every rank."""
    from paraview import servermanager, simple

    try:
        from paraview.modules.vtkPVCommon import vtkPVXMLParser  # ParaView 6
    except ImportError:
        from paraview.modules.vtkPVVTKExtensionsCore import vtkPVXMLParser
    simple._DisableFirstRenderCameraReset()  # scripts in the state may render
    simple.RemoveViewsAndLayouts()
    parser = vtkPVXMLParser()
    if not parser.Parse(scene.decode()):
        raise UsageError(f"{name}: ParaView cannot read this state; save it again from ParaView")
    servermanager.ProxyManager().SMProxyManager.LoadXMLState(parser.GetRootElement())
    errors = log.take()
    if errors:
        from mpirender.engines.paraview import plugins

        errors = plugins.explain(errors, State.parse(scene, name))
        log.put_back(errors)
    if not simple.GetViews():
        raise UsageError(f"{name}: {(*errors, NO_VIEW)[0]}")
    for view in simple.GetRenderViews()[:1]:
        simple.SetActiveView(view)


def _targets(simple: PVObject, job: RenderJob) -> dict[Target, PVObject]:
    """Return the requested views and layouts; by default the first render view of the state."""
    name_of = simple.servermanager.ProxyManager().GetProxyName
    views = {str(name_of("views", view.SMProxy)): view for view in simple.GetViews()}
    layouts = {str(name_of("layouts", layout.SMProxy)): layout for layout in simple.GetLayouts().values()}
    by_number = {str(number): layout for number, layout in enumerate(layouts.values(), start=1)}
    unknown = [("view", name, views) for name in job.views if name not in views]
    unknown += [("layout", name, layouts) for name in job.layouts if name not in {**layouts, **by_number}]
    if unknown:
        raise UsageError(
            [f"--{kind} {name!r} is not in the state; it has: {', '.join(has)}" for kind, name, has in unknown]
        )
    if not job.views and not job.layouts:
        return {(None, None): (simple.GetRenderViews() or list(views.values()))[0]}
    chosen: dict[Target, PVObject] = {(name, None): views[name] for name in job.views}
    return {**chosen, **{(None, name): layouts.get(name) or by_number[name] for name in job.layouts}}


def _check_sizes(targets: Mapping[Target, PVObject], outputs: Sequence[Output]) -> None:
    """Refuse a size that ParaView would silently change.

    An image larger than the view is rendered in tiles of whole pixels. A side without a suitable divisor (for example a
    prime number) is reduced to the next one that has it (vtkSMSaveScreenshotProxy::GetScaleFactorsAndSize).
    """
    mistakes = []
    for output in {(one.view, one.layout, one.width, one.height): one for one in outputs}.values():
        target = targets[output.view, output.layout]
        shown = screenshot.size_of(target)
        reached = screenshot.tiles_of(shown, (output.width, output.height)).image
        if reached != (output.width, output.height):
            mistakes.append(
                f"--size {output.asked_size}: ParaView cannot render this size from a view of {shown[0]}x{shown[1]} "
                f"pixels; use {reached[0]}x{reached[1]}, or save the state with a larger view"
            )
    if mistakes:
        raise UsageError(mistakes)
