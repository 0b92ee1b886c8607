"""Femoral head that is labelled as hip bone: a segmentation's commonest error at the hip, and one that moves the head.

A head that lacks a cap towards its socket still fits a sphere, so the landmarks' own limits do not see it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.sphere import ball_on_grid

CORE_RADII = 0.85
"""The head inside of this many radii, where a hip bone never is."""
MAX_SHARE = 0.03
"""Share of the core that may be hip bone."""


def hip_bone_in_head(bones: Volume, side: Side, centre_mm: Float[np.ndarray, "3"], radius_mm: float) -> float:
    """Share of the head's core that is labelled as hip bone of the same side.

    Args:
        bones: labels of `Bone`.
        side: of the femur.
        centre_mm: of the head, LPS.
        radius_mm: of the head.
    """
    box, core = ball_on_grid(bones.grid, centre_mm, CORE_RADII * radius_mm)
    labels = bones.array[box]
    return float((labels[core] == HIP[side]).mean()) if core.any() else 0.0


def refuse_leaking_head(bones: Volume, side: Side, centre_mm: Float[np.ndarray, "3"], radius_mm: float) -> None:
    """Refuse a femur of whose head a part is labelled as hip bone.

    Raises:
        Withheld: SEG-HEAD.
    """
    share = hip_bone_in_head(bones, side, centre_mm, radius_mm)
    if share > MAX_SHARE:
        detail = f"hip bone in the femoral head: expected up to {MAX_SHARE:.0%}, got {share:.0%}"
        raise Withheld("SEG-HEAD", detail, side=side.value)
