"""Captures the images of views and layouts as ParaView's SaveScreenshot does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mpirender.engines.paraview.orientation_axes import OrientationAxes
from mpirender.engines.paraview.pixel_widths import PixelWidths
from mpirender.engines.paraview.proxies import PVObject
from mpirender.engines.paraview.save_animation_order import Target
from mpirender.engines.supersample import enlarged, reduced
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Views = Mapping[Target, Sequence[PVObject]]


class Screenshots:
    """Captures the outputs of a job, each as if there were no others."""

    def __init__(
        self, views_of: Views, targets: Mapping[Target, PVObject], job: RenderJob, *, alone: bool = True
    ) -> None:
        """Set up ParaView's options once for all frames; the views must have been rendered once.

        :param alone: whether this rank renders alone. In a group, renderers exchange messages at each render.
        """
        self._views_of, self._targets, self._one_pass = views_of, targets, job.one_pass
        self._sizes = {key: size_of(target) for key, target in targets.items()}  # as loaded
        views = dict.fromkeys(view for views in views_of.values() for view in views)
        self._axes = OrientationAxes(list(views)) if alone else None
        self._options = {
            (key, eye): options(target, job, eye)
            for key, target in targets.items() for eye in dict.fromkeys(output.eye for output in job.outputs)
        }  # fmt: skip
        self._factor = job.supersample
        self._widths = PixelWidths(list(views), job.supersample)
        self._image: PVObject = None  # owns the memory of the last pixels

    def views_of(self, output: Output) -> Sequence[PVObject]:
        """Return the views in the image of an output."""
        return self._views_of[output.view, output.layout]

    def use_mono(self) -> None:
        """Capture images without stereo from now on."""
        for options in self._options.values():
            options.StereoMode = "No stereo"

    def prepare(self, output: Output) -> None:
        """Release the last image, and give the views the size of a tile of the next one, as SaveAnimation does."""
        self._image = None
        key, size = (output.view, output.layout), (output.width, output.height)
        target = self._targets[key]
        width, height = size if self._one_pass else tiles_of(self._sizes[key], size).tile
        tile = width * self._factor, height * self._factor
        if size_of(target) != tile:
            set_size(target, tile)
            for view in self._views_of[key]:
                if not view.SMProxy.IsA("vtkSMRenderViewProxy"):  # labels of charts settle in the render after this
                    view.SMProxy.StillRender()

    def capture(self, frame: int, output: Output, path: Path | None = None) -> NDArray[np.uint8] | None:
        """Capture the current frame; return its pixels for a png, write other files; without a path, discard it."""
        key, large = (output.view, output.layout), enlarged(output, self._factor)
        size = large.width, large.height
        options = self._options[key, output.eye]
        self._widths.enlarge(self._views_of[key])
        options.ImageResolution = list(size)
        if self._axes:
            self._axes.restore(output, frame, tiles_of(size_of(self._targets[key]), size).counts)
        self._image = None
        if path is None or path.suffix == ".png" or self._factor > 1:
            self._image = options.SMProxy.CaptureImage()  # None if ParaView has reported an error
        else:
            options.WriteImage(str(path))
        if path is None or self._image is None:
            return None
        picture = reduced(pixels(self._image), self._factor)
        if path.suffix == ".png":
            return picture
        write(options, picture, path)
        return None


def write(options: PVObject, picture: NDArray[np.uint8], path: Path) -> None:
    """Write pixels as ParaView would, with its options."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

    height, width, channels = picture.shape
    image = vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(picture[::-1].reshape(-1, channels), deep=True))
    writer = options.Format.SMProxy.GetClientSideObject()
    writer.SetInputData(image)
    writer.SetFileName(str(path))
    writer.Write()


class Tiles(NamedTuple):
    """How ParaView composes an image."""

    tile: tuple[int, int]  # width and height
    counts: tuple[int, int]  # across and down
    image: tuple[int, int]  # smaller than the requested image if that cannot be composed


def tiles_of(shown: tuple[int, int], image: tuple[int, int]) -> Tiles:
    """Return the tiles of which ParaView composes an image of a view or layout that is shown in a size."""
    from paraview.modules.vtkRemotingViews import vtkSMSaveScreenshotProxy
    from vtkmodules.vtkCommonDataModel import vtkVector2i

    tile = vtkVector2i(*shown)
    counts = vtkSMSaveScreenshotProxy.GetScaleFactorsAndSize(vtkVector2i(*image), tile)
    return Tiles((tile[0], tile[1]), (counts[0], counts[1]), (tile[0] * counts[0], tile[1] * counts[1]))


def size_of(target: PVObject) -> tuple[int, int]:
    """Return the width and height of a view or a layout."""
    width, height = target.GetSize() if target.IsA("vtkSMViewLayoutProxy") else target.ViewSize
    return width, height


def set_size(target: PVObject, size: tuple[int, int]) -> None:
    """Set the width and height of a view or a layout."""
    if target.IsA("vtkSMViewLayoutProxy"):
        target.SetSize(list(size))
    else:
        target.ViewSize = list(size)


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
    if is_layout:
        options.SeparatorWidth = options.SeparatorWidth * job.supersample
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
