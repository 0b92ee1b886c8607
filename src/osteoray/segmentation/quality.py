"""What a segmentation is worth: volumes, doubt at the surfaces, and the findings that follow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.imaging.volume import Volume

MIN_CM3 = {
    Bone.LEFT_HIP: 40.0,
    Bone.RIGHT_HIP: 40.0,
    Bone.LEFT_FEMUR: 40.0,
    Bone.RIGHT_FEMUR: 40.0,
}
"""A smaller bone was not found; adult hip bones measure 200 to 450 cm³. A scan of the hips may lack the sacrum."""

HIP = {Side.LEFT: Bone.LEFT_HIP, Side.RIGHT: Bone.RIGHT_HIP}


def volumes_cm3(bones: Volume) -> dict[str, float]:
    """Volume of every bone, by lower-case name."""
    counts = np.bincount(bones.array.ravel(), minlength=len(Bone) + 1)
    return {bone.name.lower(): float(counts[bone] * bones.grid.voxel_mm3 / 1000) for bone in Bone}


def missing_bones(volumes: dict[str, float]) -> list[Finding]:
    """A finding per side whose femur or hip bone is missing.

    Raises:
        Withheld: SEG-BONE, if that leaves neither side.
    """
    findings = []
    for side in Side:
        for bone in (FEMUR[side], HIP[side]):
            name, found = bone.name.lower(), volumes[bone.name.lower()]
            if found < MIN_CM3[bone]:
                detail = f"{name}: expected {MIN_CM3[bone]:g} cm3 or more, got {found:.0f}"
                findings.append(Finding("SEG-BONE", detail, side=side.value))
    if {finding.side for finding in findings} == {side.value for side in Side}:
        raise Withheld("SEG-BONE", "; ".join(finding.detail for finding in findings))
    return findings


def surface_doubt(bones: UInt8[np.ndarray, "k j i"], uncertainty: Float32[np.ndarray, "k j i"]) -> dict[str, float]:
    """Mean predictive variance in the outermost voxel layer of every bone that was found, by name."""
    doubt = {}
    for bone in Bone:
        box = ndimage.find_objects((bones == bone).astype(np.uint8))
        if not box:
            continue
        inside = bones[box[0]] == bone
        rim = inside & ~ndimage.binary_erosion(inside)
        doubt[bone.name.lower()] = float(uncertainty[box[0]][rim].mean())
    return doubt


def doubtful_bones(doubt: dict[str, float], limit: float) -> list[Finding]:
    """A warning per side whose femur has a doubtful surface, and one if the pelvis has."""
    findings = []
    for bone in Bone:
        value = doubt.get(bone.name.lower(), 0.0)
        if value > limit:
            side = next((side.value for side in Side if bone is FEMUR[side]), None)
            detail = f"{bone.name.lower()}: variance at the surface up to {limit:g} expected, got {value:.3f}"
            findings.append(Finding("SEG-UNCERTAIN", detail, side=side))
    return findings
