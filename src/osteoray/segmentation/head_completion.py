"""Completion of a femoral head by its own sphere: a network may miss its top, a disc in a socket in every slice."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import locate_head
from osteoray.segmentation.sphere import ball_on_grid

INNER_MM = 0.5
"""What lies this far below the sphere is head; the joint's space begins millimetres above."""
MAX_SHARE = 0.1
"""Share of the ball that may be missing: a cap of 20 % of the diameter, at which the centre is right within 0.5 mm."""


def completed_head(bones: Volume, side: Side) -> tuple[UInt8[np.ndarray, "k j i"], float]:
    """Labels with the ball of the head given to its femur, and the volume in cm³ that it was given.

    Nothing changes without a plausible head, or if more of the ball is missing than a cap whose loss the fit of the
    sphere survives. Of a ball that the scan cuts, the part inside counts.

    Args:
        bones: labels of `Bone`.
        side: of the femur.
    """
    mask = bones.array == FEMUR[side]
    if not mask.any():
        return bones.array, 0.0
    try:
        head = locate_head(Volume(mask, bones.grid), side)
    except Withheld:
        return bones.array, 0.0
    box, ball = ball_on_grid(bones.grid, head.centre_mm, head.radius_mm - INNER_MM)
    missing = ball & np.isin(bones.array[box], (0, HIP[side]))
    share = missing.sum() / max(ball.sum(), 1)
    if not 0 < share <= MAX_SHARE:
        return bones.array, 0.0
    completed = bones.array.copy()
    completed[box][missing] = FEMUR[side]
    return completed, float(missing.sum() * bones.grid.voxel_mm3 / 1000)
