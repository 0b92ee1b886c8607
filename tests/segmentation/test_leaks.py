"""Leaks are cut off and bones stay whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.bone_classes import BoneClass
from osteoray.segmentation.leaks import without_leaks
from osteoray.segmentation.sides import bones_of_classes

ABOVE_MM = np.array([0.0, 0.0, 40.0])
"""Where the blob lies from the head."""


def ball(volume: Volume, centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    return np.linalg.norm(volume.grid.coordinates_mm() - centre_mm, axis=-1) <= radius_mm


def with_blob_on_a_bridge(mask: Volume, head_mm: np.ndarray) -> np.ndarray:
    """The mask with a ball above the head, joined to it by a bridge of 4.5 mm."""
    along = mask.grid.coordinates_mm() - head_mm
    bridge = (np.abs(along[..., :2]).max(axis=-1) < 2.0) & (along[..., 2] > 0) & (along[..., 2] < 36)
    return mask.array | ball(mask, head_mm + ABOVE_MM, 9.0) | bridge


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.2, 1.2), (3.0, 0.8, 0.8)])
def test_a_blob_on_a_bridge_goes_and_the_femur_stays(femur_of, spacing_mm):
    femur = femur_of(spacing_mm=spacing_mm)
    leaky = with_blob_on_a_bridge(padded(femur.mask, 40.0), femur.head_centre_mm)
    whole = padded(femur.mask, 40.0)
    assert ndimage.label(leaky)[1] == 1
    kept = without_leaks(Volume(leaky, whole.grid))
    assert not (kept & ball(whole, femur.head_centre_mm + ABOVE_MM, 9.0)).any()
    lost = whole.array & ~kept
    assert lost.sum() < 0.001 * whole.array.sum()


def padded(mask: Volume, above_mm: float) -> Volume:
    """Room above the femur."""
    layers = int(np.ceil(above_mm / mask.grid.spacing_mm[0]))
    array = np.pad(mask.array, ((0, layers), (0, 0), (0, 0)))
    return Volume(array, mask.grid.crop((0, 0, 0), array.shape))


def test_a_clean_femur_is_left_alone(femur_of):
    mask = femur_of().mask
    np.testing.assert_array_equal(without_leaks(mask), mask.array)


def test_a_head_behind_a_thin_neck_is_no_leak(femur_of):
    femur = femur_of()
    k, j, i = np.rint(apply_affine(femur.mask.grid.index_from_world, femur.head_centre_mm)).astype(int)
    from_head = femur.mask.grid.coordinates_mm() - femur.head_centre_mm
    along = from_head @ -femur.neck_axis
    across = np.linalg.norm(from_head + along[..., None] * femur.neck_axis, axis=-1)
    broken = femur.mask.array & ~((along > 26) & (along < 30) & (across > 2))
    kept = without_leaks(Volume(broken, femur.mask.grid))
    assert kept[k, j, i]
    assert kept.sum() > 0.99 * broken.sum()


def test_nothing_stays_nothing(femur_of):
    mask = femur_of().mask
    assert not without_leaks(Volume(np.zeros_like(mask.array), mask.grid)).any()


def test_a_femur_that_runs_into_the_hip_bone_keeps_its_side_and_shape(pelvis_classes):
    """A leak from the left head along the hip bone, over the midline, to the right one."""
    x, y, z = np.moveaxis(pelvis_classes.grid.coordinates_mm(), -1, 0)
    leaky = pelvis_classes.array.copy()
    leaky[(np.abs(y) < 4) & (np.abs(z) < 4) & (np.abs(x) < 70)] = BoneClass.FEMUR
    assert ndimage.label(leaky == BoneClass.FEMUR)[1] == 1
    bones = bones_of_classes(Volume(leaky, pelvis_classes.grid))
    truth = bones_of_classes(pelvis_classes)
    for side in Side:
        found, wanted = bones == FEMUR[side], truth == FEMUR[side]
        assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.95
    assert (bones == Bone.LEFT_HIP).any()


def with_vertebra(classes: Volume, bridge_mm: float) -> Volume:
    """Classes in which a ball right above the sacrum, joined to the left wing by a bar, is called hip bone."""
    x, y, z = np.moveaxis(classes.grid.coordinates_mm(), -1, 0)
    bar = (np.hypot(y - 60, z - 76) <= bridge_mm / 2) & (x > 0) & (x < 60)
    array = classes.array.copy()
    array[ball(classes, np.array([6.0, 60.0, 76.0]), 15.0) | bar] = BoneClass.HIP
    return Volume(array, classes.grid)


@pytest.mark.parametrize("bridge_mm", [7.0, 11.0])
def test_a_vertebra_on_a_bridge_goes_and_the_hip_bones_stay(pelvis_classes, bridge_mm):
    whole = bones_of_classes(pelvis_classes)
    leaky = with_vertebra(pelvis_classes, bridge_mm)
    found = bones_of_classes(leaky)
    distance_mm = np.abs(pelvis_classes.grid.coordinates_mm()[..., 0])
    is_spine = (leaky.array == BoneClass.HIP) & (pelvis_classes.array != BoneClass.HIP) & (distance_mm < 25)
    assert is_spine.sum() * pelvis_classes.grid.voxel_mm3 > 8000
    assert not np.isin(found, (Bone.LEFT_HIP, Bone.RIGHT_HIP))[is_spine].any()
    for bone in (Bone.LEFT_HIP, Bone.RIGHT_HIP):
        assert np.count_nonzero((whole == bone) & (found != bone)) < 0.02 * np.count_nonzero(whole == bone)


def test_half_a_pelvis_without_a_middle_loses_nothing(pelvis_classes):
    """Its medial edge is where the bone happens to end, so that nearness to it means nothing."""
    x, _, z = np.moveaxis(pelvis_classes.grid.coordinates_mm(), -1, 0)
    kept = (x > 0) & (z > 10) & (pelvis_classes.array == BoneClass.HIP)
    half = Volume(np.where(kept, pelvis_classes.array, 0).astype(np.uint8), pelvis_classes.grid)
    np.testing.assert_array_equal(bones_of_classes(half) == Bone.LEFT_HIP, kept)
