"""Completion of a femoral head by its own sphere: a network may miss its top, a disc in a socket in every slice."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import locate_femur

INNER_MM = 0.5
"""What lies this far below the sphere is head; the joint's space begins millimetres above."""
MAX_SHARE = 0.1
"""Share of the ball that may be missing: a cap of 20 % of the diameter, at which the centre is right within 0.5 mm."""


def completed_head(bones: Volume, side: Side) -> tuple[UInt8[np.ndarray, "k j i"], float]:
    """Labels with the ball of the head given to its femur, and the volume in cm³ that it was given.

    Nothing changes without landmarks, if the ball is not in the scan as a whole, or if more of it is missing than a cap
    whose loss the fit of the sphere survives.

    Args:
        bones: labels of `Bone`.
        side: of the femur.
    """
    mask = bones.array == FEMUR[side]
    if not mask.any():
        return bones.array, 0.0
    try:
        head = locate_femur(Volume(mask, bones.grid), side, 0.0).head
    except Withheld:
        return bones.array, 0.0
    reach_mm = head.radius_mm + float(bones.grid.spacing_mm.max())
    centre = np.rint(np.linalg.solve(bones.grid.world_from_index, np.append(head.centre_mm, 1.0))[:3]).astype(int)
    reach = np.ceil(reach_mm / bones.grid.spacing_mm).astype(int)
    if (centre < reach).any() or (centre + reach >= bones.grid.shape).any():
        return bones.array, 0.0
    k, j, i = (slice(int(c - r), int(c + r + 1)) for c, r in zip(centre, reach, strict=True))
    box = bones.cut((k, j, i))
    ball = np.linalg.norm(box.grid.coordinates_mm() - head.centre_mm, axis=-1) < head.radius_mm - INNER_MM
    missing = ball & np.isin(box.array, (0, HIP[side]))
    share = missing.sum() / ball.sum()
    if not 0 < share <= MAX_SHARE:
        return bones.array, 0.0
    completed = bones.array.copy()
    completed[k, j, i][missing] = FEMUR[side]
    return completed, float(missing.sum() * bones.grid.voxel_mm3 / 1000)
