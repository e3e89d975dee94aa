"""A ParaView state opened in one rank: its frames, rendered as SaveAnimation would render them, in any order."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines.base import Numbers, Ranges, Rendered, merge_ranges
from mpirender.engines.paraview import color_maps, color_range, order_trial, scene_facts, screenshot
from mpirender.engines.paraview.error_log import ErrorLog
from mpirender.job.outputs import EYES, Output
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mpirender.engines.paraview.measure import Meter
    from mpirender.engines.paraview.orbit_camera import Orbit

    Target = tuple[str | None, str | None]  # name of a view, name of a layout; at most one of them
    Captured = tuple[int, str, int, int]  # frame, eye, width and height of a picture

# Errors of animation tracks. ParaView reports them at every frame anew, and no data are involved.
OF_TRACKS = re.compile(r"vtkPV\w*(Cue|KeyFrame)\w*: ")


class ParaViewScene:
    """A state opened in one rank."""

    def __init__(
        self,
        simple: Any,  # noqa: ANN401
        targets: Mapping[Target, Any],
        job: RenderJob,
        errors: ErrorLog,
        *,
        still_frames: int | None = None,
    ) -> None:
        """Render once and prepare for the frames.

        Args:
            still_frames: how many there are of a scene that stands still but for a turn of the camera.
        """
        self._errors = errors
        self._targets, self._one_pass, self._color_range = targets, job.one_pass, job.color_range
        self._variants, self._overrides = job.variants, job.variants[0].overrides
        self._views_of = {key: scene_facts.views_of(simple, target) for key, target in targets.items()}
        self._views = list(dict.fromkeys(view for views in self._views_of.values() for view in views))
        for output in reversed(job.outputs if job.one_pass else ()):
            self._fit(output)
        self._growing = color_maps.growing(self._views, job.color_range)
        self._remembers = bool(self._growing) or scene_facts.remembers()
        self._meter: Meter | None = None
        self._measured: tuple[Any, Numbers | None] = None, None  # of which frame and variant, and what
        # Not simple.Render: the first call of that resets the camera, and the one saved in the state would be lost.
        self._render_views()
        self.errors = errors.take()
        self._suspect = _doubtful(self.errors)
        animation = simple.GetAnimationScene()
        self._stereo = job.stereo_mode not in screenshot.MONO
        lags = self._stereo or scene_facts.changes(animation)
        self._lags = lags and any(map(scene_facts.draws_bounds, self._views))
        self._played: int | None = 0  # frames that were played one after the other since the scene was loaded
        self._shown: dict[Any, float] = {}  # by view: the time whose data are on display
        self._captured: dict[Any, Captured] = {}  # by view: its last picture in stereo, if it rendered nothing since
        self._first_corners = self._get_corners()
        self._corners: dict[Output, list[tuple[float, ...]]] = {}
        # After the first render: readers know their timesteps by then.
        self.times = (animation.AnimationTime,) * still_frames if still_frames else scene_facts.frame_times(animation)
        self.frames, self.open_ended = range(len(self.times)), False
        self._still = still_frames is not None
        self._orbit = _orbit(self._views, animation, len(self.frames)) if job.camera and self.frames else None
        self._times_before = (animation.AnimationTime, *self.times)  # SaveAnimation starts from what was loaded
        self._animation = animation.GetClientSideObject()
        # Setting the time renders every view; WriteImage renders what it writes. Once is enough.
        self._animation.SetOverrideStillRender(True)
        self._begins_twice = screenshot.begins_twice(job, self._times_before[:2])
        self._options = {
            (key, eye): screenshot.options(target, job, eye)
            for key, target in targets.items() for eye in dict.fromkeys(output.eye for output in job.outputs)
        }  # fmt: skip
        self.files: Sequence[Path] = ()
        self.warnings: Sequence[str] = ()
        self._image: Any = None  # whose memory the last picture is
        self.version = simple.servermanager.vtkSMProxyManager.GetParaViewSourceVersion().split()[-1]
        backend, self.renderer = scene_facts.window_of(self._views)
        self.description = f"ParaView {self.version}, {backend}, {self.renderer}"
        if not (self._still or job.allow_order_dependence):
            self._try_order(job.scene.name)

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame as SaveAnimation would; what is no png ParaView writes itself."""
        if self._errors.anywhere(self._suspect) or self._errors.take():
            self._start_afresh()
        self._image = None
        self._suspect = True  # until this frame has ended well: it may also end with an exception
        if self._one_pass:
            self._fit(output)
        before = self._turn_into(output.overrides)
        before += self._play_up_to(frame) if self._remembers else []
        before += self._come_to(frame, output)
        picture = self._capture(frame, output, path)
        measured = self._measure(frame, output.overrides)
        errors = self._errors.take() + before
        self._suspect = _doubtful(errors)
        return Rendered(errors, picture, measured=measured)

    def measure(self, texts: Sequence[str], group: Comm | None) -> None:
        """Measure the data of every frame from now on.

        Args:
            texts: what is asked for, as on the command line.
            group: mpi4py communicator of the ranks that render together, None for a rank alone.

        Raises:
            UsageError: with each array that is not in the data.
        """
        if texts:
            from mpirender.engines.paraview.measure import Meter

            self._meter = Meter(texts, group)
            self._meter.check()
            self.errors += self._errors.take()
            self._suspect = _doubtful(self.errors)

    def compute(self, frame: int, *, in_order: bool) -> None:
        """Have the data of a frame computed afresh, after those of the frames before it or at once."""
        self._start_afresh()
        if in_order:
            self._play_up_to(frame)
        self._go_to(self.times[frame])
        for view in self._views:
            view.SMProxy.Update()

    def anywhere(self, doubt: bool) -> bool:
        """Say whether any of the ranks that render together has a doubt."""
        return self._errors.anywhere(doubt)

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the frames in which ranges of colour maps have to be found: all, the first, or none."""
        hows = {color_range.how(self._color_range, item.array) for item in color_maps.coloured(self._views)}
        return frames if color_range.GLOBAL in hows else frames[:1] if color_range.DATA in hows else ()

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Find the ranges of the arrays in a frame, as far as they are wanted."""
        if self._remembers:
            self._play_up_to(frame)
        self._go_to(self.times[frame])
        wanted = (color_range.GLOBAL, color_range.DATA) if first else (color_range.GLOBAL,)
        shown = {item.array for item in color_maps.coloured(self._views)}
        names = {array for array in shown if color_range.how(self._color_range, array) in wanted}
        parts = []
        for variant in self._variants:
            _assign(variant.overrides)
            parts.append(color_maps.ranges_now(self._views, names))
        # What is reported now will be again when the frame is rendered: everything is read anew before that.
        self._suspect = bool(self._errors.take()) or self._suspect
        return merge_ranges(parts)

    def set_color_ranges(self, found: Ranges) -> None:
        """Give the colour maps their ranges, and render once more: legends settle in their labels."""
        if self._color_range:
            color_maps.settle(self._views, self._color_range, found)
            _assign(self._overrides)
            if self._remembers:
                self._start_afresh()
            self._go_to(self._times_before[0])
            self._render_views()
            self._suspect = bool(self._errors.take()) or self._suspect
            self._shown = {}

    def take_warnings(self) -> list[str]:
        """Return what ParaView warned of since the last call, each text once per process."""
        return self._errors.take_warnings()

    def _try_order(self, name: str) -> None:
        """Find out whether scripts carry something on from frame to frame."""
        scripts = order_trial.scripts()
        if not scripts or len(self.frames) < 2:
            return
        if order_trial.depends(self, scripts, name) and not self._remembers:
            self._remembers = True
            found = f"{', '.join(scripts)} carries something on from frame to frame (found by trying)"
            cost = "every rank computes the frames before its own as well; with --schedule contiguous it does so once"
            self.warnings = [f"{found}, so {cost}"]
        self._errors.take()  # what is reported now will be again when frames are rendered
        self._start_afresh()
        self._go_to(self._times_before[0])
        self._render_views()
        self._suspect = bool(self._errors.take())

    def _come_to(self, frame: int, output: Output) -> list[str]:
        """Go to a frame, with that on display which comes before in SaveAnimation; return the errors before it."""
        views = self._views_of[output.view, output.layout]
        if self._stereo:
            return self._come_to_in_stereo(frame, output, views)
        before = self._show_before(frame, views) if self._lags else []
        self._look(frame)
        return before

    def _come_to_in_stereo(self, frame: int, output: Output, views: Sequence[Any]) -> list[str]:
        """Do the same where the picture depends on the eye that rendered last, too.

        As long as only the eye changes, VTK goes on with the matrices of the camera that it has
        (vtkOpenGLCamera::GetKeyMatrices): the first picture in stereo after one without is that of no eye. And labels
        of axes have the places in which the eye before saw them. SaveAnimation renders frame 0 once before it
        begins, then frame by frame the eyes in turn, and updates the view only between frames.
        """
        if output.eye == EYES[1]:
            left = dataclasses.replace(output, eye=EYES[0])
            if self._is_latest(views, frame, left):
                return []
            before = self._come_to_in_stereo(frame, left, views)
            self._capture(frame, left)
            return before
        errors, last = [], screenshot.last_of_frame(output)
        if not frame:
            if self._captured:
                self._go_to(self._times_before[0])
                self._render_views()
                self._render_views()
                errors = self._errors_before(0)
            if self._begins_twice:
                self._look(0)
                self._capture(0, output)
        elif self._lags and not self._is_latest(views, frame - 1, last):
            self._look(frame - 1)
            self._capture(frame - 1, last)
            errors = self._errors_before(frame)
        elif not all(view in self._captured for view in views):
            self._look(frame)
            self._capture(frame, last)
        for view in views if self._lags else ():
            view.SMProxy.MarkDirty(None)
        self._look(frame)
        return errors

    def _measure(self, frame: int, overrides: tuple[str, ...]) -> Numbers | None:
        """Return the numbers about the frame that was rendered, found once for all its sizes and views."""
        if self._meter is not None and self._measured[0] != (frame, overrides):
            self._measured = (frame, overrides), self._meter.read()
        return self._measured[1]

    def _capture(self, frame: int, output: Output, path: Path | None = None) -> NDArray[np.uint8] | None:
        """Capture the picture as ParaView's SaveScreenshot does; one whose path is no png is written there, too."""
        key, seat = (output.view, output.layout), dataclasses.replace(output, name="", eye="")
        options = self._options[key, output.eye]
        options.ImageResolution = [output.width, output.height]
        self._set_corners(self._corners.get(seat, self._first_corners))
        if path is not None and path.suffix != ".png":
            options.WriteImage(str(path))
        else:
            self._image = options.SMProxy.CaptureImage()
        self._corners[seat] = self._get_corners()
        self._shown.update(dict.fromkeys(self._views_of[key], self.times[frame]))
        if self._stereo:
            captured = (frame, output.eye, output.width, output.height)
            self._captured.update(dict.fromkeys(self._views_of[key], captured))
        if path is None or path.suffix != ".png" or self._image is None:  # without one, ParaView has reported why
            return None
        return screenshot.pixels(self._image)

    def _is_latest(self, views: Sequence[Any], frame: int, output: Output) -> bool:
        """Say whether this is the last picture that all these views rendered."""
        picture = (frame, output.eye, output.width, output.height)
        return all(self._captured.get(view) == picture for view in views)

    def _look(self, frame: int) -> None:
        """Go to a frame, and have the camera look at it."""
        self._go_to(self.times[frame])
        if self._orbit:
            self._orbit.look(frame)

    def _go_to(self, time: float) -> None:
        """Set the time, unless the scene stands still: tracks of the animation would act."""
        if not self._still:
            self._animation.SetSceneTime(time)

    def _turn_into(self, overrides: tuple[str, ...]) -> list[str]:
        """Make the scene this variant of it, rendered once as after loading; return its errors."""
        if overrides == self._overrides:
            return []
        _assign(overrides)
        self._overrides = overrides
        if self._remembers:
            self._start_afresh()
        self._go_to(self._times_before[0])
        self._render_views()
        self._shown = {}
        return self._errors.take()

    def _fit(self, output: Output) -> None:
        """Give the view, or the whole layout, the size of the image, so that ParaView puts together no tiles."""
        target, sides = self._targets[output.view, output.layout], [output.width, output.height]
        if target.IsA("vtkSMViewLayoutProxy"):
            target.SetSize(sides)
        else:
            target.ViewSize = sides

    def _render_views(self) -> None:
        for view in self._views:
            view.SMProxy.StillRender()
        self._captured = {}
        self._take_along()

    def _take_along(self) -> None:
        """Compute what is measured but perhaps not shown, where a frame needs those before it."""
        if self._meter is not None and self._remembers:
            self._meter.update()

    def _show_before(self, frame: int, views: Sequence[Any]) -> list[str]:
        """Make sure that what views rendered last is what comes before a frame in the animation; return its errors.

        ParaView draws an axes grid around the new data and those still on display (vtkPVRenderView::Update). In
        SaveAnimation these are of the frame before, so a rank that jumps must render that one first to get the same
        picture. What is drawn around wrong data is wrong, too.
        """
        time, errors = self._times_before[frame], []
        if any(self._shown.get(view) != time for view in views):
            self._go_to(time)
            self._render_views()
            self._shown = dict.fromkeys(self._views, time)
            errors = self._errors_before(frame)
        for view in views:  # SaveAnimation updates them for every frame, also where the time stays the same
            view.SMProxy.MarkDirty(None)
        return errors

    def _errors_before(self, frame: int) -> list[str]:
        time = self._times_before[frame]
        where = "" if time == self.times[frame] else f" (at time {time:g}, around whose data axes are drawn)"
        return [text + where for text in self._errors.take()]

    def _start_afresh(self) -> None:
        """Have all data read and computed anew by the next render.

        VTK reports an error once, when a pipeline runs, and goes on with what there is. As long as nothing changes the
        pipeline does not run again: the next frame of the same timestep would get the same wrong data without a word.
        Touching the readers (Modified) is not enough, since some (PVD, for one) keep inner readers that remember that
        a file is bad. Neither is touching the proxies: a representation whose pipeline has failed stays marked as
        being out of date, so that neither it nor its view hears of what happens to its sources from then on.
        Hence ParaView's own Reload Files, for filters as well, and both are told. (A reader looks into the first file
        of a series to begin with. If that is the bad one, this process can render none of the series from now on.)
        """
        from paraview import servermanager

        manager = servermanager.ProxyManager()
        for source in manager.GetProxiesInGroup("sources").values():
            source.SMProxy.RecreateVTKObjects()
        for shown in manager.GetProxiesInGroup("representations").values():
            representation = shown.SMProxy.GetClientSideObject()
            if hasattr(representation, "MarkModified"):  # not the widgets
                representation.MarkModified()
        for view in manager.GetProxiesInGroup("views").values():
            view.SMProxy.MarkDirty(None)
        self._shown, self._captured, self._played = {}, {}, None
        self._measured = None, None
        if self._meter is not None:
            self._meter.start_afresh()

    def _play_up_to(self, frame: int) -> list[str]:
        """Compute all frames before one, in their order, as SaveAnimation has when it comes to it; return the errors.

        Filters that carry something on from frame to frame (particles) are right only then, and colour maps that grow.
        What a rank has played it need not play again, as long as its frames come in their order.
        """
        if self._played is None or frame < self._played:
            if self._played is not None:
                self._start_afresh()
            color_maps.put_back(self._growing)
            self._go_to(self._times_before[0])
            self._render_views()
            self._played = 0
        for earlier in range(self._played, frame):
            self._go_to(self.times[earlier])
            for view in self._views:
                view.SMProxy.Update()
            self._take_along()
        self._played = frame
        return self._errors.take()

    def _get_corners(self) -> list[tuple[float, ...]]:
        """Return the viewport of every renderer, 0 to 1; that of the orientation axes is a corner of the view.

        ParaView makes that corner square in whole pixels, starting from what the render before left
        (vtkPVAxesWidget::SquareRenderer). With several sizes in turn it would drift, so each size keeps its own.
        """
        return [tuple(renderer.GetViewport()) for renderer in self._renderers()]

    def _set_corners(self, corners: Sequence[tuple[float, ...]]) -> None:
        for renderer, corner in zip(self._renderers(), corners):
            renderer.SetViewport(*corner)

    def _renderers(self) -> list[Any]:
        windows = [view.GetRenderWindow() for view in self._views if hasattr(view, "GetRenderWindow")]
        return [renderer for window in windows for renderer in window.GetRenderers()]


def _assign(overrides: Sequence[str]) -> None:
    """Set properties, imported for those who do."""
    if overrides:
        from mpirender.engines.paraview import set_properties

        set_properties.assign(overrides)


def _orbit(views: Sequence[Any], animation: Any, frames: int) -> Orbit:  # noqa: ANN401
    from mpirender.engines.paraview.orbit_camera import Orbit

    return Orbit(views, animation, frames)


def _doubtful(errors: Sequence[str]) -> bool:
    """Say whether data may be wrong after these errors."""
    return not all(map(OF_TRACKS.match, errors))
