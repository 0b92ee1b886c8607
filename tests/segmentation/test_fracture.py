"""A gap of the cortex around a femur is found wherever it is; a whole femur has none, however it is cut into slices."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.fracture import bridged, cortical_drop, largest_gap
from osteoray.store.nifti import read_volume

MIN_SHARE = 0.6
SPACING_MM = (1.5, 2.0, 2.0)
THIN, THICK = 1, 2
"""Voxel layers in a slice."""
PLACES_MM = {"neck": 24.0, "trochanteric": 50.0, "shaft": 85.0}
"""Distance of a fracture from the head's centre: along the neck, and for the shaft along it."""


def build_ct(
    known, layers: int, height_mm: np.ndarray | None = None, gap_mm: float = 0.0
) -> tuple[Volume, np.ndarray, np.ndarray]:
    """CT of a femur with a cortex of 3 mm, femur and hip masks; broken where the height is within the gap."""
    mask, grid = known.mask.array, known.mask.grid
    depth_mm = ndimage.distance_transform_edt(mask, grid.spacing_mm)
    hu = np.where(mask, np.where(depth_mm < 3.2, 1000.0, 150.0), 40.0)
    if height_mm is not None:
        share = np.clip(0.5 + (gap_mm / 2 - np.abs(height_mm)) / grid.spacing_mm.mean(), 0, 1)
        hu += mask * share * (50.0 - hu)
    hu = ndimage.gaussian_filter(hu, 0.7 / grid.spacing_mm)
    from_head_mm = grid.coordinates_mm() - known.head_centre_mm
    shell = np.abs(np.linalg.norm(from_head_mm, axis=-1) - 30.0) < 3.0
    hip = shell & (from_head_mm @ known.neck_axis > 5.0)
    hu, mask, hip = (_sliced(array, layers) for array in (hu, mask, hip))
    thick = VoxelGrid.axial(hu.shape, (layers * grid.spacing_mm[0], *grid.spacing_mm[1:]), _first_mm(grid, layers))
    hu += np.random.default_rng(0).normal(0, 20, hu.shape)
    return Volume(np.rint(hu).astype(np.int16), thick), mask >= 0.5, hip >= 0.5


