"""Finds frames that show nothing but the background although other frames show data.

The data may really be empty at that time, so such a frame is no error; but it may also be that a reader or a driver
has failed without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mpirender.engines.paraview.incomplete_data import IncompleteData
from mpirender.engines.paraview.proxies import PVObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_NAMED = 10  # frames
MOST_REPEATED = 3  # frames that are as empty when they are rendered once more; then the others are not repeated
DITHER = 2  # of 255
SAMPLE = 16  # every so many pixels, in both directions


class EmptyFrames:
    """Looks at each frame of a rank, and remembers whether earlier ones showed data."""

    def __init__(self, data: IncompleteData) -> None:
        """Look at the frame that is shown now."""
        self._data = data
        self._filled: set[int] = set()  # ids of the views that have shown data
        self._drawn = False  # whether a picture has shown more than the background
        self._confirmed = self._named = 0
        self.reason(data.views, None)

    @property
    def worth_repeating(self) -> bool:
        """Whether an empty frame is to be rendered once more."""
        return self._confirmed < MOST_REPEATED

    def reason(self, views: Sequence[PVObject], picture: NDArray[np.uint8] | None) -> str:
        """Return why a frame shows nothing but the background, empty if it shows more or if earlier ones did not.

        :param picture: rows from the top, shape (height, width, channels), if it is known.
        """
        empty = [names for view in views for names in self._empty(view)]
        if len(empty) == len(views) and empty:
            return f"{', '.join(dict.fromkeys(empty))} has no data at this time"
        if picture is None or not _is_background(picture):
            self._drawn = self._drawn or picture is not None
            return ""
        return "its data are not empty, so check the camera" if self._drawn and not empty else ""

    def warning(self, frame: int, reason: str, *, repeated: bool) -> str:
        """Return a warning about an empty frame; empty if enough were named."""
        self._named += 1
        self._confirmed += repeated
        if self._named > MOST_NAMED:
            return ""
        last = "; no more of these frames are named" if self._named == MOST_NAMED else ""
        twice = ", also when rendered once more" if repeated else ""
        return f"frame {frame} shows nothing but the background{twice}: {reason}{last}"

    def _empty(self, view: PVObject) -> Iterator[str]:
        """Yield the objects of a view if all of them are without data, and were not in an earlier frame."""
        shown = [item for item in getattr(view, "Representations", ()) if getattr(item, "Visibility", 0)]
        shown = [item for item in shown if item.SMProxy.IsA("vtkSMPVRepresentationProxy")]
        if any(map(_has_elements, shown)):
            self._filled.add(view.SMProxy.GetGlobalID())
        elif shown and view.SMProxy.GetGlobalID() in self._filled:
            yield ", ".join(map(self._data.described, shown))


def _has_elements(item: PVObject) -> bool:
    data = item.SMProxy.GetRepresentedDataInformation()
    return data is not None and data.GetNumberOfPoints() + data.GetNumberOfCells() + data.GetNumberOfRows() > 0


def _is_background(picture: NDArray[np.uint8]) -> bool:
    """Return whether each row of a picture has one color, which may be that of a gradient (VTK dithers it)."""
    return all((rows.max(1) - rows.min(1)).max() <= DITHER for rows in (picture[::SAMPLE, ::SAMPLE], picture))
