"""The corners of render views in which ParaView draws the orientation axes, as SaveAnimation leaves them.

At the start of each render, ParaView makes this corner square in whole pixels, beginning with its shape after the
previous render (vtkPVAxesWidget::SquareRenderer, an observer of the renderer's StartEvent). So the corner, up to some
pixels, depends on the renders before: SaveAnimation gives the views the size of a tile of the image, renders once, and
then captures one frame after the other. Here the same events are invoked without rendering.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mpirender.engines.paraview.proxies import PVObject, windows_of
from mpirender.job.outputs import EYES, Output

Viewports = list[tuple[float, ...]]  # of every renderer, in parts of its window


class OrientationAxes:
    """The viewports of all renderers before each capture."""

    def __init__(self, views: Sequence[PVObject]) -> None:
        """Keep the viewports of views that have been rendered once."""
        self._windows = [window for view in views for window in windows_of(view)]
        self._loaded = self._viewports()
        self._states: dict[Output, list[Viewports]] = {}  # of an output, before each of its captures

    def restore(self, output: Output, frame: int, tiles: tuple[int, int]) -> None:
        """Give the renderers the viewports that they have in SaveAnimation when it captures a frame.

        :param tiles: number of tiles of the image, across and down; the views must have the size of a tile.
        """
        number = frame * len(EYES) + EYES.index(output.eye) if output.eye else frame
        states = self._states.setdefault(dataclasses.replace(output, name="", eye=""), [])
        if not states:
            self._set_viewports(self._loaded)
            self._start_render()
            states.append(self._viewports())
        while len(states) <= number and (len(states) < 2 or states[-2] != states[-1]):
            self._set_viewports(states[-1])
            self._start_capture(tiles)
            states.append(self._viewports())
        self._set_viewports(states[min(number, len(states) - 1)])

    def _start_capture(self, tiles: tuple[int, int]) -> None:
        """Invoke the events of a capture: of a render in the size of a tile, and of the render of each tile."""
        self._start_render()
        if tiles != (1, 1):
            for window in self._windows:
                window.SetTileScale(*tiles)
            for _ in range(tiles[0] * tiles[1]):
                self._start_render()
            for window in self._windows:
                window.SetTileScale(1, 1)

    def _start_render(self) -> None:
        for renderer in self._renderers():
            renderer.InvokeEvent("StartEvent")

    def _viewports(self) -> Viewports:
        return [tuple(renderer.GetViewport()) for renderer in self._renderers()]

    def _set_viewports(self, viewports: Viewports) -> None:
        for renderer, viewport in zip(self._renderers(), viewports):
            renderer.SetViewport(*viewport)

    def _renderers(self) -> list[PVObject]:
        return [renderer for window in self._windows for renderer in window.GetRenderers()]
