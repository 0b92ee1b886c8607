"""The patient's middle by the bones that are there."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.midline import centroids_x_mm, midline_x_mm

HIPS = {Bone.LEFT_HIP: 90.0, Bone.RIGHT_HIP: -70.0}
FEMURS = {Bone.LEFT_FEMUR: 120.0, Bone.RIGHT_FEMUR: -80.0}


@pytest.mark.parametrize(
    ("x_mm", "expected_mm"),
    [
        (HIPS | FEMURS | {Bone.SACRUM: 3.0}, 10.0),
        (FEMURS | {Bone.LEFT_HIP: 90.0, Bone.SACRUM: 3.0}, 20.0),
        ({Bone.LEFT_HIP: 90.0, Bone.LEFT_FEMUR: 120.0, Bone.SACRUM: 3.0}, 3.0),
        ({Bone.LEFT_HIP: 90.0, Bone.RIGHT_FEMUR: -80.0}, None),
        ({}, None),
    ],
    ids=["hip bones", "femurs", "sacrum", "no pair", "nothing"],
)
def test_the_middle_is_between_a_pair_or_at_the_sacrum_or_unknown(x_mm, expected_mm):
    assert midline_x_mm(x_mm) == expected_mm


def test_centroids_are_of_voxel_centres_and_specks_have_none():
    grid = VoxelGrid.axial((10, 20, 30), (2.0, 1.0, 3.0), (-40.0, 0.0, 0.0))
    bones = np.zeros(grid.shape, np.uint8)
    bones[:, :10, 5:10] = Bone.SACRUM
    bones[:4, 15:, 20:22] = Bone.LEFT_HIP
    assert centroids_x_mm(Volume(bones, grid)) == {Bone.SACRUM: pytest.approx(-40.0 + 7 * 3.0)}
