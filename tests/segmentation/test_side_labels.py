"""Labels that say the wrong side are refused, whatever was swapped."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.provided import provided_bones
from osteoray.segmentation.side_labels import refuse_wrong_sides
from osteoray.segmentation.sides import bones_of_classes

LEFT_RIGHT = {
    Bone.LEFT_HIP: Bone.RIGHT_HIP,
    Bone.RIGHT_HIP: Bone.LEFT_HIP,
    Bone.LEFT_FEMUR: Bone.RIGHT_FEMUR,
    Bone.RIGHT_FEMUR: Bone.LEFT_FEMUR,
}


@pytest.fixture(scope="module")
def bones(pelvis_classes):
    return Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)


def relabelled(bones, names):
    table = np.arange(len(Bone) + 1, dtype=np.uint8)
    for old, new in names.items():
        table[old] = new
    return Volume(table[bones.array], bones.grid)


def test_right_labels_pass(bones):
    refuse_wrong_sides(bones, "labels")


@pytest.mark.parametrize(
    "swapped",
    [
        LEFT_RIGHT,
        {b: LEFT_RIGHT[b] for b in (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)},
        {b: LEFT_RIGHT[b] for b in (Bone.LEFT_HIP, Bone.RIGHT_HIP)},
        # One femur only in the scan, under the other's name.
        {Bone.LEFT_FEMUR: Bone.RIGHT_FEMUR, Bone.RIGHT_FEMUR: 0},
        # One side only in the scan: the sacrum tells.
        {Bone.LEFT_FEMUR: Bone.RIGHT_FEMUR, Bone.LEFT_HIP: Bone.RIGHT_HIP, Bone.RIGHT_FEMUR: 0, Bone.RIGHT_HIP: 0},
    ],
    ids=["all", "femurs", "hip bones", "one femur", "one side"],
)
def test_swapped_labels_are_refused(bones, swapped):
    with pytest.raises(Withheld, match=r"ING-SIDE: labels: expected .* on the patient's (left|right)"):
        refuse_wrong_sides(relabelled(bones, swapped), "labels")


@pytest.mark.parametrize("absent", [(Bone.LEFT_FEMUR,), (Bone.RIGHT_FEMUR, Bone.RIGHT_HIP), tuple(Bone)])
def test_an_absent_bone_contradicts_nothing(bones, absent):
    refuse_wrong_sides(relabelled(bones, dict.fromkeys(absent, 0)), "labels")


@pytest.mark.parametrize(("edge", "is_refused"), [(1, False), (5, True)])
def test_a_stray_voxel_is_no_bone_on_the_wrong_side(bones, edge, is_refused):
    array = np.where(bones.array == Bone.LEFT_FEMUR, 0, bones.array).astype(np.uint8)
    array[:edge, :edge, :edge] = Bone.LEFT_FEMUR
    stray = Volume(array, bones.grid)
    if is_refused:
        with pytest.raises(Withheld, match="ING-SIDE: labels: expected left_femur"):
            refuse_wrong_sides(stray, "labels")
    else:
        refuse_wrong_sides(stray, "labels")


def test_a_file_that_a_viewer_has_flipped_is_put_back_by_its_affine(bones):
    grid = bones.grid
    world_from_index = grid.world_from_index.copy()
    world_from_index[:3, 3] += world_from_index[:3, 2] * (grid.shape[2] - 1)
    world_from_index[:3, 2] *= -1
    flipped = Volume(np.ascontiguousarray(bones.array[..., ::-1]), VoxelGrid(grid.shape, world_from_index))
    np.testing.assert_array_equal(provided_bones(flipped, grid), bones.array)
    # The same array under the affine of the CT is the patient's mirror image.
    with pytest.raises(Withheld, match="ING-SIDE: bone_labels"):
        provided_bones(Volume(flipped.array, grid), grid)
