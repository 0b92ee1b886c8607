"""TotalSegmentator's classes as our bones: matched by name, never by number, because its numbers change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.side_labels import refuse_wrong_sides

BONE_OF_CLASS = {
    "hip_left": Bone.LEFT_HIP,
    "hip_right": Bone.RIGHT_HIP,
    "femur_left": Bone.LEFT_FEMUR,
    "femur_right": Bone.RIGHT_FEMUR,
    "sacrum": Bone.SACRUM,
    # Since its version 2 the body of S1 is a class of its own, and "sacrum" has a hole there.
    "vertebrae_S1": Bone.SACRUM,
}
"""Classes of its task `total` that we ask for."""


def bones_of_masks(masks: Mapping[str, Volume], grid: VoxelGrid) -> UInt8[np.ndarray, "k j i"]:
    """Labels of `Bone` from one mask per class.

    Args:
        masks: by class name; 1 inside, 0 outside.
        grid: of the CT.

    Raises:
        Withheld: SEG-TOOL for a missing class, another grid, values that are no mask or masks that overlap; SEG-BONE
            if all are empty; ING-SIDE if left and right contradict.
    """
    missing = sorted(set(BONE_OF_CLASS) - set(masks))
    if missing:
        raise Withheld("SEG-TOOL", f"TotalSegmentator: expected a mask of every class, got none of {missing}")
    bones = np.zeros(grid.shape, np.uint8)
    for name, bone in BONE_OF_CLASS.items():
        inside = _inside(masks[name], name, grid)
        if bones[inside].any():
            taken = Bone(int(bones[inside].max())).name.lower()
            raise Withheld("SEG-TOOL", f"TotalSegmentator: expected classes apart, got {name} inside {taken}")
        bones[inside] = bone
    if not bones.any():
        raise Withheld("SEG-BONE", "TotalSegmentator: expected bones inside the CT, got none")
    refuse_wrong_sides(Volume(bones, grid), "TotalSegmentator")
    return bones


def _inside(mask: Volume, name: str, grid: VoxelGrid) -> np.ndarray:
    if not mask.grid.matches(grid, 1e-2):
        got = f"{mask.grid.shape} voxels of {np.round(mask.grid.spacing_mm, 2).tolist()} mm"
        raise Withheld(
            "SEG-TOOL", f"TotalSegmentator: {name}: expected the CT's grid of {grid.shape} voxels, got {got}"
        )
    inside = mask.array > 0
    if not np.array_equal(mask.array, inside):
        raise Withheld("SEG-TOOL", f"TotalSegmentator: {name}: expected 0 and 1, got up to {mask.array.max():g}")
    return inside
