"""Slices that hold metal: their streaks reach the phantom, so nothing is read there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Shaped

from osteoray.imaging.volume import Volume

METAL_HU = 2500
METAL_MM2 = 30.0
"""Area of metal in a slice from which its streaks matter."""


def metal_slices(volume: Volume) -> Bool[np.ndarray, " k"]:
    """Slices with at least `METAL_MM2` above `METAL_HU`."""
    pixel_mm2 = float(volume.grid.spacing_mm[1:].prod())
    return np.array([_metal_pixels(image) * pixel_mm2 >= METAL_MM2 for image in volume.array])


def _metal_pixels(image: Shaped[np.ndarray, "j i"]) -> int:
    return int(np.count_nonzero(image > METAL_HU))
