"""What a segmentation is worth: volumes, the doubt of every bone, and the findings that follow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, HIP, Bone, Side
from osteoray.imaging.volume import Volume

MIN_CM3 = {
    Bone.LEFT_HIP: 40.0,
    Bone.RIGHT_HIP: 40.0,
    Bone.LEFT_FEMUR: 40.0,
    Bone.RIGHT_FEMUR: 40.0,
}
"""A smaller bone was not found; adult hip bones measure 200 to 450 cm³. A scan of the hips may lack the sacrum."""

DOUBT_REACH_MM = 6.0
"""How far from a bone the network's doubt counts as the bone's, along each axis."""


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


def doubt_of_bones(bones: Volume, uncertainty: Float32[np.ndarray, "k j i"]) -> dict[str, float]:
    """Predictive variance in and around every bone that was found, summed, over the bone's volume; by name.

    Half the mean squared difference between two samples, relative to the bone: what the Dice coefficient between two
    samples would lose. Unlike the mean variance at the surface it does not depend on the voxels' size and it grows with
    everything that the network is unsure of, not only with the edge.

    Args:
        bones: labels of `Bone`.
        uncertainty: predictive variance on the same grid.
    """
    reach = np.ceil(DOUBT_REACH_MM / bones.grid.spacing_mm).astype(int).tolist()
    doubt = {}
    for label, box in enumerate(ndimage.find_objects(bones.array), start=1):
        if box is not None:
            around = tuple(slice(max(axis.start - n, 0), axis.stop + n) for axis, n in zip(box, reach, strict=True))
            inside = bones.array[around] == label
            near = ndimage.maximum_filter(inside, [2 * n + 1 for n in reach])
            doubt[Bone(label).name.lower()] = float(uncertainty[around][near].sum() / np.count_nonzero(inside))
    return doubt


def doubtful_bones(doubt: dict[str, float], limit: float) -> list[Finding]:
    """A warning per bone in doubt; that of a femur concerns its side."""
    findings = []
    for bone in Bone:
        value = doubt.get(bone.name.lower(), 0.0)
        if value > limit:
            side = next((side.value for side in Side if bone is FEMUR[side]), None)
            detail = f"{bone.name.lower()}: doubt up to {limit:g} expected, got {value:.3f}"
            findings.append(Finding("SEG-UNCERTAIN", detail, side=side))
    return findings
