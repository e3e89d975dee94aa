"""The renders that must precede a frame so that its pixels are those of ParaView's SaveAnimation.

SaveAnimation renders the frames one after the other, and some pixels depend on what came before:

- Axes grids are drawn around the new data and the data still on display (``vtkPVRenderView::Update``), so they lag
  behind by a frame; those of frame 0 are drawn around the data as loaded, before any track has changed a property. The
  same holds for center axes, the cross hairs of orthographic slice views, and ambient occlusion.
- In stereo, as long as only the eye changes, VTK keeps the camera matrices (``vtkOpenGLCamera::GetKeyMatrices``), so
  the first stereo image after a mono image belongs to neither eye; and axis labels keep the places in which the
  previous eye saw them. SaveAnimation renders frame 0 once before it begins, then the eyes of each frame in turn, and
  updates the views only between frames.
- Some filters (particle tracers) and color maps accumulate results over all earlier frames.
- Python tracks may do anything at each tick, such as turning the camera by some degrees. SaveAnimation goes to the
  first frame, and then ticks once for each frame. A rank does the same; to go back it must open the scene anew.
- Anything else may remember earlier frames: scripts, and filters that draw random numbers when their data change. Where
  a trial has found this (:meth:`SaveAnimationOrder.keep`), a rank plays the frames before, and computes them as well.

This module knows nothing of ParaView: :class:`SaveAnimationOrder` returns steps, and the scene carries them out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Union

from mpirender.job.options import BOTH_EYES
from mpirender.job.outputs import EYES, Output
from mpirender.job.render_job import RenderJob

Target = tuple[Optional[str], Optional[str]]  # names of a view and of a layout; at most one is given
Image = tuple[int, str, int, int]  # frame, eye, width and height

MONO = ("No change", "No stereo")  # stereo modes in which an image does not depend on the eye rendered last
SINGLE_EYE = (BOTH_EYES, "Left Eye Only", "Right Eye Only")  # stereo modes whose images show a single eye


class Restart(NamedTuple):
    """Read and compute all data anew with the next render."""


class ResetColorMaps(NamedTuple):
    """Set growing color maps to their state before the first frame."""


class SetTime(NamedTuple):
    """Set the scene time."""

    time: float


class ResetToLoaded(NamedTuple):
    """Set the scene time and all animated properties to their values after loading."""


class Render(NamedTuple):
    """Render all views without capturing an image; ``time`` is that of the displayed data, if it matters later."""

    time: float | None = None


class GoToFirst(NamedTuple):
    """Go to the start of the animation and render, then start the Python tracks again, as SaveAnimation does."""


class Tick(NamedTuple):
    """Set the time of a frame as playing does, with one tick of each track."""

    frame: int


LOADED = float("-inf")  # the time of the data on display after loading, whose animated properties no track has set


class Compute(NamedTuple):
    """Compute the data of a frame without rendering it."""

    frame: int


class ShowFrame(NamedTuple):
    """Set the time and the camera of a frame."""

    frame: int


class Capture(NamedTuple):
    """Capture the image of the current frame; it is discarded."""

    frame: int
    output: Output


class MarkOutdated(NamedTuple):
    """Have the views of an output update their data even if the time stays the same, as SaveAnimation does."""

    output: Output


class TakeErrors(NamedTuple):
    """Collect the errors of the preceding steps, and append ``where`` to each of them."""

    where: str = ""


Step = Union[
    Restart, ResetColorMaps, SetTime, ResetToLoaded, Render, Compute, ShowFrame, Capture, MarkOutdated, TakeErrors,
    GoToFirst, Tick,
]  # fmt: skip


@dataclass(frozen=True)
class SceneTraits:
    """The properties of a scene on which the order depends."""

    times: Sequence[float]  # scene time of every frame
    loaded_time: float  # scene time as loaded, from which SaveAnimation starts
    views: Mapping[Target, Sequence[Hashable]]  # views of each target, as any hashable objects
    lags: bool = False  # whether something is drawn around the data of the previous frame
    stereo: bool = False  # whether images depend on the eye rendered last
    begins_twice: bool = False  # whether the render of SaveAnimation before frame 0 changes frame 0
    accumulates: bool = False  # whether a filter or color map depends on all earlier frames
    ticks: bool = False  # whether frames are played one after the other, as a Python track needs it
    computes: bool = False  # whether the data of frames that are played but not rendered are computed

    def shown_before(self, frame: int) -> float:
        """Return the time of the data on display before a frame in SaveAnimation, or :data:`LOADED`."""
        return self.times[frame - 1] if frame else LOADED

    def views_of(self, output: Output) -> Sequence[Hashable]:
        """Return the views in an output's image."""
        return self.views[output.view, output.layout]


