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

FEMUR = {Side.LEFT: Bone.LEFT_FEMUR, Side.RIGHT: Bone.RIGHT_FEMUR}
"""The femur of a side."""

PROXIMAL_FEMUR = {Side.LEFT: 1, Side.RIGHT: 2}
"""Labels of `proximal_femur.nii.gz`."""
