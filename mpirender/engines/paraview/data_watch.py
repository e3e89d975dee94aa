"""Observes which files the readers of an open scene read for each frame."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mpirender.engines.base import FileState
from mpirender.engines.paraview import index_files
from mpirender.engines.paraview.data_files import file_properties
from mpirender.engines.paraview.frame_inputs import Inputs, Reader
from mpirender.engines.paraview.proxies import PVObject, sources
from mpirender.engines.paraview.script_source import is_script
from mpirender.engines.paraview.state_xml import State
from mpirender.job.render_job import RenderJob
from mpirender.system import current_file

QUOTED_PATH = re.compile(rb"""["']([^"'\n]{0,1000}/[^"'\n]{0,1000})["']""")
# Filters that use data of other times, and may keep them.
TEMPORAL = re.compile(r"Temporal|TimeSteps|OverTime|Particle|Cache")
Files = list[list[str]]  # the files of each property


def start(scene: bytes, job: RenderJob) -> tuple[Inputs | None, str]:
    """Begin to watch the folders of the data of a scene, before it is loaded; if it is not possible, return why."""
    saved = named_in(scene) if is_script(job) else of_state(State.parse(scene, job.scene.name))
    try:
        inputs = Inputs()
        inputs.watch(saved)
    except OSError as error:
        return None, str(error)
    return inputs, ""


class Observation(NamedTuple):
    """How the data files of an open scene are observed: by a watch, or by the files in their folders and why."""

    watch: DataWatch | None = None
    beside: Sequence[Path] = ()
    warnings: Sequence[str] = ()


def observe(inputs: Inputs | None, problem: str, state: State, keeper: PVObject) -> Observation:
    """Observe the files that the frames of an open scene depend on, if possible.

    :param inputs: what :func:`start` returned, with the problem.
    :param state: of the scene as loaded.
    """
    saved = [paths for paths in of_state(state) if paths]
    if not saved:
        return Observation()
    if inputs is not None:
        try:
            return Observation(DataWatch(inputs, keeper, saved))
        except OSError as error:
            problem = str(error)
    why = f"this machine cannot observe which data files each frame reads ({problem})"
    effect = "so a change of any data file, or beside some, renders all frames again"
    beside = index_files.beside(path for paths in saved for path in paths)
    return Observation(None, tuple(map(Path, beside)), (f"{why}, {effect}",) if problem else ())


class DataWatch:
    """Observes the readers of a scene. A frame lies between :meth:`begin` and :meth:`files`."""

    def __init__(self, inputs: Inputs, keeper: PVObject, saved: Files) -> None:
        """Begin with a scene that was loaded and rendered.

        :param inputs: they watch since before the scene was loaded.
        :param keeper: the time keeper of the scene.
        :param saved: the files of the properties of all objects.
        """
        self._inputs, self._all_times = inputs, False
        objects = (proxy.GetClientSideObject() for _, proxy in sources())
        self._is_temporal = any(TEMPORAL.search(one.GetClassName()) for one in objects if one is not None)
        found = [(proxy, _paths(proxy)) for _, proxy in sources()]
        inputs.watch([paths for _, paths in found if paths], late=True)  # except what is watched already
        self._readers = [_ObservedReader(proxy, keeper, paths) for proxy, paths in found if paths]
        own = {path for _, paths in found for path in paths}
        self._others = [path for paths in saved for path in paths if path not in own]  # of textures, for example
        inputs.look()

    def begin(self, *, lags: bool, all_times: bool) -> None:
        """Begin with a frame.

        :param lags: whether its picture depends also on the data that are shown now.
        :param all_times: whether it depends on the data of all frames before.
        """
        self._inputs.look()
        self._all_times = all_times or self._is_temporal
        for reader in self._readers:
            reader.begin(lags=lags)

    def files(self) -> tuple[FileState, ...]:
        """Return the files on which the frame depends."""
        for reader in self._readers:
            if reader.end(all_times=self._all_times):
                with contextlib.suppress(OSError):  # its files count as read anyway
                    self._inputs.watch([reader.reader.paths], late=True)
        return self._inputs.of_frame([reader.reader for reader in self._readers], self._others)


