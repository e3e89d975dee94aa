"""Reads ParaView state files (.pvsm) as XML, without ParaView, so that login nodes can do it as well."""

from __future__ import annotations

import codecs
import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from mpirender.engines.base import Layout
from mpirender.errors import UsageError
from mpirender.job import frames as framesets

REAL_TIME = "Real Time"
PYTHON_TRACK = "PythonAnimationCue"
PLAY_MODES = {0: "Sequence", 1: REAL_TIME, 2: "Snap To TimeSteps"}
NO_REAL_TIME = (
    "is in Real Time mode, in which the number of frames depends on the machine's speed; set the mode to Sequence or "
    "Snap To TimeSteps in ParaView's Animation View, or with --set AnimationScene1.PlayMode=Sequence"
)
SAVE_AGAIN = "the file is truncated or damaged; save it again from ParaView"
# Proxies that are render views (vtkSMRenderViewProxy and its subclasses).
RENDER_VIEWS = ("RenderView", "RenderViewWithEDL", "MultiSlice", "OrthographicSliceView", "PanoramicProjectionView",
                "StereoCursorView", "zSpaceView", "PrismView")  # fmt: skip
NOT_RENDERABLE = ("SpreadSheetView",)
NO_VIEW = "the state contains no view, so there is nothing to render; save it with a view open"
TRUNCATED = (3, 5, 20)  # expat's codes: no element found, unclosed token, unclosed CDATA section


@dataclass(frozen=True)
class Proxy:
    """An object of the scene (a reader, a view, a color map) and its properties."""

    element: ET.Element
    name: str  # as in the Pipeline Browser; the id if it is not registered
    id: str  # number by which properties of other proxies refer to it
    type: str  # class (CSVReader)
    group: str  # group of classes (sources, filters, views)

    @cached_property
    def properties(self) -> dict[str, ET.Element]:
        """The properties by name."""
        return {prop.get("name", ""): prop for prop in self.element.iterfind("Property")}

    def values(self, name: str, kind: str = "Element") -> list[str]:
        """Return the values of a property, or (kind ``Proxy``) the ids of the proxies to which it refers."""
        prop = self.properties.get(name)
        return [] if prop is None else [item.get("value", "") for item in prop.iterfind(kind)]

    def numbers(self, name: str) -> list[float]:
        """Return the numeric values of a property."""
        return [number for number in map(_number, self.values(name)) if number is not None]

    def number(self, name: str, default: float) -> float:
        """Return the first numeric value of a property, or the default."""
        return next(iter(self.numbers(name)), default)

    def text(self, name: str) -> str:
        """Return the first value of a property; empty if there is none."""
        return next(iter(self.values(name)), "")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class State:
    """A state file, parsed once."""

    content: bytes
    name: str  # of the file, in messages
    version: str  # of the ParaView that saved it (``5.11.0``)
    top: ET.Element  # the root element: the ServerManagerState, or an element that contains it
    root: ET.Element  # the ServerManagerState

    @classmethod
    def parse(cls, content: bytes, name: str) -> State:
        """Parse a state.

        :raises UsageError: the file is empty, truncated, damaged, or not a ParaView state.
        """
        top = parse_xml(content, name)
        root = top if top.tag == "ServerManagerState" else top.find(".//ServerManagerState")
        if root is None:
            raise UsageError(f"{name}: not a ParaView state but another kind of XML (<{top.tag}>); {_WANTED}")
        return cls(content, name, root.get("version", ""), top, root)

    @cached_property
    def proxies(self) -> tuple[Proxy, ...]:
        """Every object of the scene, in the order of the file."""
        ids = ((item, item.get("id", "")) for item in self.root.iterfind("Proxy"))
        return tuple(Proxy(item, self._names.get(key, key), key, item.get("type", ""), item.get("group", ""))
                     for item, key in ids)  # fmt: skip

    @cached_property
    def by_id(self) -> dict[str, Proxy]:
        """Every object by its id."""
        return {proxy.id: proxy for proxy in self.proxies}

    @cached_property
    def _names(self) -> dict[str, str]:
        """Return names by id; an object that is listed twice has its name as a source."""
        groups = sorted(self.root.iterfind("ProxyCollection"), key=lambda group: group.get("name") == "sources")
        return {item.get("id", ""): item.get("name", "") for group in groups for item in group.iterfind("Item")}

    def registered(self, collection: str) -> list[Proxy]:
        """Return the proxies of a collection in ParaView's order, sorted by name."""
        items = self.root.iterfind(f"ProxyCollection[@name='{collection}']/Item")
        listed = sorted((item.get("name", "").encode(), item.get("id", "")) for item in items)
        return [replace(self.by_id[key], name=name.decode()) for name, key in listed if key in self.by_id]

    def referenced(self, proxy: Proxy | None, name: str) -> list[Proxy]:
        """Return the proxies of the file to which a property refers."""
        return [self.by_id[key] for key in (proxy.values(name, "Proxy") if proxy else ()) if key in self.by_id]

    @cached_property
    def view_types(self) -> dict[str, str]:
        """The class of each view, by name; the view that is rendered by default comes first.

        That is the first render view, as in LoadState of ParaView's Python; without a render view, the first view.
        """
        views = [(view.name, view.type) for view in self.registered("views")]
        front = next((view for view in views if view[1] in RENDER_VIEWS), None)
        return dict([front, *views] if front else views)

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views; the view that is rendered by default comes first."""
        return tuple(self.view_types)

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts, each with its views from the upper left to the lower right."""
        names = {view.id: view.name for view in self.registered("views")}
        layouts = ((one.name, [cell.get("view") for cell in one.element.iterfind("Layout/Item")])
                   for one in self.registered("layouts"))  # fmt: skip
        return tuple(Layout(name, tuple(names[view] for view in views if view in names)) for name, views in layouts)

    @cached_property
    def animation(self) -> Proxy | None:
        """The animation scene."""
        return next((proxy for proxy in self.proxies if proxy.type == "AnimationScene"), None)

    @property
    def play_mode(self) -> str:
        """``Sequence``, ``Snap To TimeSteps``, or ``Real Time`` (before ParaView 6)."""
        mode = self.animation.number("PlayMode", 0) if self.animation else 0
        return PLAY_MODES.get(int(mode), f"play mode {mode:g}")

    @cached_property
    def timesteps(self) -> tuple[float, ...]:
        """The timesteps of the data when the state was saved, sorted, each once."""
        keepers = self.referenced(self.animation, "TimeKeeper") or self.registered("timekeeper")
        return tuple(sorted({time for keeper in keepers for time in keeper.numbers("TimestepValues")}))

    @cached_property
    def times(self) -> tuple[float, ...]:
        """The scene time of every frame.

        In Snap To TimeSteps mode these are the timesteps that the data had when the state was saved.
        """
        scene = self.animation
        if scene is None or self.play_mode not in ("Sequence", "Snap To TimeSteps"):
            return ()
        if self.play_mode == "Snap To TimeSteps":
            return snapped_times(self.timesteps, int(scene.number("FramesPerTimestep", 1)), scene.number("EndTime", 1))
        count = int(scene.number("NumberOfFrames", 1))
        return sequence_times(scene.number("StartTime", 0), scene.number("EndTime", 1), count)

    def cues(self) -> Iterator[tuple[Proxy, int]]:
        """Yield the enabled tracks of the animation, each with the number of key frames in the file.

        Tracks refer to all their key frames, but the file lacks key frames that a script made and did not register.
        """
        for cue in self.referenced(self.animation, "Cues"):
            if cue.number("Enabled", 1):
                yield cue, len(self.referenced(cue, "KeyFrames"))


