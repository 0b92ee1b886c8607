"""Density maps: linear, additive, on the X-ray's grid, with the magnification of what is seen."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.projection.density_maps import density_map, magnification
from osteoray.radiography.ray_integrals import areal_density_g_cm2

GRID = VoxelGrid.axial((30, 24, 36), (2.0, 1.5, 1.5), (-26.0, -17.0, -29.0))
CAMERA = Camera.from_geometry(1000.0, (0.8, 0.8), (59.5, 69.5), (120, 140), ap_camera_from_world(np.zeros(3), 800.0))


@pytest.fixture(scope="module")
def qct():
    return Volume(np.random.default_rng(0).uniform(-60, 700, GRID.shape).astype(np.float32), GRID)


@pytest.fixture(scope="module")
def mask():
    mask = np.zeros(GRID.shape, bool)
    mask[6:24, 4:20, 5:30] = True
    return mask


def masked(qct, mask):
    return Volume(np.where(mask, qct.array, 0).astype(np.float32), GRID)


def test_a_map_is_the_projection_of_the_masked_density(qct, mask):
    only = masked(qct, mask)
    assert density_map(only, CAMERA).areal_g_cm2 == pytest.approx(areal_density_g_cm2(only, CAMERA), abs=1e-5)


def test_maps_of_parts_add_up(qct, mask):
    part = mask.copy()
    part[:15] = False
    parts = [density_map(masked(qct, piece), CAMERA).areal_g_cm2 for piece in (part, mask & ~part)]
    assert sum(parts) == pytest.approx(density_map(masked(qct, mask), CAMERA).areal_g_cm2, abs=2e-4)


def test_density_below_zero_counts(qct, mask):
    below = Volume(np.full(GRID.shape, -100.0, np.float32), GRID)
    assert density_map(masked(below, mask), CAMERA).areal_g_cm2.min() < -0.02


def test_outside_the_bone_is_zero(qct, mask):
    areal = density_map(masked(qct, mask), CAMERA).areal_g_cm2
    assert areal[0].max() == 0 and areal[:, 0].max() == 0 and areal.max() > 0


def test_coarser_rays_give_the_same_map_within_a_percent(qct, mask):
    smooth = Volume(np.full(GRID.shape, 400.0, np.float32), GRID)
    fine = density_map(masked(smooth, mask), CAMERA).areal_g_cm2
    coarse = density_map(masked(smooth, mask), CAMERA, finest_pitch_mm=1.6).areal_g_cm2
    assert coarse.shape == fine.shape
    assert coarse.sum() == pytest.approx(fine.sum(), rel=0.01)


def test_magnification_is_sid_over_depth():
    plate = np.zeros(GRID.shape, bool)
    plate[:, 20] = True
    qct = Volume(np.full(GRID.shape, 500.0, np.float32), GRID)
    plate_map = density_map(masked(qct, plate), CAMERA)
    depth_mm = 800.0 + (-17.0 + 20 * 1.5)
    found = magnification([plate_map], 1000.0)
    inside = plate_map.areal_g_cm2 > 0.05
    assert found[inside] == pytest.approx(1000.0 / depth_mm, rel=1e-3)
    assert found[0, 0] == 0
    assert magnification([plate_map, plate_map], 1000.0) == pytest.approx(found)
