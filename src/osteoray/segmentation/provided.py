"""Masks that came with the data, brought onto the CT grid and checked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.segmentation.side_labels import refuse_wrong_sides

BESIDE_MM = 5.0
"""A given region may reach this far beyond the femur's label."""


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
        Withheld: SEG-BONE for an unknown label or none in the scan, ING-SIDE if left and right contradict.
    """
    unknown = sorted(set(np.unique(np.rint(labels.array)).tolist()) - {0, *Bone})
    if unknown:
        raise Withheld("SEG-BONE", f"bone_labels: expected 0 to {len(Bone)}, got {unknown[:5]}")
    bones = on_grid(labels, grid)
    if not bones.array.any():
        raise Withheld("SEG-BONE", "bone_labels: expected bones inside the CT, got none")
    refuse_wrong_sides(bones, "bone_labels")
    return bones.array


def provided_region(labels: Volume, grid: VoxelGrid, bones: UInt8[np.ndarray, "k j i"]) -> UInt8[np.ndarray, "k j i"]:
    """Labels of `PROXIMAL_FEMUR` from a manual mask of one or both sides, whatever its values.

    A voxel belongs to the side of the femur that it lies in or, where no bone is, of the nearest femur within 5 mm.
    Voxels in other bones and farther away are left out.

    Args:
        labels: as read; every voxel that is not 0 counts.
        grid: of the CT.
        bones: labels of `Bone`.
    """
    inside = on_grid(labels, grid)
    region = np.zeros(grid.shape, np.uint8)
    if not inside.array.any():
        return region
    window = inside.window(inside.array, BESIDE_MM)
    near = bones[window]
    away_mm, nearest = ndimage.distance_transform_edt(
        ~np.isin(near, list(FEMUR.values())), grid.spacing_mm, return_indices=True
    )
    counts = (inside.array[window] > 0) & (away_mm <= BESIDE_MM) & ((near == 0) | (away_mm == 0))
    for side in Side:
        region[window][counts & (near[tuple(nearest)] == FEMUR[side])] = PROXIMAL_FEMUR[side]
    return region


def with_given_regions(
    cut: UInt8[np.ndarray, "k j i"], given: UInt8[np.ndarray, "k j i"], sides: Iterable[Side]
) -> UInt8[np.ndarray, "k j i"]:
    """The given region of every side that has one, and the cut of the others.

    Args:
        cut: labels of `PROXIMAL_FEMUR` from geometry.
        given: the same from a manual mask.
        sides: that can be used; others stay empty.
    """
    region = np.zeros_like(cut)
    for side in sides:
        label = PROXIMAL_FEMUR[side]
        source = given if (given == label).any() else cut
        region[source == label] = label
    return region
