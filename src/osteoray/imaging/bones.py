"""Names and label values of the bones and sides in every label volume of the project."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(StrEnum):
    """Side of the patient."""

    LEFT = "left"
    RIGHT = "right"


class Bone(IntEnum):
    """Labels of `bones.nii.gz`."""

    LEFT_HIP = 1
    RIGHT_HIP = 2
    LEFT_FEMUR = 3
    RIGHT_FEMUR = 4
    SACRUM = 5


PELVIS = (Bone.LEFT_HIP, Bone.RIGHT_HIP, Bone.SACRUM)
"""Bones that move as one rigid body in registration."""

HIP = {Side.LEFT: Bone.LEFT_HIP, Side.RIGHT: Bone.RIGHT_HIP}
"""The hip bone of a side."""

FEMUR = {Side.LEFT: Bone.LEFT_FEMUR, Side.RIGHT: Bone.RIGHT_FEMUR}
"""The femur of a side."""

PROXIMAL_FEMUR = {Side.LEFT: 1, Side.RIGHT: 2}
"""Labels of `proximal_femur.nii.gz`."""


class HipRegion(StrEnum):
    """Regions of a hip DXA; together they are the total hip."""

    NECK = "neck"
    TROCHANTERIC = "trochanteric"
    INTERTROCHANTERIC = "intertrochanteric"


HIP_REGION = {
    (Side.LEFT, HipRegion.NECK): 1,
    (Side.LEFT, HipRegion.TROCHANTERIC): 2,
    (Side.LEFT, HipRegion.INTERTROCHANTERIC): 3,
    (Side.RIGHT, HipRegion.NECK): 4,
    (Side.RIGHT, HipRegion.TROCHANTERIC): 5,
    (Side.RIGHT, HipRegion.INTERTROCHANTERIC): 6,
}
"""Labels of `regions.nii.gz`."""
