"""The proximal femur against solids whose volume is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import FemurGeometry, locate_femur
from osteoray.segmentation.proximal_femur import largest_part, proximal_femur

GRID = VoxelGrid.axial((130, 80, 80), (1.0, 1.0, 1.0), (-40.0, -40.0, -95.0))


@pytest.fixture(scope="module")
def any_femur(femur_of) -> FemurGeometry:
    return locate_femur(femur_of(Side.RIGHT, (3.0, 2.0, 2.0)).mask, Side.RIGHT, 20.0)


def femur_like(any_femur: FemurGeometry, neck_axis: np.ndarray, lower_edge_z_mm: float) -> FemurGeometry:
    """Head of 24 mm at the origin, upright shaft."""
    edge = np.array([0.0, 0.0, lower_edge_z_mm])
    return replace(
        any_femur,
        head=replace(any_femur.head, centre_mm=np.zeros(3), radius_mm=24.0),
        neck=replace(any_femur.neck, axis=neck_axis),
        shaft=replace(any_femur.shaft, point_mm=np.zeros(3), direction=np.array([0.0, 0.0, 1.0])),
        lesser_trochanter=replace(any_femur.lesser_trochanter, lower_edge_mm=edge),
    )


def test_head_cut_leaves_the_cylinder_of_a_neck_that_is_two_thirds_as_wide_as_the_head(any_femur):
    points = GRID.coordinates_mm()
    radius = np.hypot(points[..., 0], points[..., 1])
    in_neck = (radius < 16.0) & (points[..., 2] < 0)
    mask = Volume(in_neck | (np.linalg.norm(points, axis=-1) < 24.0), GRID)
    region = proximal_femur(mask, femur_like(any_femur, np.array([0.0, 0.0, 1.0]), -60.0), 20.0, 0.75)
    assert region.sum() == pytest.approx(np.pi * 16.0**2 * (80.0 - 18.0), rel=0.01)


def test_oblique_head_cut_of_a_cylinder_keeps_its_mean_length(any_femur):
    points = GRID.coordinates_mm()
    mask = Volume((np.hypot(points[..., 0], points[..., 1]) < 14.0) & (points[..., 2] < 30), GRID)
    axis = np.array([np.sin(0.6), 0.0, np.cos(0.6)])
    region = proximal_femur(mask, femur_like(any_femur, axis, -50.0), 20.0, 0.75)
    assert region.sum() == pytest.approx(np.pi * 14.0**2 * (70.0 - 18.0 / np.cos(0.6)), rel=0.01)


def test_region_does_not_depend_on_how_the_mask_is_cropped(femur_of):
    known = femur_of(Side.LEFT, (2.0, 1.5, 1.5))
    femur = locate_femur(known.mask, Side.LEFT, 20.0)
    window = known.mask.window(known.mask.array)
    whole = proximal_femur(known.mask, femur, 20.0, 0.75)
    np.testing.assert_array_equal(whole[window], proximal_femur(known.mask.cut(window), femur, 20.0, 0.75))


def test_largest_part_drops_a_speck_and_keeps_nothing_of_nothing():
    mask = np.zeros((4, 5, 6), bool)
    assert not largest_part(mask).any()
    mask[0, 0, 0], mask[2:, 2:, 2:] = True, True
    assert largest_part(mask).sum() == 2 * 3 * 4
