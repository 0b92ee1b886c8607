"""Masks that came with the data, brought onto the CT grid and checked."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume


def on_grid(labels: Volume, grid: VoxelGrid) -> Volume:
    """Labels at the voxels of the CT; a file that a viewer has flipped or cropped is put back by its affine."""
    whole = Volume(np.rint(labels.array).astype(np.uint8), labels.grid)
    return whole if whole.grid.matches(grid, 1e-2) else resample(whole, grid, nearest=True)


def provided_bones(labels: Volume, grid: VoxelGrid) -> UInt8[np.ndarray, "k j i"]:
    """Labels of `Bone` from a manual segmentation.

    Args:
        labels: as read.
        grid: of the CT.

    Raises:
        Withheld: SEG-BONE for an unknown label or none in the scan, ING-SIDE if left lies right of right.
    """
    unknown = sorted(set(np.unique(np.rint(labels.array)).tolist()) - {0, *Bone})
    if unknown:
        raise Withheld("SEG-BONE", f"bone_labels: expected 0 to {len(Bone)}, got {unknown[:5]}")
    bones = on_grid(labels, grid)
    if not bones.array.any():
        raise Withheld("SEG-BONE", "bone_labels: expected bones inside the CT, got none")
    for left, right in ((Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR), (Bone.LEFT_HIP, Bone.RIGHT_HIP)):
        x_mm = [_centroid_x_mm(bones, bone) for bone in (left, right)]
        if x_mm[0] <= x_mm[1]:
            detail = f"bone_labels: expected {left.name.lower()} on the patient's left, got x {x_mm[0]:.0f} mm"
            raise Withheld("ING-SIDE", f"{detail} and {right.name.lower()} at {x_mm[1]:.0f} mm")
    return bones.array


def provided_region(labels: Volume, grid: VoxelGrid, bones: UInt8[np.ndarray, "k j i"]) -> UInt8[np.ndarray, "k j i"]:
    """Labels of `PROXIMAL_FEMUR` from a manual mask of one or both sides, whatever its values.

    Args:
        labels: as read; every voxel that is not 0 counts.
        grid: of the CT.
        bones: labels of `Bone`; a voxel belongs to the side of the femur that it lies in.
    """
    inside = on_grid(labels, grid).array > 0
    region = np.zeros(grid.shape, np.uint8)
    for side in Side:
        region[inside & (bones == FEMUR[side])] = PROXIMAL_FEMUR[side]
    return region


def _centroid_x_mm(bones: Volume, bone: Bone) -> float:
    index = np.argwhere(bones.array == bone)
    # An absent bone contradicts nothing.
    if len(index) == 0:
        return np.inf if bone in (Bone.LEFT_FEMUR, Bone.LEFT_HIP) else -np.inf
    return float(apply_affine(bones.grid.world_from_index, index.mean(axis=0))[0])
