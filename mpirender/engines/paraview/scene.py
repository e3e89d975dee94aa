"""A ParaView state opened in one rank: its frames, rendered as SaveAnimation would render them, in any order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.engines.base import PREVIOUS, Ranges, Rendered, Scene, merge_ranges
from mpirender.engines.paraview import backends, color_range, incomplete_data, playback, state_warnings, state_xml
from mpirender.engines.paraview import save_animation_order as order
from mpirender.engines.paraview.empty_frames import EmptyFrames
from mpirender.engines.paraview.error_log import ErrorLog
from mpirender.engines.paraview.proxies import PVObject, sources
from mpirender.engines.paraview.screenshot import Screenshots, Views, set_size
from mpirender.errors import OutOfOrder, UsageError
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    from mpirender.engines.paraview.data_watch import DataWatch
    from mpirender.engines.paraview.measure import Meter

# Errors of animation tracks: ParaView reports them again at every frame, and they do not affect the data.
TRACK_ERRORS = re.compile(r"vtkPV\w*(Cue|KeyFrame)\w*: ")

# Sources and filters that may remember earlier frames: scripts, and those that draw random numbers.
MAY_REMEMBER = re.compile(r"Program|Python|Random|Brownian|Mask|PointSource|Probe|Stream|Temporal|Particle")
PROBE_SIDE = 320  # longest side of the picture of a probe, in pixels

# Draws its cross hairs around the data of the previous render.
ORTHOGRAPHIC = "OrthographicSliceView"


class ParaViewScene(Scene):
    """A state opened in one rank."""

    def __init__(
        self,
        simple: PVObject,
        targets: Mapping[order.Target, PVObject],
        job: RenderJob,
        log: ErrorLog,
        *,
        static_frames: int | None = None,  # as in Playback
    ) -> None:
        """Render once and prepare for the frames."""
        self._log, self._job = log, job
        views_of = {key: list(simple.GetViewsInLayout(target)) if target.IsA("vtkSMViewLayoutProxy") else [target]
                    for key, target in targets.items()}  # fmt: skip
        views = list(dict.fromkeys(view for several in views_of.values() for view in several))
        for output in reversed(job.outputs if job.one_pass else ()):
            set_size(targets[output.view, output.layout], (output.width, output.height))
        growing = color_range.growing(views, job.color_range)
        animation = simple.GetAnimationScene()
        playback.synchronize(animation)
        log.ignored = playback.needless_errors(animation)
        # Not simple.Render: its first call resets the camera, so the camera saved in the state would be lost.
        for view in views:
            view.SMProxy.StillRender()
        self.errors = log.take()
        self._suspect = _affect_data(self.errors)  # whether data may be wrong
        self._screenshots = Screenshots(views_of, targets, job, alone=log.alone)
        self._playback = playback.Playback(views, animation, job, growing=growing, static_frames=static_frames)
        self._order = order.SaveAnimationOrder(_traits(views_of, animation, self._playback, job))
        self._data = incomplete_data.IncompleteData(views, animation.TimeKeeper)
        self.errors = self._data.with_files(self.errors)
        self._empty = EmptyFrames(self._data)
        self._meter: Meter | None = None
        if str(animation.PlayMode).strip("'") == state_xml.REAL_TIME:
            raise UsageError(f"{job.scene.name} {state_xml.NO_REAL_TIME}")
        self.frames = range(len(self._playback.times))
        self.version = simple.servermanager.vtkSMProxyManager.GetParaViewSourceVersion().split()[-1]
        backend, self.renderer = backends.opened_window(views)
        self.description = f"ParaView {self.version}, {backend}, {self.renderer}"
        self._ranges: Ranges = {}
        self.data_watch: DataWatch | None = None
        self.open_again: Callable[[], ParaViewScene] | None = None
        if self._playback.ticks:
            _check_tracks(self._order.scene, animation, job)
        self._static, self._lags = static_frames is not None, self._order.scene.lags
        traits = self._order.scene
        # Ranks of a group cannot be replaced by new processes after a trial of a scene in stereo; see probe().
        self.in_order = traits.ticks or traits.accumulates or (traits.stereo and not log.alone)
        self._renders_stereo = traits.stereo

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame as SaveAnimation would, and once more if it shows nothing but the background, unlike others.

        ParaView itself writes images other than png.
        """
        if self._renders_stereo and not self._order.scene.stereo:
            raise OutOfOrder("frames were rendered without stereo, to see whether they depend on earlier frames")
        rendered = self._render(frame, output, path)
        if not self._log.alone:  # each rank of a group knows its part of the data only
            return rendered
        views = self._screenshots.views_of(output)
        reason = self._empty.reason(views, rendered.picture)
        if not reason or rendered.errors:
            return rendered
        repeated = self._empty.worth_repeating and not (self._order.scene.accumulates or self._playback.ticks)
        if repeated:
            self._suspect = True  # read and compute all data anew
            rendered = self._render(frame, output, path)
            reason = self._empty.reason(views, rendered.picture)
        if reason and not rendered.errors:
            self._log.warn(self._empty.warning(frame, reason, repeated=repeated))
        return rendered

    def _render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame once."""
        suspect = self._log.anywhere(self._suspect) or bool(self._log.take())
        if self._needs_fresh_process(frame, suspect=suspect):
            raise OutOfOrder(f"frame {frame} cannot follow the frames that were rendered before it")
        if not self._order.can_play(frame) or (self._playback.ticks and (suspect or self._changes(output))):
            self._open_again()
        elif suspect:
            self._carry_out([order.Restart()])
        self._suspect = True  # until this frame has ended without an exception and without errors
        watch, scene = self.data_watch, self._order.scene
        if watch:
            watch.begin(lags=scene.lags, all_times=scene.accumulates or scene.ticks)
        self._screenshots.prepare(output)
        errors_before = self._set_variant(output.overrides) + self._carry_out(self._order.before(frame, output))
        picture = self._screenshots.capture(frame, output, path)
        self._order.record(order.Capture(frame, output))
        measured = None if self._meter is None else self._meter.read((frame, output.overrides))
        errors = self._data.with_files(self._log.take() + errors_before) + self._data.problems()
        self._suspect = _affect_data(errors)
        inputs, time = watch.files() if watch else (), self._playback.times[frame]
        return Rendered(errors, picture, measured=measured, inputs=inputs, time=time)

    def _needs_fresh_process(self, frame: int, *, suspect: bool) -> bool:
        if self._order.scene.computes:
            return not self._order.can_play(frame) or (suspect and self._order.history.ticked is not None)
        return self._log.alone and self._order.goes_back(frame)

    def probe(self, frame: int) -> str:
        """Render a frame of the first output in a small size; return a digest of its pixels.

        In stereo, labels depend on the images before, in a way that is taken care of, so pictures would always differ.
        Data do not depend on stereo: the frame is rendered without it, and this process then renders no images.
        """
        if self._order.scene.stereo:
            self._screenshots.use_mono()
            self._order.scene = replace(self._order.scene, stereo=False)
        output = self._job.outputs[0]
        scale = max(output.width, output.height, PROBE_SIDE) / PROBE_SIDE
        small = replace(output, width=round(output.width / scale) or 1, height=round(output.height / scale) or 1)
        rendered = self._render(
            frame, small, Path("probe.png")
        )  # an empty picture is named when it is rendered for good
        if rendered.errors or rendered.picture is None:
            return ""
        return hashlib.blake2b(rendered.picture.tobytes(), digest_size=16).hexdigest()

    def keep_order(self, needs: str) -> list[str]:
        """Prepare for frames that depend on earlier ones; see :meth:`mpirender.engines.base.Scene.keep_order`."""
        names = [name for name, source in sources() if MAY_REMEMBER.search(source.GetXMLName())]
        if needs == PREVIOUS:
            self._order.scene = replace(self._order.scene, lags=True)
            return names
        mistakes = _order_mistakes(self._job, static=self._static, targets=len(self._order.scene.views))
        if mistakes:
            because = f" (because of {', '.join(names)}, it seems)" if names else ""
            raise UsageError(
                [f"{self._job.scene.name}: frames depend on earlier frames{because}; {fix}" for fix in mistakes]
            )
        self._playback.ticks = True
        self._order.scene = replace(self._order.scene, lags=self._lags)
        self._order.keep()
        return names

    @property
    def views(self) -> Sequence[PVObject]:
        """The views that are rendered, alone or in layouts."""
        return self._playback.views

    @property
    def _replays(self) -> bool:
        """Whether the data of earlier frames are computed."""
        return self._order.scene.accumulates or self._order.scene.computes

    def _changes(self, output: Output) -> bool:
        """Return whether another variant of the sweep must be shown than the one that was played."""
        return output.overrides != self._playback.overrides and self._order.history.ticked is not None

    def _open_again(self) -> None:
        """Open the scene anew, because Python tracks cannot go back."""
        from paraview import simple

        if self.open_again is None:
            raise RuntimeError("the Python tracks of this scene cannot go back, and the ranks of a group do not reload")
        found, again = self._ranges, self.open_again
        simple.SetActiveView(None)
        simple.ResetSession()
        vars(self).update(vars(again()))
        self.open_again = again
        self.set_color_ranges(found)

    def measure(self, texts: Sequence[str], group: Comm | None) -> None:
        """Measure the data of every frame from now on; raise UsageError with each array that is not in the data."""
        if texts:
            from mpirender.engines.paraview.measure import Meter

            self._meter = Meter(texts, group)
            self._meter.check()
            self.errors += self._log.take()
            self._suspect = _affect_data(self.errors)

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the frames in which array ranges have to be found: all, the first, or none."""
        shown = color_range.colored(self._playback.views)
        hows = {color_range.how(self._job.color_range, item.array) for item in shown}
        return frames if color_range.GLOBAL in hows else frames[:1] if color_range.DATA in hows else ()

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Find the ranges in a frame of the arrays whose color maps need them."""
        views = self._playback.views
        if self._playback.ticks:
            self._carry_out(self._order.play(frame, self._job.outputs[0]))
        else:
            replay = self._order.replay(frame) if self._order.scene.accumulates else []
            self._carry_out([*replay, order.SetTime(self._playback.times[frame])])
        wanted = (color_range.GLOBAL, color_range.DATA) if first else (color_range.GLOBAL,)
        shown = {item.array for item in color_range.colored(views)}
        names = {array for array in shown if color_range.how(self._job.color_range, array) in wanted}
        parts = []
        for variant in self._job.variants:
            _assign(variant.overrides)
            parts.append(color_range.ranges_now(views, names))
        # Errors of now are reported again when the frame is rendered: all data are read anew before that.
        self._suspect = bool(self._log.take()) or self._suspect
        return merge_ranges(parts)

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the ranges of the color maps, and render once more, since labels of legends change."""
        self._ranges = found
        if self._order.history.ticked is not None:  # to find the ranges
            self._open_again()
        elif self._job.color_range:
            color_range.set_ranges(self._playback.views, self._job.color_range, found)
            _assign(self._playback.overrides)
            self._carry_out(self._order.as_loaded(restart=self._order.scene.accumulates))
            self._suspect = bool(self._log.take()) or self._suspect

    def take_warnings(self) -> list[str]:
        """Return ParaView's warnings since the last call, each text once per process."""
        return self._log.take_warnings()

    def _set_variant(self, overrides: tuple[str, ...]) -> list[str]:
        """Change the scene into a variant of the sweep, rendered once as after loading; return its errors."""
        if overrides == self._playback.overrides:
            return []
        _assign(overrides)
        self._playback.overrides = overrides
        steps = self._order.as_loaded(restart=self._order.scene.accumulates)
        return self._carry_out([*steps, order.TakeErrors()])

    def _carry_out(self, steps: Iterable[order.Step]) -> list[str]:
        """Carry out steps; return the errors that they collect."""
        errors = []
        for step in steps:
            if isinstance(step, order.TakeErrors):
                errors += [text + step.where for text in self._log.take()]
            elif isinstance(step, order.Capture):
                self._screenshots.capture(step.frame, step.output)
            elif isinstance(step, order.MarkOutdated):
                playback.mark_outdated(self._order.scene.views_of(step.output))
            else:
                self._playback.carry_out(step)
            if self._meter and isinstance(step, order.Restart):
                self._meter.restart()
            elif self._meter and self._replays and isinstance(step, (order.Render, order.Compute)):
                self._meter.update()  # of sources that are not shown
            self._order.record(step)
        return errors


