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
LEAST_CM3 = 1.0
"""Less is what a head lacks of a perfect ball, not a missing top."""
MAX_SHARE = 0.1
"""Share of the ball that may be missing: a cap of 20 % of the diameter, at which the centre is right within 0.5 mm."""


def completed_head(bones: Volume, side: Side) -> tuple[UInt8[np.ndarray, "k j i"], float]:
    """Labels with the upper half of the ball of the head given to its femur, and the volume in cm³ that it was given.

    Nothing changes without a plausible head, if hardly anything is missing, or if more of the ball is than a cap whose
    loss the fit of the sphere survives. Of a ball that the scan cuts, the part inside counts.

    Args:
        bones: labels of `Bone`.
        side: of the femur.
    """
    mask = bones.array == FEMUR[side]
    if not mask.any():
        return bones.array, 0.0
    try:
        head = locate_head(Volume(mask, bones.grid), side, Volume(bones.array == HIP[side], bones.grid))
    except Withheld:
        return bones.array, 0.0
    box, ball = ball_on_grid(bones.grid, head.centre_mm, head.radius_mm - INNER_MM)
    within = bones.grid.crop(tuple(axis.start for axis in box), ball.shape)
    # A worn head is no ball below; what was missed is its top.
    is_upper = within.coordinates_mm()[..., 2] > head.centre_mm[2]
    lacking = ball & np.isin(bones.array[box], (0, HIP[side]))
    missing = lacking & is_upper
    missing_cm3 = float(missing.sum() * bones.grid.voxel_mm3 / 1000)
    if missing_cm3 < LEAST_CM3 or lacking.sum() > MAX_SHARE * ball.sum():
        return bones.array, 0.0
    completed = bones.array.copy()
    completed[box][missing] = FEMUR[side]
    return completed, missing_cm3
