"""A femur keeps what the networks took for hip bone far from the joint: in slices a trochanter looks like one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from osteoray.imaging.volume import Volume
from osteoray.segmentation.bone_classes import SOME_BONE, BoneClass

STRAY_SHARE = 0.05
"""A part of less than this share of all hip bone is no hip bone."""
MARGIN_MM = 20.0
"""Room around what was found of the femurs."""
JOINT_MM = 3.0
"""Bone in doubt that lies nearer to hip bone or sacrum is the space of a joint."""


def whole_femurs(classes: Volume) -> UInt8[np.ndarray, "k j i"]:
    """Labels of `BoneClass` in which femurs have their strays and no voxel is `SOME_BONE`.

    A stray is a small part of hip bone that hangs on a femur and not on a hip bone. Bone in doubt near a femur and not
    in a joint is femur; the rest of it is background.

    Args:
        classes: labels of `BoneClass` and `SOME_BONE`.
    """
    in_doubt = classes.array == SOME_BONE
    resolved = np.where(in_doubt, np.uint8(BoneClass.BACKGROUND), classes.array)
    if not (classes.array == BoneClass.FEMUR).any():
        return resolved
    resolved[_strays(classes.array)] = BoneClass.FEMUR
    box = classes.window(resolved == BoneClass.FEMUR, MARGIN_MM)
    others = np.isin(resolved[box], (BoneClass.HIP, BoneClass.SACRUM))
    steps = np.maximum(np.rint(JOINT_MM / classes.grid.spacing_mm), 1).astype(int)
    joint = ndimage.maximum_filter(others, size=tuple(int(n) for n in 2 * steps + 1))
    resolved[box][in_doubt[box] & ~joint] = BoneClass.FEMUR
    return resolved


def _strays(classes: UInt8[np.ndarray, "k j i"]) -> Bool[np.ndarray, "k j i"]:
    """Small parts of hip bone that touch a femur or bone in doubt."""
    parts, count = ndimage.label(classes == BoneClass.HIP)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    beside = ndimage.binary_dilation(np.isin(classes, (BoneClass.FEMUR, SOME_BONE)))
    is_stray = np.bincount(parts[beside], minlength=count + 1) > 0
    is_stray &= (sizes > 0) & (sizes < STRAY_SHARE * sizes.sum())
    return is_stray[parts]
