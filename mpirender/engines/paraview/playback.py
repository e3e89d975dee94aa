"""The time, the camera and the data of an open scene: what SaveAnimation changes from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mpirender.engines.paraview import color_range, state_xml
from mpirender.engines.paraview import save_animation_order as order
from mpirender.engines.paraview.proxies import CAMERA_TRACK, PVObject, animated, registered, sources
from mpirender.job.render_job import RenderJob

if TYPE_CHECKING:
    from mpirender.engines.paraview.orbit_camera import Orbit


class Playback:
    """Sets the time of a scene, and computes and renders its views."""

    def __init__(
        self,
        views: Sequence[PVObject],
        animation: PVObject,
        job: RenderJob,
        *,
        growing: Sequence[color_range.Setting],  # as they were before the first render
        static_frames: int | None,  # of a static scene around which the camera turns; None for other scenes
    ) -> None:
        """Take control of the animation. The views must have been rendered once: readers know their timesteps then."""
        self.views, self.growing = views, growing
        self.overrides = job.variants[0].overrides  # of the variant that is open
        self.loaded_time: float = animation.AnimationTime
        self._animated = [
            AnimatedProperty(proxy, name)
            for proxy, name in animated(animation)
            if hasattr(proxy.GetProperty(name), "SetElement")  # not a list of objects
        ]
        self.times = (self.loaded_time,) * static_frames if static_frames else frame_times(animation)
        self._static = static_frames is not None
        self._orbit: Orbit | None = None
        if job.camera and self.times:
            from mpirender.engines.paraview.orbit_camera import Orbit

            self._orbit = Orbit(views, animation, len(self.times))
        self._start_time: float = animation.StartTime
        self.ticks = static_frames is None and any(
            cue.Enabled and cue.SMProxy.GetXMLName() == state_xml.PYTHON_TRACK for cue in animation.Cues
        )
        self._animation = animation.GetClientSideObject()
        # Setting the time renders every view, and WriteImage renders what it writes. Once is enough.
        self._animation.SetOverrideStillRender(True)

    def carry_out(self, step: order.Step) -> None:
        """Carry out a step before a frame."""
        if isinstance(step, (order.GoToFirst, order.Tick)):
            self._play(step)
        elif isinstance(step, order.Restart):
            restart()
        elif isinstance(step, order.ResetColorMaps):
            color_range.restore(self.growing)
        elif isinstance(step, order.SetTime):
            self._set_time(step.time)
        elif isinstance(step, order.ResetToLoaded):
            self._set_time(self.loaded_time)
            for one in self._animated:
                one.restore()
        elif isinstance(step, order.Render):
            self._render()
        elif isinstance(step, order.Compute):
            self._set_time(self.times[step.frame])
            for view in self.views:
                view.SMProxy.Update()
        elif isinstance(step, order.ShowFrame):
            self._set_time(self.times[step.frame])
            self._move_camera(step.frame)

    def _play(self, step: order.GoToFirst | order.Tick) -> None:
        """Start playing, or play the next frame; tracks can ask for the time since the frame before."""
        if isinstance(step, order.Tick):
            time = self.times[step.frame]
            self._animation.Tick(time, time - self.times[step.frame - 1] if step.frame else 0.0, time)
            self._move_camera(step.frame)
        else:
            self._animation.SetSceneTime(self._start_time)
            self._render()
            self._animation.Initialize()

    def _render(self) -> None:
        for view in self.views:
            view.SMProxy.StillRender()

    def _move_camera(self, frame: int) -> None:
        if self._orbit:
            self._orbit.move_to(frame)

    def _set_time(self, time: float) -> None:
        """Set the scene time, except in a static scene, or if that would tick Python tracks."""
        if not self._static and not self.ticks:
            self._animation.SetSceneTime(time)


class AnimatedProperty:
    """A property that a track changes, and its value now."""

    def __init__(self, proxy: PVObject, name: str) -> None:
        self._proxy, self._name, self._property = proxy, name, proxy.GetProperty(name)
        self._values = [self._property.GetElement(index) for index in range(self._property.GetNumberOfElements())]

    def restore(self) -> None:
        """Set the value from before, and no other property of the object."""
        self._property.SetNumberOfElements(len(self._values))
        for index, value in enumerate(self._values):
            self._property.SetElement(index, value)
        self._proxy.UpdateProperty(self._name)


TOO_FEW_KEY_FRAMES = "vtkPVCameraCueManipulator: Too few keyframes to animate."
FOLLOW_DATA = 2  # vtkPVCameraCueManipulator's mode, which needs no key frames


def needless_errors(animation: PVObject) -> set[str]:
    """Return the errors that ParaView reports in every frame although all camera tracks do what they should."""
    cameras = [cue for cue in animation.Cues if cue.Enabled and cue.SMProxy.GetXMLName() == CAMERA_TRACK]
    idle = [cue for cue in cameras if len(cue.KeyFrames) < 2]
    follow = [int(cue.GetProperty("Mode").SMProperty.GetElement(0)) == FOLLOW_DATA for cue in idle]
    return {TOO_FEW_KEY_FRAMES} if follow and all(follow) else set()


def synchronize(animation: PVObject) -> None:
    """Set the time of all views to that of the scene.

    A state may have been saved with a view at another time. SaveAnimation would show that time in frame 0 if the scene
    is at the time of frame 0, since setting a time that is already set changes nothing.
    """
    for view in animation.TimeKeeper.Views:
        if view.ViewTime != animation.AnimationTime:
            view.ViewTime = animation.AnimationTime


def frame_times(animation: PVObject) -> tuple[float, ...]:
    """Return the scene time of every frame, as SaveAnimation plays them."""
    if str(animation.PlayMode).strip("'") == "Snap To TimeSteps":
        steps = animation.TimeKeeper.TimestepValues
        steps = [steps] if isinstance(steps, float) else list(steps)
        return state_xml.snapped_times(steps, int(getattr(animation, "FramesPerTimestep", 1) or 1), animation.EndTime)
    return state_xml.sequence_times(animation.StartTime, animation.EndTime, int(animation.NumberOfFrames))


def mark_outdated(views: Iterable[PVObject]) -> None:
    """Have views update their data with the next render, even if the time stays the same."""
    for view in views:
        view.SMProxy.MarkDirty(None)


def restart() -> None:
    """Have all data read and computed anew by the next render.

    VTK reports an error once, when a pipeline runs, and continues with the data it has: the next frame of the same
    timestep would get the same wrong data without an error. Touching the readers (Modified) is not enough, since some
    (PVD) keep inner readers that remember that a file is bad. Touching the proxies is not enough either: a
    representation whose pipeline has failed ignores later changes of its sources. Hence this does what ParaView's
    Reload Files does, for filters as well, and notifies representations and views. (If the first file of a series is
    bad, this process can render none of the series from now on: a reader opens that file first.)
    """
    for _, source in sources():
        source.RecreateVTKObjects()
    for _, shown in registered("representations"):
        representation = shown.SMProxy.GetClientSideObject()
        if hasattr(representation, "MarkModified"):  # not the widgets
            representation.MarkModified()
    mark_outdated(view for _, view in registered("views"))
