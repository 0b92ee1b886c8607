"""Agreement of masks against closed forms and an independent library."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import SimpleITK as sitk

from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Bone
from osteoray.segmentation.agreement import bone_agreements, mask_agreement, surface_points

SPACING_MM = (1.25, 0.8, 0.8)
GRID = VoxelGrid.axial((64, 90, 90), SPACING_MM)


def ball(centre_mm, radius_mm, grid=GRID):
    """Centre in LPS millimetres."""
    return np.linalg.norm(grid.coordinates_mm() - np.asarray(centre_mm), axis=-1) <= radius_mm


def moved(by_mm):
    return GRID.centre_mm + np.array(by_mm)


def box(low, high):
    mask = np.zeros(GRID.shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_a_mask_agrees_with_itself_and_not_with_nothing():
    mask = ball(GRID.centre_mm, 20.0)
    same, none = mask_agreement(mask, mask, GRID), mask_agreement(np.zeros_like(mask), mask, GRID)
    assert (same.dice, same.asd_mm, same.hd95_mm, same.volume_error_percent) == (1, 0, 0, 0)
    assert (none.dice, none.volume_error_percent) == (0, -100)
    assert np.isnan([none.asd_mm, none.hd95_mm]).all()


def test_half_overlap_is_a_dice_of_one_half():
    assert mask_agreement(box((10, 20, 20), (20, 40, 40)), box((10, 30, 20), (20, 50, 40)), GRID).dice == 0.5


def test_two_balls_that_are_shifted():
    radius_mm, shift_mm = 22.0, 4.0
    first, second = ball(GRID.centre_mm, radius_mm), ball(moved([shift_mm, 0, 0]), radius_mm)
    found = mask_agreement(first, second, GRID)
    ratio = shift_mm / (2 * radius_mm)
    assert found.dice == pytest.approx(1 - 1.5 * ratio + 0.5 * ratio**3, abs=2e-3)
    # The cosine of the direction is uniform over a sphere.
    cosine = np.linspace(-1, 1, 2001)
    distance_mm = np.abs(np.sqrt(radius_mm**2 + shift_mm**2 + 2 * radius_mm * shift_mm * cosine) - radius_mm)
    assert found.asd_mm == pytest.approx(distance_mm.mean(), rel=0.03)
    assert found.hd95_mm == pytest.approx(np.percentile(distance_mm, 95), abs=0.2)
    assert found.volume_error_percent == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("difference_mm", [1.0, 2.0, 5.0])
def test_two_balls_of_one_centre_lie_their_radii_apart(difference_mm):
    found = mask_agreement(ball(GRID.centre_mm, 20 + difference_mm), ball(GRID.centre_mm, 20.0), GRID)
    assert found.asd_mm == pytest.approx(difference_mm, rel=0.08)
    assert found.volume_error_percent == pytest.approx(100 * ((1 + difference_mm / 20) ** 3 - 1), rel=0.01)


def test_a_box_one_voxel_longer_is_that_much_off_at_one_face_only():
    found = mask_agreement(box((10, 20, 20), (31, 60, 60)), box((10, 20, 20), (30, 60, 60)), GRID)
    assert found.dice == pytest.approx(2 * 20 / 41)
    # The tops lie a slice apart; the ring of the last slice lies from 0 to one slice above the shorter box.
    top, ring, sides = 32**2, 4 * 32 * 1.25, 4 * 32 * 25.0
    everything = 4 * top + 2 * sides + ring
    assert found.asd_mm == pytest.approx((2 * top * 1.25 + ring * 1.25 / 2) / everything, rel=0.05)
    assert found.hd95_mm == pytest.approx(1.25)
    assert found.volume_error_percent == pytest.approx(5)


def test_where_the_scan_ends_is_no_surface():
    whole = np.zeros(GRID.shape, bool)
    whole[:, 20:60, 20:60] = True
    points_mm, area_mm2 = surface_points(whole, GRID)
    assert area_mm2.sum() == pytest.approx(4 * 40 * 0.8 * 64 * 1.25)
    assert points_mm[:, 0].min() == pytest.approx(19.5 * 0.8)
    assert points_mm[:, 0].max() == pytest.approx(59.5 * 0.8)


def test_turning_the_grid_changes_no_distance():
    first, second = ball(GRID.centre_mm, 18.0), ball(moved([1.6, 2.4, 2.5]), 19.0)
    turned = np.eye(4)
    turned[:3, :3] = rotation_from_vector(np.array([0.3, -0.2, 0.5]))
    tilted = mask_agreement(first, second, VoxelGrid(GRID.shape, turned @ GRID.world_from_index))
    straight = mask_agreement(first, second, GRID)
    assert tilted.asd_mm == pytest.approx(straight.asd_mm)
    assert tilted.hd95_mm == pytest.approx(straight.hd95_mm)


def image(mask):
    found = sitk.GetImageFromArray(mask.astype(np.uint8))
    found.SetSpacing(SPACING_MM[::-1])
    return found


def distances_by_sitk(mask, other):
    """Distances of the border voxels of a mask from the border voxels of another."""
    contour = sitk.GetArrayFromImage(sitk.LabelContour(image(mask), fullyConnected=False)) > 0
    border = sitk.LabelContour(image(other), fullyConnected=False)
    distance = sitk.SignedMaurerDistanceMap(border, squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayFromImage(distance))[contour]


def test_an_independent_library_agrees_within_a_fraction_of_a_voxel():
    rng = np.random.default_rng(0)
    wavy = GRID.coordinates_mm() - GRID.centre_mm
    radius_mm = 20 + 2 * np.sin(wavy[..., 0] / 4) + rng.uniform(1, 2) * np.cos(wavy[..., 2] / 5)
    first, second = np.linalg.norm(wavy, axis=-1) < radius_mm, ball(moved([2.0, -1.0, 1.0]), 20.0)
    found = mask_agreement(first, second, GRID)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(image(first), image(second))
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient())
    there, back = distances_by_sitk(first, second), distances_by_sitk(second, first)
    assert found.asd_mm == pytest.approx(np.concatenate([there, back]).mean(), abs=0.15)
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=0.5)


def test_every_bone_is_compared_in_its_own_box():
    found, reference = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint8)
    reference[ball([20, 20, 30], 12.0)] = Bone.RIGHT_HIP
    reference[ball([55, 50, 50], 11.0)] = Bone.LEFT_FEMUR
    found[ball([21.6, 20, 30], 12.0)] = Bone.RIGHT_HIP
    found[ball([55, 20, 60], 9.0)] = Bone.SACRUM
    agreements = bone_agreements(found, reference, GRID)
    assert set(agreements) == {Bone.RIGHT_HIP, Bone.LEFT_FEMUR, Bone.SACRUM}
    alone = mask_agreement(found == Bone.RIGHT_HIP, reference == Bone.RIGHT_HIP, GRID)
    assert astuple(agreements[Bone.RIGHT_HIP]) == pytest.approx(astuple(alone))
    assert agreements[Bone.LEFT_FEMUR].dice == agreements[Bone.SACRUM].dice == 0
