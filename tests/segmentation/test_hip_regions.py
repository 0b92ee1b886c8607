"""Regions of DXA in 3-D: a partition of the total hip that moves with the femur."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from osteoray.imaging.bones import HIP_REGION, HipRegion, Side
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.hip_regions import HipRegions, hip_regions, region_of
from osteoray.segmentation.neck_box import NeckBox
from osteoray.segmentation.proximal_femur import proximal_femur
from osteoray.segmentation.silhouette import NeckShaftPlane

NECK, TROCHANTERIC, INTERTROCHANTERIC = range(3)
length = st.floats(-80.0, 80.0)


@pytest.fixture(scope="module")
def measured(femur_of):
    """Mask, geometry and regions of a femur, by side and turn; each is made once."""
    made = {}

    def measure(side: Side, rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0), slice_mm: float = 1.8):
        key = (side, rotation_deg, slice_mm)
        if key not in made:
            mask = femur_of(side, (slice_mm, 1.8, 1.8), rotation_deg).mask
            femur = locate_femur(mask, side, 20.0)
            made[key] = mask, femur, hip_regions(mask, femur, 10.0, 0.75)
        return made[key]

    return measure


def volumes(regions: HipRegions) -> np.ndarray:
    return np.array([regions.volumes_cm3[name] for name in HipRegion])


@pytest.mark.parametrize("side", list(Side))
def test_regions_cover_the_total_hip_and_nothing_else(measured, side):
    mask, femur, regions = measured(side)
    points = mask.grid.coordinates_mm()
    along = (femur.head.centre_mm - points) @ femur.neck.axis
    height = (points - femur.lesser_trochanter.lower_edge_mm) @ femur.shaft.direction
    total = mask.array & (along >= regions.box.near_mm) & (height >= -10.0)
    parts, _ = ndimage.label(total)
    np.testing.assert_array_equal(regions.labels > 0, parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))
    expected = {HIP_REGION[side, name] for name in HipRegion}
    assert set(np.unique(regions.labels)) == expected | {0}
    # No part of the total hip lies outside of the proximal femur.
    assert not (regions.labels[~proximal_femur(mask, femur, 20.0, 0.75)] > 0).any()


@pytest.mark.parametrize("side", list(Side))
def test_every_region_holds_its_landmarks(measured, side):
    mask, femur, regions = measured(side)
    points = mask.grid.coordinates_mm()
    label = {name: regions.labels == HIP_REGION[side, name] for name in HipRegion}

    def nearest(point_mm: np.ndarray) -> int:
        distance = np.where(regions.labels > 0, np.linalg.norm(points - point_mm, axis=-1), np.inf)
        return int(regions.labels.flat[np.argmin(distance)])

    middle = femur.head.centre_mm - (regions.box.near_mm + 7.5) * femur.neck.axis
    assert nearest(middle) == HIP_REGION[side, HipRegion.NECK]
    assert nearest(femur.lesser_trochanter.tip_mm) == HIP_REGION[side, HipRegion.INTERTROCHANTERIC]
    plane = NeckShaftPlane.of(femur)
    above, below = (regions.trochanter_base_mm + step * plane.proximal + 3 * plane.medial for step in (6.0, -9.0))
    assert nearest(above) == HIP_REGION[side, HipRegion.TROCHANTERIC]
    assert nearest(below) == HIP_REGION[side, HipRegion.INTERTROCHANTERIC]
    for name in HipRegion:
        assert label[name].sum() * mask.grid.voxel_mm3 / 1000 == pytest.approx(regions.volumes_cm3[name])


def test_neck_of_a_rod_has_the_volume_of_its_band(measured):
    _, _, regions = measured(Side.RIGHT)
    # The band lies on the rod of 15 mm alone; a ball of the head or the trochanter may add a little.
    assert regions.volumes_cm3[HipRegion.NECK] == pytest.approx(np.pi * 1.5**2 * 1.5, rel=0.08)


def test_both_sides_of_a_mirrored_body_are_equal(measured):
    np.testing.assert_allclose(volumes(measured(Side.LEFT)[2]), volumes(measured(Side.RIGHT)[2]), rtol=0.02)


@pytest.mark.parametrize("rotation_deg", [(15.0, 0.0, 0.0), (0.0, 8.0, 20.0)])
def test_regions_turn_with_the_femur(measured, rotation_deg):
    turned, straight = (measured(Side.LEFT, turn)[2] for turn in (rotation_deg, (0.0, 0.0, 0.0)))
    np.testing.assert_allclose(volumes(turned), volumes(straight), rtol=0.04)


def test_regions_keep_their_volume_in_thick_slices(measured):
    thick, thin = (measured(Side.LEFT, (5.0, 3.0, 0.0), slice_mm)[2] for slice_mm in (3.0, 1.8))
    np.testing.assert_allclose(volumes(thick), volumes(thin), rtol=0.05)


def test_a_lower_cut_adds_shaft_to_the_intertrochanteric_region_alone(measured):
    mask, femur, regions = measured(Side.RIGHT)
    more = volumes(hip_regions(mask, femur, 19.0, 0.75)) - volumes(regions)
    # Nine millimetres are five slices.
    assert more[INTERTROCHANTERIC] == pytest.approx(np.pi * 1.4**2 * 0.9, rel=0.05)
    np.testing.assert_allclose(more[[NECK, TROCHANTERIC]], 0.0)


def test_facts_are_json_values(measured):
    facts = json.loads(json.dumps(measured(Side.LEFT)[2].facts(), allow_nan=False))
    assert set(facts["volumes_cm3"]) == {"neck", "trochanteric", "intertrochanteric"}
    assert facts["neck_box_start_mm"] >= 0.75 * 23.0


def plane_at(neck_shaft_angle_deg: float) -> NeckShaftPlane:
    angle = np.radians(neck_shaft_angle_deg)
    neck = np.array([np.sin(angle), -np.cos(angle)])
    return NeckShaftPlane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), neck)


@settings(max_examples=100, deadline=None)
@given(st.floats(110.0, 150.0), st.floats(15.0, 30.0), st.floats(26.0, 49.0), length, length)
def test_neck_is_the_box_and_the_line_divides_the_rest(angle_deg, near_mm, box_mm, medial, proximal):
    plane, box = plane_at(angle_deg), NeckBox(near_mm, box_mm, touches_trochanter=True)
    ward = -box.far_mm * plane.neck
    base = ward + np.array([-30.0, -15.0])
    point = np.array([[medial, proximal]])
    along, across = plane.along_neck(point)[0], plane.across_neck(point)[0]
    region = int(region_of(point, plane, box, base)[0])
    in_box = along < box.far_mm and abs(across) <= box_mm / 2
    assert (region == NECK) == in_box
    if along >= box.far_mm:
        # The line is a graph over the medial axis: its height there decides.
        line_mm = ward[1] + (medial - ward[0]) * 0.5
        assert (region == TROCHANTERIC) == (proximal > line_mm)
