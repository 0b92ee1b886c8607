"""Metal near a femur: implants, which streak and would be counted as bone."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume

REACH_MM = 20.0
"""Metal farther from the femur than this does not concern it."""


def metal_near_mm3(ct_hu: Volume, femur: Volume, metal_hu: float) -> float:
    """Volume of metal within 20 mm of a femur.

    Args:
        ct_hu: CT in Hounsfield units.
        femur: mask on the same grid.
        metal_hu: HU above which a voxel is metal.
    """
    metal = np.argwhere(ct_hu.array > metal_hu)
    bone = np.argwhere(femur.array)
    if len(metal) == 0 or len(bone) == 0:
        return 0.0
    # Every 20th voxel of the femur suffices: their neighbours are millimetres apart, the reach is 20.
    tree = cKDTree(apply_affine(femur.grid.world_from_index, bone[::20].astype(float)))
    distance_mm, _ = tree.query(
        apply_affine(ct_hu.grid.world_from_index, metal.astype(float)), distance_upper_bound=REACH_MM
    )
    return float(np.isfinite(distance_mm).sum() * ct_hu.grid.voxel_mm3)
