"""A given region keeps what the clinician drew beside the femur's label, and replaces the cut of its own side only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.provided import provided_region, with_given_regions
from osteoray.segmentation.sides import bones_of_classes


@pytest.fixture(scope="module")
def bones(pelvis_classes) -> Volume:
    return Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)


@pytest.mark.parametrize("side", Side)
def test_a_region_drawn_a_voxel_beyond_the_label_is_kept_but_not_in_other_bones(bones, side):
    drawn = ndimage.binary_dilation(bones.array == FEMUR[side], np.ones((3, 3, 3)))
    assert (drawn & (bones.array == Bone.LEFT_HIP + (side is Side.RIGHT))).any()
    region = provided_region(Volume(drawn.astype(np.uint8), bones.grid), bones.grid, bones.array)
    expected = drawn & np.isin(bones.array, (0, FEMUR[side]))
    # The corners of the dilation are 5.2 mm away.
    corners = expected & ~ndimage.binary_dilation(bones.array == FEMUR[side], ndimage.generate_binary_structure(3, 2))
    np.testing.assert_array_equal(region, np.where(expected & ~corners, PROXIMAL_FEMUR[side], 0))


def test_what_lies_far_from_any_femur_is_left_out(bones):
    drawn = np.zeros_like(bones.array)
    drawn[-3:, :3, :3] = 1
    assert not provided_region(Volume(drawn, bones.grid), bones.grid, bones.array).any()
    assert not provided_region(Volume(0 * drawn, bones.grid), bones.grid, bones.array).any()


def test_a_given_region_of_one_side_leaves_the_cut_of_the_other():
    cut = np.array([1, 1, 0, 0, 2, 2], np.uint8).reshape(1, 1, 6)
    given = np.array([0, 1, 1, 0, 0, 0], np.uint8).reshape(1, 1, 6)
    np.testing.assert_array_equal(with_given_regions(cut, given, Side).ravel(), [0, 1, 1, 0, 2, 2])
    np.testing.assert_array_equal(with_given_regions(cut, given, [Side.RIGHT]).ravel(), [0, 0, 0, 0, 2, 2])
    np.testing.assert_array_equal(with_given_regions(cut, 0 * given, [Side.LEFT]).ravel(), [1, 1, 0, 0, 0, 0])
