"""Local contrast: log attenuation minus its smooth surroundings, in a fixed scale.

Soft tissue varies smoothly and adds to log attenuation what bone adds, so what is left is mostly bone. Nothing is
divided by anything of the image itself: contrast keeps its size, and with it density.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GRID = (64, 32)
"""Rows and columns at which the surroundings are computed; they are smooth, so no more is needed at any size."""

WIDTH = 0.1
"""Standard deviation of the Gaussian surroundings, as a share of the image height."""

GAIN = 4.0
"""Bone contrast is about a quarter of an X-ray's window; this brings it to the scale of the window."""


def local_contrast(images: Tensor) -> Tensor:
    """Images (n, 1, rows, columns) minus a Gaussian mean around each pixel, times `GAIN`."""
    # Area pooling of an exact divisor where sizes allow; edges are continued outwards.
    coarse = functional.interpolate(images, size=GRID, mode="area")
    deviation = WIDTH * GRID[0]
    reach = round(3 * deviation)
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-0.5 * (offsets / deviation) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(coarse, (reach, reach, reach, reach), mode="replicate")
    rows = functional.conv2d(padded, weights.view(1, 1, -1, 1))
    smooth = functional.conv2d(rows, weights.view(1, 1, 1, -1))
    surroundings = functional.interpolate(smooth, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return GAIN * (images - surroundings)
