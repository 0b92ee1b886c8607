"""A bone is one piece without holes: specks are dropped, and the marrow cavity is part of the bone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, HIP, Bone
from osteoray.imaging.volume import Volume

MIN_PART_CM3 = 2.0
"""Smaller separate parts are not bones."""
BROKEN_SHARE = 0.15
"""A bone is in pieces if more than this share of its largest piece lies outside of it; less is an error of labels."""


def paint_bone(
    bones: UInt8[np.ndarray, "k j i"], mask: Bool[np.ndarray, "k j i"], bone: Bone, min_voxels: float
) -> None:
    """Write the largest part of a mask, its holes filled, into free voxels of the label volume."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < min_voxels:
        return
    box = ndimage.find_objects(parts)[int(sizes.argmax())]
    _paint_part(bones[box], parts[box] == 1 + sizes.argmax(), bone)


def paint_parts(
    bones: UInt8[np.ndarray, "k j i"], mask: Bool[np.ndarray, "k j i"], bone: Bone, min_voxels: float
) -> None:
    """Write every part of a mask that is large enough, its holes filled, into free voxels of the label volume."""
    parts, _ = ndimage.label(mask)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == number
        if np.count_nonzero(part) >= min_voxels:
            _paint_part(bones[box], part, bone)


def _paint_part(target: UInt8[np.ndarray, "k j i"], part: Bool[np.ndarray, "k j i"], bone: Bone) -> None:
    """Write one part, its holes filled, into free voxels of a box of the label volume."""
    if bone in FEMUR.values():
        # Layer by layer, because the last layer of the scan leaves the marrow cavity open.
        part = np.stack([ndimage.binary_fill_holes(layer) for layer in part])
    else:
        # In space, because a layer closes the sacral canal and the foramina, which are no bone.
        part = ndimage.binary_fill_holes(part)
    target[part & (target == 0)] = bone


def cleaned(bones: Volume) -> UInt8[np.ndarray, "k j i"]:
    """Every bone as its largest piece without holes.

    Args:
        bones: labels of `Bone`.
    """
    min_voxels = MIN_PART_CM3 * 1000 / bones.grid.voxel_mm3
    boxes = ndimage.find_objects(bones.array, max_label=len(Bone))
    whole = np.zeros_like(bones.array)
    # Femurs first: where a socket surrounds a head, the head is no hole of the hip bone.
    for bone in sorted(Bone, key=lambda bone: bone not in FEMUR.values()):
        box = boxes[bone - 1]
        if box is not None:
            paint_bone(whole[box], bones.array[box] == bone, bone, min_voxels)
    return whole


def dropped_cm3(bones: Volume, whole: UInt8[np.ndarray, "k j i"]) -> dict[str, float]:
    """What cleaning took away from every bone, by lower-case name.

    Args:
        bones: labels of `Bone` before cleaning.
        whole: the same after.
    """
    counts = np.bincount(bones.array[bones.array != whole], minlength=len(Bone) + 1)
    return {bone.name.lower(): float(counts[bone] * bones.grid.voxel_mm3 / 1000) for bone in Bone}


def broken_bones(dropped: dict[str, float], whole: dict[str, float]) -> list[Finding]:
    """A warning for every bone that came in pieces of which only the largest is used.

    Args:
        dropped: volume in cm³ that cleaning took away, by lower-case name.
        whole: volume in cm³ that is left.
    """
    sides = {bone: side.value for pair in (FEMUR, HIP) for side, bone in pair.items()}
    return [
        Finding(
            "SEG-PIECES",
            f"{bone.name.lower()}: expected one piece, got {dropped[bone.name.lower()]:.0f} cm3 outside of the largest",
            side=sides.get(bone),
        )
        for bone in Bone
        if dropped[bone.name.lower()] > BROKEN_SHARE * whole[bone.name.lower()]
    ]