@dataclass(frozen=True)
class History:
    """What a rank has rendered and computed so far."""

    computed: int | None = 0  # number of frames computed in their order since loading; None if the data were restarted
    shown: Mapping[Hashable, float] = field(default_factory=dict)  # scene time of the data on display, by view
    captured: Mapping[Hashable, Image] = field(default_factory=dict)  # last image of a view, if not rendered since
    ticked: int | None = None  # number of frames that were played; None before the first
    latest: int = -1  # the latest frame that was captured

    def after(self, steps: Iterable[Step], scene: SceneTraits) -> History:
        """Return the history after some more steps."""
        return functools.reduce(lambda history, step: history._after(step, scene), steps, self)

    def _after(self, step: Step, scene: SceneTraits) -> History:
        if isinstance(step, Restart):
            return History(computed=None, latest=self.latest)
        if isinstance(step, (GoToFirst, Tick)):
            return dataclasses.replace(self, ticked=step.frame + 1 if isinstance(step, Tick) else 0)
        if isinstance(step, (ResetColorMaps, Compute)):
            return dataclasses.replace(self, computed=step.frame + 1 if isinstance(step, Compute) else 0)
        if isinstance(step, Render):
            views = {view for views in scene.views.values() for view in views}
            shown = {} if step.time is None else dict.fromkeys(views, step.time)
            return dataclasses.replace(self, shown=shown, captured={})
        if isinstance(step, Capture):
            views_now = scene.views_of(step.output)
            shown = {**self.shown, **dict.fromkeys(views_now, scene.times[step.frame])}
            captured = {**self.captured, **dict.fromkeys(views_now, _image(step.frame, step.output))}
            latest = max(self.latest, step.frame)
            return dataclasses.replace(self, shown=shown, captured=captured, latest=latest)
        return self

    def is_latest(self, views: Iterable[Hashable], frame: int, output: Output) -> bool:
        """Return whether this is the last image that all these views rendered."""
        return all(self.captured.get(view) == _image(frame, output) for view in views)


def _image(frame: int, output: Output) -> Image:
    return frame, output.eye, output.width, output.height