def _traits(views_of: Views, animation: PVObject, played: playback.Playback, job: RenderJob) -> order.SceneTraits:
    stereo = job.stereo_mode not in order.MONO
    moving = any(cue.Enabled and cue.SMProxy.GetXMLName() not in state_warnings.STILL_DATA for cue in animation.Cues)
    changes = stereo or moving or bool(animation.TimeKeeper.TimestepValues)
    filters = {source.GetXMLName() for _, source in sources()}
    return order.SceneTraits(
        times=played.times,
        loaded_time=played.loaded_time,
        views=views_of,
        lags=changes and any(map(_draws_bounds, played.views)),
        stereo=stereo,
        begins_twice=order.begins_twice(job, (played.loaded_time, *played.times[:1])),
        ticks=played.ticks,
        accumulates=bool(played.growing) or not filters.isdisjoint(state_warnings.ACCUMULATING),
    )


def _check_tracks(scene: order.SceneTraits, animation: PVObject, job: RenderJob) -> None:
    """Refuse what does not give ParaView's images with Python tracks."""
    if scene.stereo:
        raise UsageError(f"{job.scene.name}: --stereo-mode does not work with Python tracks; leave it out")
    renders = any("Render" in getattr(cue, "Script", "") for cue in animation.Cues if cue.Enabled)
    if scene.lags and renders and not job.allow_order_dependence:
        raise UsageError(
            f"{job.scene.name}: a Python track renders at each tick, which changes the axes around the data; remove "
            "Render from its script (each frame is rendered after the tick), or use --allow-order-dependence"
        )


