"""Evenness of the scanner's field across the phantom: the slab reads the same between all rods, or it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Field:
    """The slab's HU across its width.

    Attributes:
        tilt_hu: patient left end less right end of the line through the places that were read; None for fewer than
            two places.
        cupping_hu: middle less sides; None for fewer than three places.
    """

    tilt_hu: float | None
    cupping_hu: float | None


def field_across(offsets_mm: Float[np.ndarray, " spots"], hu: Float[np.ndarray, " spots"]) -> Field:
    """How the slab's HU change across it.

    Args:
        offsets_mm: places along patient left.
        hu: of the slab there; NaN where it could not be read.
    """
    read = np.isfinite(hu)
    offsets_mm, hu = offsets_mm[read], hu[read]
    if hu.size < 2:
        return Field(None, None)
    slope, _ = np.polyfit(offsets_mm, hu, 1)
    tilt_hu = float(slope * np.ptp(offsets_mm))
    if hu.size < 3:
        return Field(tilt_hu, None)
    outer = np.abs(offsets_mm) > np.median(np.abs(offsets_mm)) - 1e-6
    return Field(tilt_hu, float(hu[~outer].mean() - hu[outer].mean()) if (~outer).any() else None)
