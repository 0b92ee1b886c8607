"""A femur gets back what was taken for hip bone, and joints stay open."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume
from osteoray.segmentation.bone_classes import SOME_BONE, BoneClass
from osteoray.segmentation.inference import most_probable
from osteoray.segmentation.whole_femurs import whole_femurs

LOWEST_MM = -70.0
"""Below this the femurs of the phantom are shafts only, far from all other bone."""


def height_mm(classes: Volume) -> np.ndarray:
    return classes.grid.coordinates_mm()[..., 2]


def test_a_part_of_a_femur_taken_for_hip_bone_comes_back(pelvis_classes):
    array = pelvis_classes.array.copy()
    stray = (array == BoneClass.FEMUR) & (height_mm(pelvis_classes) < LOWEST_MM - 30)
    array[stray] = BoneClass.HIP
    found = whole_femurs(Volume(array, pelvis_classes.grid))
    np.testing.assert_array_equal(found, pelvis_classes.array)


def test_bone_in_doubt_within_a_femur_is_femur(pelvis_classes):
    array = pelvis_classes.array.copy()
    lower = (array == BoneClass.FEMUR) & (height_mm(pelvis_classes) < LOWEST_MM)
    array[lower] = SOME_BONE
    array[lower & (height_mm(pelvis_classes) < LOWEST_MM - 30)] = BoneClass.HIP
    found = whole_femurs(Volume(array, pelvis_classes.grid))
    np.testing.assert_array_equal(found, pelvis_classes.array)


def test_a_joint_in_doubt_stays_open(pelvis_classes):
    array = pelvis_classes.array.copy()
    offset_mm = pelvis_classes.grid.coordinates_mm() - np.array([90.0, 0.0, 0.0])
    space = (array == BoneClass.HIP) & (np.linalg.norm(offset_mm, axis=-1) < 27)
    assert space.sum() > 10
    array[space] = SOME_BONE
    found = whole_femurs(Volume(array, pelvis_classes.grid))
    assert set(np.unique(found)) == {0, 1, 2, 3}
    assert (found[space] == BoneClass.BACKGROUND).mean() > 0.9


def test_hip_bones_and_the_rest_stay(pelvis_classes):
    np.testing.assert_array_equal(whole_femurs(pelvis_classes), pelvis_classes.array)
    without = Volume(np.where(pelvis_classes.array == BoneClass.FEMUR, 0, pelvis_classes.array), pelvis_classes.grid)
    without.array[tuple(np.rint(apply_affine(without.grid.index_from_world, np.zeros(3))).astype(int))] = SOME_BONE
    assert set(np.unique(whole_femurs(without))) == {0, BoneClass.HIP, BoneClass.SACRUM}


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        ((0.3, 0.3, 0.0), SOME_BONE),
        ((0.4, 0.1, 0.2), BoneClass.HIP),
        ((0.2, 0.2, 0.05), BoneClass.BACKGROUND),
        ((0.1, 0.6, 0.1), BoneClass.FEMUR),
    ],
)
def test_doubt_about_which_bone_is_told_from_doubt_about_bone(shares, wanted):
    volumes = np.broadcast_to(np.array(shares, np.float32)[:, None, None, None], (3, 2, 2, 2))
    assert (most_probable(np.ascontiguousarray(volumes), (2, 2, 2)) == wanted).all()