def _order_mistakes(job: RenderJob, *, static: bool, targets: int) -> list[str]:
    """Return what does not give ParaView's images if each frame depends on those before, with the fix."""
    allow = "or render it nevertheless with --allow-order-dependence"
    wrong = {
        "render it without --vary": len(job.variants) > 1,
        "render one view or layout at a time": targets > 1,
        "render it without --camera": static,
        "render it without --stereo-mode": job.stereo_mode not in order.MONO,
    }
    return [f"{fix}, {allow}" for fix, applies in wrong.items() if applies]


def _draws_bounds(view: PVObject) -> bool:
    """Return whether the view draws something that depends on the bounds of its data: axes, ambient occlusion."""
    grid = getattr(view, "AxesGrid", None)
    if view.SMProxy.GetXMLName() == ORTHOGRAPHIC or getattr(view, "CenterAxesVisibility", 0):
        return True
    if getattr(grid, "Visibility", 0) or getattr(view, "UseAmbientOcclusion", 0) or getattr(view, "UseSSAO", 0):
        return True
    shown = [item for item in getattr(view, "Representations", ()) if getattr(item, "Visibility", 0)]
    return any(getattr(getattr(item, "DataAxesGrid", None), "GridAxesVisibility", 0) for item in shown)


def _assign(texts: Sequence[str]) -> None:
    """Set properties; the module is imported only by runs that need it."""
    if texts:
        from mpirender.engines.paraview import overrides

        overrides.assign(texts)


def _affect_data(errors: Sequence[str]) -> bool:
    """Return whether data may be wrong after these errors."""
    return not all(map(TRACK_ERRORS.match, errors))
