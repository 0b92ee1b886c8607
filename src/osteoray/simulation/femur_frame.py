"""The frame of the femur template in the world, which carries the tissue around a femur."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth


def world_from_femur(femur: FemurTruth, side: Side, size: float) -> Float[np.ndarray, "4 4"]:
    """Map of the femur template (x lateral in the plane of head and shaft, z along the shaft) to the world."""
    lateral = femur.shaft_point_mm - femur.head_centre_mm
    lateral = lateral - (lateral @ femur.shaft_axis) * femur.shaft_axis
    lateral /= np.linalg.norm(lateral)
    posterior = np.cross(femur.shaft_axis, lateral) * (1.0 if side == Side.LEFT else -1.0)
    return affine(np.stack([lateral, posterior, femur.shaft_axis], axis=1) * size, femur.head_centre_mm)
