"""Render images at a multiple of their size and average blocks of pixels, so that edges and thin lines are smooth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpirender.job.outputs import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WITH_ALPHA = (2, 4)  # numbers of channels, the last of which is the opacity


def enlarged(output: Output, factor: int) -> Output:
    """Return an output whose sides are a multiple as long."""
    return replace(output, width=output.width * factor, height=output.height * factor)


def reduced(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return a picture of which each pixel is the mean of a block of ``factor`` times ``factor`` pixels.

    The values are averaged as they are, as ParaView does for smooth edges. Where pixels differ in opacity, each counts
    as much as it is opaque.
    """
    import numpy as np

    if factor == 1:
        return picture
    blocks = [picture[y::factor, x::factor] for y in range(factor) for x in range(factor)]
    count, total = factor * factor, np.zeros(blocks[0].shape, np.uint16)  # large enough: 255 times 16
    for block in blocks:
        total += block
    small: NDArray[np.uint8] = ((total + count // 2) // count).astype(np.uint8)
    if picture.shape[2] in WITH_ALPHA:
        mixed = (total[..., -1] > 0) & (total[..., -1] < 255 * count)
        opacities = [block[mixed][:, -1:].astype(np.uint32) for block in blocks]
        weighted = sum(block[mixed][:, :-1] * opacity for block, opacity in zip(blocks, opacities))
        whole = sum(opacities)
        small[mixed, :-1] = (weighted + whole // 2) // np.maximum(whole, 1)
    return small
