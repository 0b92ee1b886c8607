"""Provided masks and the verdict on a segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.provided import provided_bones, provided_region
from osteoray.segmentation.quality import doubt_of_bones, doubtful_bones, missing_bones, volumes_cm3
from osteoray.segmentation.sides import bones_of_classes

ENOUGH = {bone.name.lower(): 200.0 for bone in Bone}


@pytest.fixture(scope="module")
def bones(pelvis_classes) -> Volume:
    return Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)


def test_labels_on_the_grid_are_used_as_they_are(bones):
    np.testing.assert_array_equal(provided_bones(bones, bones.grid), bones.array)


def test_labels_that_a_viewer_flipped_are_put_back(bones):
    flipped = bones.array[:, :, ::-1]
    world_from_index = bones.grid.world_from_index.copy()
    world_from_index[:3, 3] += world_from_index[:3, 2] * (bones.grid.shape[2] - 1)
    world_from_index[:3, 2] *= -1
    labels = Volume(flipped, VoxelGrid(bones.grid.shape, world_from_index))
    np.testing.assert_array_equal(provided_bones(labels, bones.grid), bones.array)


def test_left_and_right_exchanged_are_refused(bones):
    swap = np.array([0, 2, 1, 4, 3, 5], np.uint8)
    with pytest.raises(Withheld, match=r"ING-SIDE.*patient's left"):
        provided_bones(Volume(swap[bones.array], bones.grid), bones.grid)


def test_an_unknown_label_is_refused(bones):
    with pytest.raises(Withheld, match=r"SEG-BONE.*expected 0 to 5, got \[6"):
        provided_bones(Volume(bones.array * 2, bones.grid), bones.grid)


def test_labels_of_another_place_are_refused(bones):
    far = VoxelGrid.axial(bones.grid.shape, (3.0, 3.0, 3.0), (5000.0, 0.0, 0.0))
    with pytest.raises(Withheld, match=r"SEG-BONE.*inside the CT"):
        provided_bones(Volume(bones.array, far), bones.grid)


def test_a_single_femur_is_no_contradiction(bones):
    only = np.where(bones.array == Bone.RIGHT_FEMUR, bones.array, 0).astype(np.uint8)
    assert (provided_bones(Volume(only, bones.grid), bones.grid) == only).all()


def test_a_provided_region_takes_the_side_of_its_femur(bones):
    mask = Volume((bones.array > 0).astype(np.uint8), bones.grid)
    region = provided_region(mask, bones.grid, bones.array)
    np.testing.assert_array_equal(region == 1, bones.array == Bone.LEFT_FEMUR)
    np.testing.assert_array_equal(region == 2, bones.array == Bone.RIGHT_FEMUR)


def test_volumes_count_voxels(bones):
    assert volumes_cm3(bones)["sacrum"] == pytest.approx((bones.array == Bone.SACRUM).sum() * 0.027)


def test_a_lost_femur_withholds_its_side_only():
    findings = missing_bones(ENOUGH | {"left_femur": 3.0})
    assert [(finding.code, finding.side) for finding in findings] == [("SEG-BONE", "left")]


def test_a_missing_sacrum_is_no_reason():
    assert missing_bones(ENOUGH | {"sacrum": 0.0}) == []


def test_without_a_usable_side_the_patient_is_withheld():
    with pytest.raises(Withheld, match=r"left_femur.*right_hip"):
        missing_bones(ENOUGH | {"left_femur": 0.0, "right_hip": 0.0})


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (4.0, 1.0, 1.0)])
def test_doubt_is_variance_over_volume_whatever_the_voxels(spacing_mm):
    grid = VoxelGrid.axial(tuple(int(96 / s) for s in spacing_mm), spacing_mm)
    distance_mm = np.abs(grid.coordinates_mm() - grid.centre_mm).max(axis=-1)
    bones = Volume(np.where(distance_mm < 24, Bone.LEFT_FEMUR, 0).astype(np.uint8), grid)
    uncertainty = np.where((distance_mm > 20) & (distance_mm < 28), 0.1, 0.0).astype(np.float32)
    shell = (56.0**3 - 40.0**3) / 48.0**3
    assert doubt_of_bones(bones, uncertainty) == {"left_femur": pytest.approx(0.1 * shell, rel=1e-3)}


def test_doubt_far_from_a_bone_is_not_its_own(bones):
    uncertainty = np.where(bones.array == Bone.LEFT_FEMUR, np.float32(0.1), np.float32(0.0))
    doubt = doubt_of_bones(bones, uncertainty)
    assert doubt["left_femur"] == pytest.approx(0.1)
    assert doubt["right_femur"] == 0.0
    assert 0 < doubt["left_hip"] < 0.05
    findings = doubtful_bones(doubt, 0.05)
    assert [(finding.code, finding.side) for finding in findings] == [("SEG-UNCERTAIN", "left")]
