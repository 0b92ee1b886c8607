"""The base of the greater trochanter: where it rises from the lateral cortex, in the silhouette of the femur."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.segmentation.silhouette import PIXEL_MM, Silhouette

BASE_SHARE = 0.5
"""The base is where the bulge has fallen to this share of its height: there its flank is steepest."""
PLAIN_SHAFT_MM = 20.0
"""The bulge's height is measured from the lateral cortex over this length below the lesser trochanter."""
MIN_HEIGHT_MM = 2.0
"""A lower bulge is no trochanter."""


def greater_trochanter_base(
    silhouette: Silhouette, lower_edge_mm: Float[np.ndarray, 3]
) -> tuple[Float[np.ndarray, 2], float]:
    """Find the base from the distance of the lateral outline, row by row.

    Args:
        silhouette: the femur.
        lower_edge_mm: the lesser trochanter's lower edge, LPS.

    Returns:
        (medial, proximal) of the base, and how far the trochanter stands out of the shaft.

    Raises:
        ValueError: the lateral outline has no bulge.
    """
    edge_mm = float(silhouette.plane.project(lower_edge_mm)[1])
    rows_mm = silhouette.low_mm[1] + PIXEL_MM * np.arange(len(silhouette.depth_mm))
    rows_mm = rows_mm[rows_mm >= edge_mm - PLAIN_SHAFT_MM]
    columns_mm = silhouette.low_mm[0] - PIXEL_MM + PIXEL_MM * np.arange(silhouette.depth_mm.shape[1])
    lines = np.stack(np.broadcast_arrays(columns_mm[None, :], rows_mm[:, None]), axis=-1)
    step, _ = silhouette.first_bone(lines)
    seen = np.isfinite(step)
    rows_mm, lateral_mm = rows_mm[seen], -(columns_mm[0] + PIXEL_MM * step[seen])
    lateral_mm = ndimage.gaussian_filter1d(lateral_mm, 1.5, mode="nearest")
    below = rows_mm <= edge_mm
    shaft_mm = float(np.median(lateral_mm[below]))
    tip = int(np.argmax(np.where(below, -np.inf, lateral_mm)))
    height_mm = float(lateral_mm[tip]) - shaft_mm
    if height_mm < MIN_HEIGHT_MM:
        raise ValueError(f"greater trochanter: expected a bulge of {MIN_HEIGHT_MM:g} mm, got {height_mm:.1f}")
    level_mm = shaft_mm + BASE_SHARE * height_mm
    start = int(np.flatnonzero(lateral_mm[:tip] < level_mm)[-1])
    fraction = (level_mm - lateral_mm[start]) / (lateral_mm[start + 1] - lateral_mm[start])
    return np.array([-level_mm, rows_mm[start] + fraction * PIXEL_MM]), height_mm