class SaveAnimationOrder:
    """Returns the steps before each frame, and keeps the history of the steps that were carried out."""

    def __init__(self, scene: SceneTraits) -> None:
        self.scene = scene
        self.history = History(shown={view: LOADED for views in scene.views.values() for view in views})

    def record(self, step: Step) -> None:
        """Record a step that was carried out."""
        self.history = self.history.after([step], self.scene)

    def keep(self) -> None:
        """Play the frames before each frame from now on, and compute their data; none may have been rendered."""
        self.scene = dataclasses.replace(self.scene, ticks=True, computes=True, accumulates=False)

    def before(self, frame: int, output: Output) -> list[Step]:
        """Return the steps that bring the scene to a frame of an output, ready to be captured."""
        if self.scene.ticks:
            return self.play(frame, output)
        steps = self.replay(frame) if self.scene.accumulates else []
        history = self.history.after(steps, self.scene)
        if self.scene.stereo:
            return steps + _before_in_stereo(self.scene, history, frame, output)
        if self.scene.lags:
            time = self.scene.shown_before(frame)
            if any(history.shown.get(view) != time for view in self.scene.views_of(output)):
                before = [SetTime(time), Render(time)] if frame else self.as_loaded()
                steps += [*before, _take_errors(self.scene, frame)]
            steps.append(MarkOutdated(output))
        return [*steps, ShowFrame(frame)]

    def can_play(self, frame: int) -> bool:
        """Return whether a frame of a scene with Python tracks can be reached without opening the scene anew."""
        ticked = self.history.ticked or 0
        return not self.scene.ticks or frame >= ticked or (frame == ticked - 1 and not self.scene.lags)

    def goes_back(self, frame: int) -> bool:
        """Return whether a later frame was captured than this one in stereo, where labels keep their places."""
        return self.scene.stereo and self.history.latest > frame

    def play(self, frame: int, output: Output) -> list[Step]:
        """Return the steps that play the animation up to a frame of an output; none if the scene shows it."""
        ticked = self.history.ticked
        steps: list[Step] = [] if ticked is not None else [GoToFirst()]
        for number in range(ticked or 0, frame + 1):
            steps += [*([MarkOutdated(output)] if self.scene.lags and number else []), Tick(number)]
            if (self.scene.lags or self.scene.computes) and number == frame - 1:
                steps.append(Capture(number, output))
            elif self.scene.computes and number < frame:
                steps.append(Compute(number))
        return [*steps, TakeErrors()] if steps else []

    def replay(self, frame: int) -> list[Step]:
        """Return the steps that compute all frames before one in their order.

        A rank computes each frame only once as long as its frames come in their order.
        """
        computed, steps = self.history.computed, list[Step]()
        if computed is None or frame < computed:
            steps = [*([] if computed is None else [Restart()]), ResetColorMaps(), *self.as_loaded()]
            computed = 0
        return [*steps, *map(Compute, range(computed, frame)), TakeErrors()]

    def as_loaded(self, *, restart: bool = False) -> list[Step]:
        """Return the steps that render the scene as it was after loading; restart: compute all data anew."""
        return [*([Restart()] if restart else []), ResetToLoaded(), Render(LOADED)]


def _before_in_stereo(scene: SceneTraits, history: History, frame: int, output: Output) -> list[Step]:
    """Return the steps before a stereo image: the same, and the image of the eye that SaveAnimation renders before."""
    views = scene.views_of(output)
    if output.eye == EYES[1]:
        left = dataclasses.replace(output, eye=EYES[0])
        if history.is_latest(views, frame, left):
            return []
        return [*_before_in_stereo(scene, history, frame, left), Capture(frame, left)]
    steps: list[Step] = []
    last = dataclasses.replace(output, eye=EYES[-1]) if output.eye else output  # SaveAnimation's last image of a frame
    if not frame:
        if history.captured:
            steps += [ResetToLoaded(), Render(LOADED), Render(LOADED), _take_errors(scene, 0)]
        if scene.begins_twice:
            steps += [ShowFrame(0), Capture(0, output)]
    elif scene.lags and not history.is_latest(views, frame - 1, last):
        steps += [ShowFrame(frame - 1), Capture(frame - 1, last), _take_errors(scene, frame)]
    elif not all(view in history.captured for view in views):
        steps += [ShowFrame(frame), Capture(frame, last)]
    if scene.lags:
        steps.append(MarkOutdated(output))
    return [*steps, ShowFrame(frame)]


def _take_errors(scene: SceneTraits, frame: int) -> TakeErrors:
    time = scene.times[frame - 1] if frame else scene.loaded_time
    where = "" if time == scene.times[frame] else f" (at time {time:g}, around whose data axes are drawn)"
    return TakeErrors(where)


def begins_twice(job: RenderJob, times: Sequence[float]) -> bool:
    """Return whether the render of SaveAnimation before frame 0 changes frame 0.

    It does if it renders the right eye, too, or updates the view once more with the data of another time; ``times`` are
    the scene times as loaded and of frame 0.
    """
    moves = job.stereo_mode == BOTH_EYES and len(set(times)) > 1
    return moves or job.stereo_mode not in SINGLE_EYE
