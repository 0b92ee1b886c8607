"""Left and right by geometry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.bone_classes import BoneClass
from osteoray.segmentation.cleaning import broken_bones, cleaned, dropped_cm3
from osteoray.segmentation.quality import volumes_cm3
from osteoray.segmentation.sides import bones_of_classes, sagittal_plane, taken_cm3
from osteoray.store.nifti import read_volume


def centroid_x_mm(bones: np.ndarray, grid: VoxelGrid, bone: Bone) -> float:
    return float(apply_affine(grid.world_from_index, np.argwhere(bones == bone).mean(axis=0))[0])


def test_touching_hip_bones_are_cut_at_the_symphysis(pelvis_classes):
    assert ndimage.label(pelvis_classes.array == BoneClass.HIP)[1] == 1
    bones = bones_of_classes(pelvis_classes)
    volumes = {bone: int((bones == bone).sum()) for bone in Bone}
    assert all(volumes.values())
    assert volumes[Bone.LEFT_HIP] == pytest.approx(volumes[Bone.RIGHT_HIP], rel=0.03)
    assert centroid_x_mm(bones, pelvis_classes.grid, Bone.LEFT_HIP) > 40
    assert centroid_x_mm(bones, pelvis_classes.grid, Bone.RIGHT_FEMUR) < -80


def test_what_is_taken_away_is_told(pelvis_classes):
    whole = taken_cm3(pelvis_classes, bones_of_classes(pelvis_classes))
    with_crumb = pelvis_classes.array.copy()
    size = round((1500 / pelvis_classes.grid.voxel_mm3) ** (1 / 3))
    crumb = (slice(0, size),) * 3
    assert not with_crumb[crumb].any()
    with_crumb[crumb] = BoneClass.FEMUR
    classes = Volume(with_crumb, pelvis_classes.grid)
    taken = taken_cm3(classes, bones_of_classes(classes))
    crumb_cm3 = size**3 * pelvis_classes.grid.voxel_mm3 / 1000
    assert taken == pytest.approx(whole | {"femur": whole["femur"] + crumb_cm3})
    assert whole["femur"] < 0.1


def test_a_femur_that_touches_its_socket_keeps_its_own_label(pelvis_classes):
    touching = ndimage.binary_dilation(pelvis_classes.array == BoneClass.FEMUR) & (
        pelvis_classes.array == BoneClass.HIP
    )
    assert touching.any()
    bones = bones_of_classes(pelvis_classes)
    is_femur = np.isin(bones, (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR))
    np.testing.assert_array_equal(is_femur, pelvis_classes.array == BoneClass.FEMUR)


def test_sides_hold_for_a_patient_who_lies_turned_and_off_centre(pelvis_classes):
    grid = pelvis_classes.grid
    turn = rotation_about(grid.centre_mm, rotation_from_vector(np.array([0.0, 0.2, np.radians(35)])))
    turn[0, 3] += 70.0
    turned = Volume(pelvis_classes.array, VoxelGrid(grid.shape, turn @ grid.world_from_index))
    np.testing.assert_array_equal(bones_of_classes(turned), bones_of_classes(pelvis_classes))
    leftwards = turn[:3, :3] @ sagittal_plane(pelvis_classes).leftwards
    np.testing.assert_allclose(sagittal_plane(turned).leftwards, leftwards, atol=0.02)


@pytest.mark.parametrize("sign", [-1, 1])
def test_one_side_alone_is_told_by_the_sacrum(pelvis_classes, sign):
    x = pelvis_classes.grid.coordinates_mm()[..., 0]
    half = np.where((sign * x > 20) | (pelvis_classes.array == BoneClass.SACRUM), pelvis_classes.array, 0)
    bones = bones_of_classes(Volume(half.astype(np.uint8), pelvis_classes.grid))
    present, absent = (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR) if sign > 0 else (Bone.RIGHT_FEMUR, Bone.LEFT_FEMUR)
    assert (bones == present).any()
    assert not (bones == absent).any()


@pytest.mark.parametrize("shaft_layers", [0, 120], ids=["short shaft", "to the knee"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_one_side_alone_without_a_sacrum_is_told_by_its_femur_lateral_of_the_hip_bone(
    pelvis_classes, sign, shaft_layers
):
    x = pelvis_classes.grid.coordinates_mm()[..., 0]
    kept = (sign * x > 0) & (pelvis_classes.array != BoneClass.SACRUM)
    half = Volume(np.where(kept, pelvis_classes.array, 0).astype(np.uint8), pelvis_classes.grid)
    half = half.crop_to(half.array)
    array = np.pad(half.array, ((shaft_layers, 0), (0, 0), (0, 0)), mode="edge")
    grid = half.grid.crop((-shaft_layers, 0, 0), array.shape)
    bones = bones_of_classes(Volume(array, grid))
    hip, femur = (Bone.LEFT_HIP, Bone.LEFT_FEMUR) if sign > 0 else (Bone.RIGHT_HIP, Bone.RIGHT_FEMUR)
    assert set(np.unique(bones)) == {0, hip, femur}
    np.testing.assert_array_equal(bones == hip, array == BoneClass.HIP)
    np.testing.assert_array_equal(bones == femur, array == BoneClass.FEMUR)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_lone_femur_is_of_the_half_of_the_scan_that_it_lies_in(pelvis_classes, sign):
    x = pelvis_classes.grid.coordinates_mm()[..., 0]
    lone = np.where((sign * x > 0) & (pelvis_classes.array == BoneClass.FEMUR), BoneClass.FEMUR, 0)
    bones = bones_of_classes(Volume(lone.astype(np.uint8), pelvis_classes.grid))
    assert set(np.unique(bones)) == {0, Bone.LEFT_FEMUR if sign > 0 else Bone.RIGHT_FEMUR}


def test_a_head_behind_a_fracture_stays_until_cleaning_and_is_warned_about(pelvis_classes):
    x, _, z = np.moveaxis(pelvis_classes.grid.coordinates_mm(), -1, 0)
    crack = (np.abs(x - 113.0) < 5.0) & (z > -60.0) & (pelvis_classes.array == BoneClass.FEMUR)
    parted = np.where(crack, 0, pelvis_classes.array).astype(np.uint8)
    bones = Volume(bones_of_classes(Volume(parted, pelvis_classes.grid)), pelvis_classes.grid)
    assert ndimage.label(bones.array == Bone.LEFT_FEMUR)[1] == 2
    np.testing.assert_array_equal(bones.array == Bone.LEFT_FEMUR, (parted == BoneClass.FEMUR) & (x > 0))
    whole = cleaned(bones)
    assert ndimage.label(whole == Bone.LEFT_FEMUR)[1] == 1
    findings = broken_bones(dropped_cm3(bones, whole), volumes_cm3(Volume(whole, bones.grid)))
    assert [(f.code, f.side) for f in findings] == [("SEG-PIECES", "left")]


def test_specks_go_and_holes_fill(pelvis_classes):
    classes = pelvis_classes.array.copy()
    head = np.rint(apply_affine(pelvis_classes.grid.index_from_world, np.array([90.0, 0, 0]))).astype(int)
    assert classes[tuple(head)] == BoneClass.FEMUR
    classes[tuple(head)] = 0
    classes[2, 2, 2] = BoneClass.FEMUR
    bones = bones_of_classes(Volume(classes, pelvis_classes.grid))
    assert bones[tuple(head)] == Bone.LEFT_FEMUR
    assert bones[2, 2, 2] == 0


def test_nothing_gives_nothing(pelvis_classes):
    empty = Volume(np.zeros_like(pelvis_classes.array), pelvis_classes.grid)
    assert not bones_of_classes(empty).any()
    with pytest.raises(ValueError, match="got none"):
        sagittal_plane(empty)


@pytest.mark.parametrize("name", ["Pelvic-Ref-001", "Pelvic-Ref-002"])
def test_real_pelves_split_into_five_bones(shared_data, name):
    labels = read_volume(shared_data / "anatomy" / f"{name}_label.nii.gz")
    array = labels.array[:, ::2, ::2]
    world_from_index = labels.grid.world_from_index.copy()
    world_from_index[:3, 1:3] *= 2
    grid = VoxelGrid(array.shape, world_from_index)
    classes = np.where(array <= 3, array, 0).astype(np.uint8)
    bones = bones_of_classes(Volume(classes, grid))
    volumes = {bone: int((bones == bone).sum()) for bone in Bone}
    assert all(volumes.values())
    assert volumes[Bone.LEFT_HIP] == pytest.approx(volumes[Bone.RIGHT_HIP], rel=0.1)
    assert volumes[Bone.LEFT_FEMUR] == pytest.approx(volumes[Bone.RIGHT_FEMUR], rel=0.1)
    for left, right in ((Bone.LEFT_HIP, Bone.RIGHT_HIP), (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)):
        assert centroid_x_mm(bones, grid, left) > centroid_x_mm(bones, grid, right) + 80
    hips = (Bone.LEFT_HIP, Bone.RIGHT_HIP)
    x = grid.coordinates_mm()[..., 0]
    middle_mm = x[classes == BoneClass.SACRUM].mean()
    for side, beside in ((hips[0], x > middle_mm), (hips[1], x < middle_mm)):
        # A missing femur tilts the plane of all bone; half a scan puts it into the sacrum's remains.
        for rest in (np.where(beside | (classes != BoneClass.FEMUR), classes, 0), np.where(beside, classes, 0)):
            found = bones_of_classes(Volume(rest.astype(np.uint8), grid))
            lost = np.count_nonzero((bones == side) & (rest > 0) & (found != side))
            assert lost < 0.005 * volumes[side]
