"""A femoral head that is labelled as hip bone is found out although it still fits a sphere."""

from __future__ import annotations

import numpy as np
import pytest
from tests.segmentation.conftest import HEAD_RADIUS_MM

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.head_leak import CORE_RADII, hip_bone_in_head, refuse_leaking_head
from osteoray.segmentation.sides import bones_of_classes
from osteoray.store.nifti import read_volume


def leaking(known, depth_mm):
    """Labels of a femur whose head has lost a cap of this depth to the hip bone, towards medial and proximal."""
    bones = np.where(known.mask.array, FEMUR[known.side], 0).astype(np.uint8)
    offset = known.mask.grid.coordinates_mm() - known.head_centre_mm
    medial = -1.0 if known.side is Side.LEFT else 1.0
    height = offset @ np.array([0.6 * medial, 0.0, 0.8])
    in_head = np.linalg.norm(offset, axis=-1) < HEAD_RADIUS_MM + 1
    bones[known.mask.array & in_head & (height > HEAD_RADIUS_MM - depth_mm)] = HIP[known.side]
    return Volume(bones, known.mask.grid)


@pytest.mark.parametrize("depth_mm", [3.0, 8.0, 16.0])
def test_the_share_is_that_of_a_spherical_cap(femur_of, depth_mm):
    known = femur_of()
    share = hip_bone_in_head(leaking(known, depth_mm), known.side, known.head_centre_mm, HEAD_RADIUS_MM)
    core = CORE_RADII * HEAD_RADIUS_MM
    height = max(depth_mm - (HEAD_RADIUS_MM - core), 0.0)
    cap = np.pi * height**2 * (3 * core - height) / 3
    assert share == pytest.approx(cap / (4 / 3 * np.pi * core**3), abs=0.01)


@pytest.mark.parametrize("side", list(Side))
def test_a_head_that_lost_a_third_is_refused(femur_of, side):
    known = femur_of(side)
    bones = leaking(known, 0.3 * 2 * HEAD_RADIUS_MM)
    with pytest.raises(Withheld, match=r"SEG-HEAD|SEG-LANDMARK") as refusal:
        femur = locate_femur(Volume(bones.array == FEMUR[side], bones.grid), side, 20.0)
        refuse_leaking_head(bones, side, femur.head.centre_mm, femur.head.radius_mm)
    assert refusal.value.finding.side == side


def test_a_skin_of_hip_bone_on_the_head_passes(femur_of):
    known = femur_of()
    bones = leaking(known, 3.0)
    assert (bones.array == HIP[known.side]).sum() > 100
    refuse_leaking_head(bones, known.side, known.head_centre_mm, HEAD_RADIUS_MM)


def test_a_head_at_the_edge_of_the_scan_is_judged_by_what_is_in_it(femur_of):
    known = femur_of()
    grid = known.mask.grid.crop((0, 0, 0), (1, 1, 1))
    assert hip_bone_in_head(Volume(np.ones((1, 1, 1), np.uint8), grid), known.side, grid.centre_mm, 24.0) == 1.0


def test_real_heads_hold_no_hip_bone(shared_data):
    labels = read_volume(shared_data / "anatomy" / "Pelvic-Ref-001_label.nii.gz")
    world_from_index = labels.grid.world_from_index.copy()
    world_from_index[:3, 1:3] *= 2
    array = labels.array[:, ::2, ::2]
    grid = VoxelGrid(array.shape, world_from_index)
    bones = Volume(bones_of_classes(Volume(np.where(array <= 3, array, 0).astype(np.uint8), grid)), grid)
    head = locate_femur(Volume(bones.array == FEMUR[Side.LEFT], grid), Side.LEFT, 20.0).head
    assert hip_bone_in_head(bones, Side.LEFT, head.centre_mm, head.radius_mm) < 0.005
