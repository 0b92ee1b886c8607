"""The proximal femur: between the head-neck cut and the cut below the lesser trochanter (Uemura 2022)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Side
from osteoray.simulation.body import DISTAL_CUT_MM, FemurTruth

HEAD_CUT_RADII = 0.75
"""The head-neck cut lies this many head radii from the head's centre, along the neck."""


def is_proximal(points_mm: Float[np.ndarray, "*n 3"], truth: FemurTruth) -> Bool[np.ndarray, "*n"]:
    """Whether points of a femur lie between the head-neck cut and the distal cut."""
    along_neck = (points_mm - truth.head_centre_mm) @ truth.neck_axis
    along_shaft = (points_mm - truth.lesser_trochanter_mm) @ truth.shaft_axis
    return (along_neck <= -HEAD_CUT_RADII * truth.head_radius_mm) & (along_shaft >= -DISTAL_CUT_MM)


def proximal_femur_labels(
    bones: UInt8[np.ndarray, "k j i"], grid: VoxelGrid, femurs: dict[Side, FemurTruth]
) -> UInt8[np.ndarray, "k j i"]:
    """Labels of the proximal femurs (`PROXIMAL_FEMUR`) from bone labels and landmarks."""
    labels = np.zeros(bones.shape, np.uint8)
    for side, truth in femurs.items():
        voxels = np.argwhere(bones == FEMUR[side])
        proximal = is_proximal(apply_affine(grid.world_from_index, voxels.astype(float)), truth)
        labels[tuple(voxels[proximal].T)] = PROXIMAL_FEMUR[side]
    return labels
