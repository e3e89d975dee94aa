"""ParaView's options of a screenshot, and the picture that it takes, as pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpirender.job.options import BOTH_EYES
from mpirender.job.outputs import EYES, Output
from mpirender.job.render_job import RenderJob

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MONO = ("No change", "No stereo")  # stereo modes by which a picture does not depend on the eye that rendered last
FOR_EACH_EYE = (BOTH_EYES, "Left Eye Only", "Right Eye Only")  # a picture of a single eye


def begins_twice(job: RenderJob, times: Sequence[float]) -> bool:
    """Say whether what SaveAnimation renders before it begins makes another picture of frame 0.

    The right eye comes into it, or the view is updated once more, with data of another time.

    Args:
        times: those of the scene as it was loaded and of frame 0, where there is one.
    """
    moves = job.stereo_mode == BOTH_EYES and len(set(times)) > 1
    return moves or job.stereo_mode not in FOR_EACH_EYE


def last_of_frame(output: Output) -> Output:
    """Return the output whose picture of a frame SaveAnimation renders last: that of the right eye, if each has one."""
    return dataclasses.replace(output, eye=EYES[-1]) if output.eye else output


def options(target: Any, job: RenderJob, eye: str = "") -> Any:  # noqa: ANN401
    """Return ParaView's SaveScreenshot proxy set up once for all frames.

    Args:
        target: proxy of a view or a layout.
        eye: whose pictures they are, where each has its own.
    """
    from paraview import servermanager

    controller = servermanager.ParaViewPipelineController()
    options = servermanager.misc.SaveScreenshot()
    controller.PreInitializeProxy(options)
    is_layout = target.IsA("vtkSMViewLayoutProxy")
    options.SaveAllViews = is_layout
    if is_layout:
        options.Layout = target
    else:
        options.View = target
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


def pixels(image: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    """Return the picture in a vtkImageData: rows from the top, shape (height, width, channels)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    width, height, _ = image.GetDimensions()
    rows = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    upright: NDArray[np.uint8] = rows[::-1]
    return upright
