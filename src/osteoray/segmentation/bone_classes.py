"""The classes that the networks tell apart, and the bones of which each consists."""

from __future__ import annotations

from enum import IntEnum

from osteoray.imaging.bones import Bone


class BoneClass(IntEnum):
    """What the network tells apart; sides follow from geometry."""

    BACKGROUND = 0
    HIP = 1
    FEMUR = 2
    SACRUM = 3


SOME_BONE = len(BoneClass)
"""Bone of which class is in doubt; between bones it is the joint's space. See `whole_femurs`."""

CLASS_OF_BONE = {
    Bone.LEFT_HIP: BoneClass.HIP,
    Bone.RIGHT_HIP: BoneClass.HIP,
    Bone.LEFT_FEMUR: BoneClass.FEMUR,
    Bone.RIGHT_FEMUR: BoneClass.FEMUR,
    Bone.SACRUM: BoneClass.SACRUM,
}
