"""Metal is found at the hip it belongs to, with or without a femur beside it; bone and contrast are not metal."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.metal import Metal, metal_at_hips
from osteoray.store.nifti import read_volume

METAL_HU = 2500.0


@dataclass
class Scene:
    """Two femurs (rods with a cortex) and two hip bones, into which metal is put."""

    hu: np.ndarray
    bones: np.ndarray
    points_mm: np.ndarray
    grid: VoxelGrid

    def put(self, centre_mm: tuple[float, float, float], radii_mm: tuple[float, float, float], hu: float) -> float:
        """Fill an ellipsoid; its volume in mm³."""
        inside = (((self.points_mm - centre_mm) / radii_mm) ** 2).sum(axis=-1) < 1
        self.hu[inside] = hu
        return float(inside.sum() * self.grid.voxel_mm3)

    def found(self) -> dict[Side, Metal]:
        return metal_at_hips(Volume(self.hu, self.grid), self.bones, METAL_HU)


@pytest.fixture
def scene() -> Scene:
    grid = VoxelGrid.axial((60, 60, 140), (3.0, 2.0, 2.0), (-139.0, -59.0, -120.0))
    points_mm = grid.coordinates_mm()
    hu = np.full(grid.shape, 40, np.int16)
    bones = np.zeros(grid.shape, np.uint8)
    for side, sign, hip in ((Side.LEFT, 1, Bone.LEFT_HIP), (Side.RIGHT, -1, Bone.RIGHT_HIP)):
        radius_mm = np.hypot(points_mm[..., 0] - 100 * sign, points_mm[..., 1])
        shaft = (radius_mm < 15) & (points_mm[..., 2] < 0)
        bones[shaft] = FEMUR[side]
        hu[shaft] = np.where(radius_mm[shaft] > 9, 2000, 100)
        cup = np.linalg.norm(points_mm - [80 * sign, 0, 30], axis=-1) < 24
        bones[cup], hu[cup] = hip, 300
    return Scene(hu, bones, points_mm, grid)


def test_dense_cortex_is_no_metal(scene):
    assert scene.found() == {}


@pytest.mark.parametrize("hu", [2600, 2976, 3071, 20000])
def test_an_implant_is_found_whether_the_scanner_clips_it_or_not(scene, hu):
    volume_mm3 = scene.put((100.0, 0.0, -40.0), (7.0, 7.0, 40.0), hu)
    found = scene.found()
    assert set(found) == {Side.LEFT}
    assert found[Side.LEFT].volume_mm3 == pytest.approx(volume_mm3)
    np.testing.assert_allclose(found[Side.LEFT].centre_mm, [100, 0, -40], atol=2.0)


def test_a_cup_in_the_hip_bone_beside_the_femur_counts(scene):
    scene.put((-84.0, 0.0, 14.0), (10.0, 10.0, 4.0), 3071)
    assert set(scene.found()) == {Side.RIGHT}


@pytest.mark.parametrize("hu", [2100, 2400])
def test_thin_titanium_deep_in_the_bone_is_found_although_cortex_is_nearly_as_dense(scene, hu):
    scene.put((100.0, 0.0, -40.0), (3.5, 3.5, 25.0), hu)
    found = scene.found()
    assert set(found) == {Side.LEFT} and found[Side.LEFT].volume_mm3 > 200.0


@pytest.mark.parametrize("side", Side)
def test_where_the_implant_has_replaced_the_femur_it_is_still_metal_of_that_side(scene, side):
    sign = 1 if side is Side.LEFT else -1
    scene.put((100.0 * sign, 0.0, -40.0), (8.0, 8.0, 60.0), 3071)
    scene.bones[scene.bones == FEMUR[side]] = 0
    assert set(scene.found()) == {side}


@pytest.mark.parametrize("femur_is_labelled", [True, False])
@pytest.mark.parametrize("side", Side)
def test_a_scan_of_one_side_without_a_sacrum_has_no_midline_that_hides_an_implant(scene, side, femur_is_labelled):
    sign = 1 if side is Side.LEFT else -1
    volume_mm3 = scene.put((100.0 * sign, 0.0, -40.0), (8.0, 8.0, 60.0), 3071)
    kept = scene.bones != FEMUR[side] if not femur_is_labelled else scene.bones > 0
    whole = Volume(np.where(kept, scene.bones, 0).astype(np.uint8), scene.grid)
    window = whole.window(sign * scene.points_mm[..., 0] > 40.0)
    ct_hu, bones = Volume(scene.hu, scene.grid).cut(window), whole.cut(window)
    assert abs(ct_hu.grid.centre_mm[0] - 100.0 * sign) < 40.0
    found = metal_at_hips(ct_hu, bones.array, METAL_HU)
    assert set(found) == {side}
    # Its tip is more than 20 mm above the femur's label.
    assert found[side].volume_mm3 == pytest.approx(volume_mm3, rel=0.01)


def test_metal_far_from_a_femur_that_is_there_does_not_concern_it(scene):
    scene.put((100.0, 50.0, 45.0), (6.0, 6.0, 6.0), 3071)
    assert scene.found() == {}


def test_a_bladder_full_of_contrast_is_no_implant(scene):
    scene.bones[:] = np.where(scene.bones == FEMUR[Side.LEFT], 0, scene.bones)
    scene.put((5.0, -10.0, 30.0), (45.0, 30.0, 25.0), 3071)
    assert scene.found() == {}


def test_a_speck_counts_with_its_volume(scene):
    scene.put((100.0, 0.0, -40.0), (1.9, 1.9, 1.9), 3071)
    assert 0 < scene.found()[Side.LEFT].volume_mm3 < 50.0


def test_facts_are_json_values(scene):
    volume_mm3 = scene.put((100.0, 0.0, -40.0), (7.0, 7.0, 40.0), 3071)
    facts = json.loads(json.dumps(scene.found()[Side.LEFT].facts(), allow_nan=False))
    assert facts["volume_mm3"] == pytest.approx(volume_mm3) and len(facts["centre_mm"]) == 3


def test_the_implant_of_a_real_scan_is_on_the_left_with_and_without_a_femur_label(shared_data):
    folder = shared_data / "scans" / "abdomen-pelvis-ct"
    labels = read_volume(folder / "bone_muscle_labels.nii.gz")
    ct_hu = read_volume(folder / "example_ct.nii.gz")
    bones = np.where(labels.array <= max(Bone), labels.array, 0).astype(np.uint8)
    found = metal_at_hips(ct_hu, bones, METAL_HU)
    assert set(found) == {Side.LEFT}
    assert found[Side.LEFT].volume_mm3 == pytest.approx(12000.0, rel=0.1)
    lost = metal_at_hips(ct_hu, np.where(bones == FEMUR[Side.LEFT], 0, bones), METAL_HU)
    assert set(lost) == {Side.LEFT}
    assert np.linalg.norm(lost[Side.LEFT].centre_mm - found[Side.LEFT].centre_mm) < 5.0