_WANTED = "give a .pvsm file, as written by File > Save State in ParaView"


def parse_xml(content: bytes, name: str) -> ET.Element:
    """Return the root element; raise UsageError with the line if the content is not well-formed XML."""
    text = content[3:] if content.startswith(codecs.BOM_UTF8) else content
    if not text.strip(b"\0 \t\r\n"):
        raise UsageError(f"{name}: the file is empty; save it again from ParaView")
    if not text.lstrip().startswith(b"<"):
        kind = "a Python script" if b"paraview" in text[:2000] and b"import" in text else "not XML"
        raise UsageError(f"{name}: not a ParaView state but {kind}; {_WANTED}")
    try:
        return ET.fromstring(content)
    except ET.ParseError as error:
        line, reason = error.position[0], re.sub(r": line.*", "", str(error))
        problem = f"ends early at line {line}" if error.code in TRUNCATED else f"line {line} is not XML ({reason})"
        raise UsageError(f"{name}: {problem}; {SAVE_AGAIN}") from None
    except (ValueError, LookupError) as error:
        raise UsageError(f"{name}: cannot be read as XML ({error}); {SAVE_AGAIN}") from None


def sequence_times(start: float, end: float, count: int) -> tuple[float, ...]:
    """Return the scene time of every frame in Sequence mode (vtkSequenceAnimationPlayer).

    Of more frames than a run may have, only one more than that is returned.
    """
    frames = range(min(count, framesets.MOST + 1))
    return tuple(start + frame * (end - start) / max(count - 1, 1) for frame in frames)


def snapped_times(steps: Iterable[float], repeated: int, end: float) -> tuple[float, ...]:
    """Return the scene time of every frame in Snap To TimeSteps mode (vtkTimestepsAnimationPlayer).

    Each timestep is shown ``repeated`` times, but timesteps from the end time on only once: there the animation ends.
    Of more frames than a run may have, only one more than that is returned.
    """
    times = (time for time in sorted(set(steps)) for _ in range(max(repeated, 1) if time < end else 1))
    return tuple(itertools.islice(times, framesets.MOST + 1))
