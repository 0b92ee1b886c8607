"""Where soft tissue belongs to the thigh: below a groin plane that falls towards the midline, with a smooth blend."""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float

DEPTH_AT_MIDLINE_MM = 135.0
"""The plane passes this far below the hip joints at the midline, and falls in proportion from the joint inwards."""
HEIGHT_AT_JOINT_MM = 8.0
"""It passes this far above the hip joint and beside it."""
BLEND_MM = 98.0
"""Half of the height over which soft tissue changes from trunk to thigh."""


@numba.njit(cache=True, fastmath=True)
def thigh_share(lateral_mm: float, below_mm: float, half_distance_mm: float) -> float:
    """Share of the thigh at a point: 0 moves with the pelvis, 1 with the femur.

    Args:
        lateral_mm: from the hip joint outwards, negative towards the midline.
        below_mm: from the hip joint downwards.
        half_distance_mm: from the midline to the joint.
    """
    inward = min(max(-lateral_mm / half_distance_mm, -1.0), 1.3)
    # Smooth at the joint: a parabola that joins the falling line.
    rise = (inward + 1.0) ** 2 / 4.0 if inward < 1.0 else inward
    depth = rise * (DEPTH_AT_MIDLINE_MM + HEIGHT_AT_JOINT_MM) - HEIGHT_AT_JOINT_MM
    t = min(max((below_mm - depth) / (2.0 * BLEND_MM) + 0.5, 0.0), 1.0)
    return t * t * t * (t * (6.0 * t - 15.0) + 10.0)


def thigh_shares(
    lateral_mm: Float[np.ndarray, "*n"], below_mm: Float[np.ndarray, "*n"], half_distance_mm: float
) -> Float[np.ndarray, "*n"]:
    """`thigh_share` of many points."""
    return np.asarray(_thigh_shares(lateral_mm, below_mm, half_distance_mm))


@numba.vectorize([numba.float64(numba.float64, numba.float64, numba.float64)], cache=True)
def _thigh_shares(lateral_mm, below_mm, half_distance_mm):
    return thigh_share(lateral_mm, below_mm, half_distance_mm)