class _ObservedReader:
    """Notes for which times ParaView executes a reader."""

    def __init__(self, proxy: PVObject, keeper: PVObject, paths: list[str]) -> None:
        self._proxy, self._keeper = proxy, keeper
        self.reader = Reader(paths)
        self._other_times = False  # whether a filter has asked for other times than that of the scene
        self._is_first = False  # whether the next execution is the first of the frame
        self._observe()

    def begin(self, *, lags: bool) -> None:
        self._renew()
        self.reader.any_time = self._other_times or self._last is None
        if self._last is not None:
            time, at = self._last
            self.reader.times, self.reader.at = {time}, {at}
        self._is_first = not lags

    def end(self, *, all_times: bool) -> bool:
        """Complete what is known of the frame; return whether the reader has other files now."""
        paths = _paths(self._proxy)
        has_others = paths != self.reader.paths
        if has_others:
            self.reader = Reader(paths)
        if _information(self._algorithm, "UPDATE_TIME_STEP") != float(self._keeper.Time):
            self._other_times = True  # a filter has kept the data that it needs, so nothing was asked for
        if self._renew() or all_times or has_others or self._other_times:
            self.reader.any_time = True
        steps = _information(self._algorithm, "TIME_STEPS")
        self.reader.timesteps = sorted(steps) if steps else ()
        return has_others

    def _renew(self) -> bool:
        """Observe the reader's new object if ParaView has made one; return whether it has."""
        if self._proxy.GetClientSideObject() is self._algorithm:
            return False
        self._observe()
        return True

    def _observe(self) -> None:
        self._last: tuple[float, str] | None = None
        self._algorithm = self._proxy.GetClientSideObject()
        self._note()
        self._algorithm.AddObserver("StartEvent", self._begins)
        self._algorithm.AddObserver("EndEvent", self._executed)

    def _begins(self, *_event: object) -> None:
        """Write down which file is read, in case the reader crashes."""
        current_file.note(self._current() or (self.reader.paths[0] if len(self.reader.paths) == 1 else ""))

    def _current(self) -> str:
        """Return the file of its series at which the reader is, empty if it has none."""
        path = getattr(self._algorithm, "GetCurrentFileName", str)()
        return os.path.abspath(path) if path else ""  # noqa: PTH100

    def _executed(self, *_event: object) -> None:
        current_file.note("")
        if self._is_first:
            self.reader.times, self.reader.at = set(), set()
            self._is_first = False
        self._note()

    def _note(self) -> None:
        """Note the time for which the reader was executed last, and the file of its series at which it is."""
        time = _information(self._algorithm, "UPDATE_TIME_STEP")
        if time is None:
            self._last, self.reader.any_time = None, True
            return
        at = self._current()
        if len(self.reader.paths) > 1 and (at not in self.reader.paths or self._reads_a_stack()):
            self._other_times = True
        self._other_times = self._other_times or time != float(self._keeper.Time)
        self._last, self.reader.any_time = (time, at), self.reader.any_time or self._other_times
        self.reader.times.add(time)
        self.reader.at.add(at)

    def _reads_a_stack(self) -> bool:
        stacks = self._proxy.GetProperty("ReadAsImageStack")
        return stacks is not None and bool(stacks.GetElement(0))


def _information(algorithm: PVObject, name: str) -> PVObject:
    """Return a value of the pipeline information of a reader's first port, None if there is none."""
    from vtkmodules.vtkCommonExecutionModel import vtkStreamingDemandDrivenPipeline

    found, key = algorithm.GetOutputInformation(0), getattr(vtkStreamingDemandDrivenPipeline, name)()
    return found.Get(key) if found is not None and found.Has(key) else None


def _paths(proxy: PVObject) -> list[str]:
    """Return the files of the properties of a proxy that name files."""
    each, found = proxy.NewPropertyIterator(), list[str]()
    each.UnRegister(None)
    each.Begin()
    while not each.IsAtEnd():
        prop = each.GetProperty()
        is_text = prop.IsA("vtkSMStringVectorProperty") and not prop.GetInformationOnly()
        if is_text and prop.FindDomain("vtkSMFileListDomain") is not None:
            found += [prop.GetElement(index) for index in range(prop.GetNumberOfElements())]
        each.Next()
    return _absolute(found)


def _absolute(paths: Sequence[str]) -> list[str]:
    return [os.path.abspath(path) for path in paths if path]  # noqa: PTH100


def of_state(state: State) -> Files:
    """Return the files of the properties of all objects of a state."""
    return [_absolute(prop.saved) for prop in file_properties(state) if prop.name != "FilePrefix"]


def named_in(script: bytes) -> Files:
    """Return the existing files that a script may name."""
    names = [match[1].decode(errors="replace") for match in QUOTED_PATH.finditer(script)]
    return [[path] for path in _absolute(names) if os.path.isfile(path)]  # noqa: PTH113
