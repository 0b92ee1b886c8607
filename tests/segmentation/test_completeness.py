"""Labels are learned from only if no class is missing."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.completeness import refuse_incomplete


def labels(*bones: Bone, voxels: int = 1000) -> Volume:
    """That many cubic millimetres of each bone."""
    array = np.zeros((6, 50, 50), np.uint8)
    for bone in bones:
        array[bone].flat[:voxels] = bone
    return Volume(array, VoxelGrid.axial(array.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))


@pytest.mark.parametrize("missing", [(), (Bone.LEFT_HIP, Bone.LEFT_FEMUR), (Bone.RIGHT_HIP,), (Bone.LEFT_FEMUR,)])
def test_one_whole_side_and_the_sacrum_suffice(missing):
    refuse_incomplete(labels(*set(Bone) - set(missing)))


@pytest.mark.parametrize(
    ("bones", "told"),
    [
        ((Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR, Bone.SACRUM), "got left_femur, right_femur, sacrum"),
        ((Bone.LEFT_HIP, Bone.RIGHT_HIP, Bone.SACRUM), "got left_hip, right_hip, sacrum"),
        ((Bone.LEFT_HIP, Bone.RIGHT_FEMUR, Bone.SACRUM), "got left_hip, right_femur, sacrum"),
        (tuple(set(Bone) - {Bone.SACRUM}), r"got left_hip, right_hip, left_femur, right_femur\."),
    ],
)
def test_a_missing_class_is_told(bones, told):
    with pytest.raises(Withheld, match=told) as error:
        refuse_incomplete(labels(*bones))
    assert error.value.finding.code == "SEG-LABELS"


def test_a_stray_stroke_is_no_bone():
    with pytest.raises(Withheld, match="got no bone"):
        refuse_incomplete(labels(*Bone, voxels=999))
