"""Captures the images of views and layouts as ParaView's SaveScreenshot does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.engines.paraview.proxies import PVObject
from mpirender.engines.paraview.save_animation_order import Target
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Viewports = list[tuple[float, ...]]


class Screenshots:
    """Captures the outputs of a job, each as if there were no others."""

    def __init__(self, targets: Mapping[Target, PVObject], views: Sequence[PVObject], job: RenderJob) -> None:
        """Set up ParaView's options once for all frames; the views must have been rendered once."""
        self._targets, self._views, self._one_pass = targets, views, job.one_pass
        self._first_viewports = self._get_viewports()
        self._viewports: dict[Output, Viewports] = {}
        self._options = {
            (key, eye): options(target, job, eye)
            for key, target in targets.items() for eye in dict.fromkeys(output.eye for output in job.outputs)
        }  # fmt: skip
        self._image: PVObject = None  # owns the memory of the last pixels

    def prepare(self, output: Output) -> None:
        """Release the last image; with ``--one-pass``, resize the view."""
        self._image = None
        if self._one_pass:
            resize(self._targets, output)

    def capture(self, output: Output, path: Path | None = None) -> NDArray[np.uint8] | None:
        """Capture the current frame; return its pixels for a png, write other files; without a path, discard it."""
        options = self._options[(output.view, output.layout), output.eye]
        options.ImageResolution = [output.width, output.height]
        same_view = dataclasses.replace(output, name="", eye="")
        for renderer, viewport in zip(self._renderers(), self._viewports.get(same_view, self._first_viewports)):
            renderer.SetViewport(*viewport)
        self._image = None
        if path is None or path.suffix == ".png":
            self._image = options.SMProxy.CaptureImage()  # None if ParaView has reported an error
        else:
            options.WriteImage(str(path))
        self._viewports[same_view] = self._get_viewports()
        return None if path is None or self._image is None else pixels(self._image)

    def _get_viewports(self) -> Viewports:
        """Return the viewport of every renderer, 0 to 1; that of the orientation axes is a corner of the view.

        ParaView makes that corner square in whole pixels, starting from its size after the previous render
        (vtkPVAxesWidget::SquareRenderer). With several image sizes in turn it would drift, so each size keeps its own.
        """
        return [tuple(renderer.GetViewport()) for renderer in self._renderers()]

    def _renderers(self) -> list[PVObject]:
        windows = [view.GetRenderWindow() for view in self._views if hasattr(view, "GetRenderWindow")]
        return [renderer for window in windows for renderer in window.GetRenderers()]


def resize(targets: Mapping[Target, PVObject], output: Output) -> None:
    """Give a view, or a whole layout, the size of the image, so that ParaView does not assemble it from tiles."""
    target, sides = targets[output.view, output.layout], [output.width, output.height]
    if target.IsA("vtkSMViewLayoutProxy"):
        target.SetSize(sides)
    else:
        target.ViewSize = sides


def options(target: PVObject, job: RenderJob, eye: str = "") -> PVObject:
    """Return ParaView's SaveScreenshot proxy of a view or layout with the options of a job, for one eye if given."""
    from paraview import servermanager

    controller = servermanager.ParaViewPipelineController()
    options = servermanager.misc.SaveScreenshot()
    controller.PreInitializeProxy(options)
    is_layout = target.IsA("vtkSMViewLayoutProxy")
    options.SaveAllViews = is_layout
    setattr(options, "Layout" if is_layout else "View", target)
    options.UpdateDefaultsAndVisibilities(f"frame.{job.image_format}")
    controller.PostInitializeProxy(options)
    options.FontScaling = job.font_scaling
    options.StereoMode = f"{eye.capitalize()} Eye Only" if eye else job.stereo_mode
    options.TransparentBackground = int(job.transparent_background)
    if job.separator_width is not None:
        options.SeparatorWidth = job.separator_width
    if job.separator_color is not None:
        options.SeparatorColor = [float(part) for part in job.separator_color.split(",")]
    if job.override_color_palette:
        options.OverrideColorPalette = job.override_color_palette
    if job.quality is not None:
        options.Format.Quality = job.quality
    if job.compression is not None:
        options.Format.Compression = job.compression
    return options


def pixels(image: PVObject) -> NDArray[np.uint8]:
    """Return the pixels of a vtkImageData: rows from the top, shape (height, width, channels)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    width, height, _ = image.GetDimensions()
    rows = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    upright: NDArray[np.uint8] = rows[::-1]
    return upright