def _sliced(array: np.ndarray, layers: int) -> np.ndarray:
    whole = array[: len(array) // layers * layers].astype(float)
    return whole.reshape(-1, layers, *array.shape[1:]).mean(axis=1)


def _first_mm(grid: VoxelGrid, layers: int) -> tuple[float, ...]:
    first = grid.world_from_index @ np.array([(layers - 1) / 2, 0, 0, 1])
    return tuple(first[:3])


def height_of(known, place: str) -> np.ndarray:
    """Height of voxels over the plane of a fracture."""
    axis = known.shaft_axis if place == "shaft" else known.neck_axis
    return (known.mask.grid.coordinates_mm() - known.head_centre_mm) @ axis + PLACES_MM[place]


@pytest.mark.parametrize(("layers", "rotation_deg"), [(THIN, (0.0, 0.0, 0.0)), (THICK, (12.0, -8.0, 15.0))])
def test_a_whole_femur_has_no_gap(femur_of, layers, rotation_deg):
    gap = largest_gap(*build_ct(femur_of(Side.RIGHT, SPACING_MM, rotation_deg, 40.0), layers))
    assert set(json.loads(json.dumps(gap.facts(), allow_nan=False))) >= {"at", "gap_share", "gap_mm", "loose_cm3"}
    assert gap.share < 0.3 and gap.loose_cm3 == 0.0
    assert not gap.is_fracture(MIN_SHARE)


@pytest.mark.parametrize(
    ("place", "layers", "gap_mm"), [("neck", THICK, 3.5), ("trochanteric", THIN, 2.5), ("shaft", THIN, 2.5)]
)
def test_a_gap_around_the_bone_is_found_where_it_is(femur_of, place, layers, gap_mm):
    known = femur_of(Side.LEFT, SPACING_MM, shaft_below_mm=40.0)
    height_mm = height_of(known, place)
    gap = largest_gap(*build_ct(known, layers, height_mm, gap_mm))
    assert gap.is_fracture(MIN_SHARE) and gap.share > 0.8
    assert gap.at == place
    assert gap.length_mm > 60.0
    axis = known.shaft_axis if place == "shaft" else known.neck_axis
    assert (gap.centre_mm - known.head_centre_mm) @ axis == pytest.approx(-PLACES_MM[place], abs=4.0)


def test_labels_parted_by_the_crack_are_joined_and_those_far_apart_are_a_loose_part(femur_of):
    known = femur_of(Side.LEFT, SPACING_MM, shaft_below_mm=40.0)
    height_mm = height_of(known, "neck")
    ct_hu, femur, hip = build_ct(known, THIN, height_mm, 3.0)
    near = largest_gap(ct_hu, femur & (np.abs(height_mm) > 2.0), hip)
    assert near.share > 0.8 and near.loose_cm3 == 0.0
    far = largest_gap(ct_hu, femur & (np.abs(height_mm) > 6.0), hip)
    assert far.loose_cm3 > 20.0 and far.is_fracture(MIN_SHARE)


@pytest.mark.parametrize("stray", ["large and far", "near and small"])
def test_a_stray_part_of_the_label_is_no_fragment_and_changes_nothing(femur_of, stray):
    known = femur_of(Side.LEFT, SPACING_MM, shaft_below_mm=40.0)
    ct_hu, femur, hip = build_ct(known, THIN)
    sound = largest_gap(ct_hu, femur, hip)
    from_head_mm = ct_hu.grid.coordinates_mm() - known.head_centre_mm
    if stray == "large and far":
        part = (from_head_mm[..., 0] < -8.0) & (from_head_mm[..., 2] < -80.0)
        assert part.sum() * ct_hu.grid.voxel_mm3 > 0.1 * femur.sum() * ct_hu.grid.voxel_mm3
    else:
        part = np.linalg.norm(from_head_mm - [-5.0, 0.0, -60.0], axis=-1) < 10.0
        assert 3000.0 < part.sum() * ct_hu.grid.voxel_mm3 < 0.05 * femur.sum() * ct_hu.grid.voxel_mm3
    assert not (part & ndimage.binary_dilation(femur, iterations=4)).any()
    gap = largest_gap(ct_hu, femur | part, hip)
    assert gap.loose_cm3 == 0.0 and gap.share == pytest.approx(sound.share, abs=0.05)
    assert not gap.is_fracture(MIN_SHARE)


@pytest.mark.parametrize("above_head_mm", [0.0, 5.0])
def test_a_tongue_of_label_between_head_and_trochanter_is_no_wall(femur_of, above_head_mm):
    known = femur_of(Side.LEFT, SPACING_MM, shaft_below_mm=40.0)
    ct_hu, femur, hip = build_ct(known, THIN)
    height_mm = ct_hu.grid.coordinates_mm()[..., 2] - known.head_centre_mm[2] - above_head_mm
    valley = bridged(Volume(femur, ct_hu.grid), 25.0).array & ~femur
    tongue = valley & (np.abs(height_mm) < 2.0)
    assert tongue.sum() > 100
    gap = largest_gap(ct_hu, femur | tongue, hip)
    assert gap.share < 0.1 and gap.loose_cm3 == 0.0


def test_closing_fills_a_narrow_valley_and_leaves_an_edge():
    x, y = np.meshgrid(np.arange(0, 60, 1.5), np.arange(0, 30, 1.5), indexing="ij")
    points_mm = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    edge_hu = np.where(points_mm[:, 0] < 30, 1050.0, 350.0)
    assert cortical_drop(points_mm, edge_hu).max() == 0.0
    valley_hu = np.where(np.abs(points_mm[:, 0] - 15) < 2, 250.0, edge_hu)
    drop = cortical_drop(points_mm, valley_hu)
    np.testing.assert_allclose(drop[valley_hu == 250], 0.8)
    assert drop[valley_hu != 250].max() == 0.0


def test_bridging_equals_a_closing_by_a_ball(femur_of):
    mask = femur_of(Side.LEFT, (3.0, 3.0, 3.0)).mask
    parted = Volume(mask.array & (np.arange(mask.array.shape[0])[:, None, None] != 20), mask.grid)
    ball = np.linalg.norm(np.indices((5, 5, 5)) - 2, axis=0) * 3.0 <= 6.0
    padded = np.pad(parted.array, 3)
    slow = ndimage.binary_erosion(ndimage.binary_dilation(padded, ball), ball)[3:-3, 3:-3, 3:-3]
    np.testing.assert_array_equal(bridged(parted, 6.0).array, slow | parted.array)


def test_an_empty_mask_is_refused(femur_of):
    ct_hu, femur, hip = build_ct(femur_of(Side.LEFT, SPACING_MM, shaft_below_mm=40.0), THICK)
    with pytest.raises(ValueError, match="mask: expected at least one voxel"):
        largest_gap(ct_hu, np.zeros_like(femur), hip)


def test_the_sound_femur_of_a_real_scan_is_not_called_broken(shared_data):
    folder = shared_data / "scans" / "abdomen-pelvis-ct"
    labels = read_volume(folder / "bone_muscle_labels.nii.gz")
    ct_hu = read_volume(folder / "example_ct.nii.gz")
    gap = largest_gap(ct_hu, labels.array == FEMUR[Side.RIGHT], labels.array == HIP[Side.RIGHT])
    assert not gap.is_fracture(MIN_SHARE)
