"""QCT areal BMD: closed forms and invariances."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.densitometry.qct import measure_region, silhouette, standard_view
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.volume import Volume

NECK, SHAFT = np.array([0.8, 0.0, 0.6]), np.array([0.0, 0.0, 1.0])
SIZE_MM = np.array([40.0, 30.0, 60.0])


def block(rotation: np.ndarray, spacing_mm: float = 1.0, density: float = 300.0, outside: float = 40.0):
    """A block of 40 x 30 x 60 mm (x, y, z of its own frame), turned, in soft tissue."""
    grid = VoxelGrid.axial((int(100 / spacing_mm),) * 3, (spacing_mm,) * 3, (spacing_mm / 2 - 50.0,) * 3)
    points = grid.coordinates_mm() @ rotation
    inside = (np.abs(points) < SIZE_MM / 2).all(axis=-1)
    return Volume(np.where(inside, density, outside).astype(np.float32), grid), Volume(inside, grid)


def test_a_uniform_block_has_density_times_thickness():
    qct, region = block(np.eye(3))
    found = measure_region(qct, region, NECK, SHAFT, voxel_mm=1.0)
    assert found.abmd_g_cm2 == pytest.approx(300.0 * 30.0 * 1e-4, rel=1e-3)
    assert found.vbmd_mg_cm3 == pytest.approx(300.0)
    assert found.area_cm2 == pytest.approx(4.0 * 6.0, rel=0.02)
    assert found.bmc_g == pytest.approx(0.3 * 4.0 * 3.0 * 6.0, rel=0.02)


@pytest.mark.parametrize("vector", [(0.3, 0.0, 0.0), (0.0, 0.25, 0.0), (0.0, 0.0, 0.35), (0.25, -0.2, 0.3)])
def test_turning_the_femur_in_the_scanner_changes_nothing(vector):
    rotation = rotation_from_vector(np.array(vector))
    qct, region = block(rotation)
    found = measure_region(qct, region, rotation @ NECK, rotation @ SHAFT, voxel_mm=1.0)
    assert found.abmd_g_cm2 == pytest.approx(0.9, rel=0.02)
    assert found.bmc_g == pytest.approx(21.6, rel=0.01)


@pytest.mark.parametrize("voxel_mm", [0.5, 1.0, 1.5])
def test_the_voxel_size_of_the_view_hardly_matters(voxel_mm):
    qct, region = block(rotation_from_vector(np.array([0.2, 0.1, 0.0])))
    rotation = rotation_from_vector(np.array([0.2, 0.1, 0.0]))
    found = measure_region(qct, region, rotation @ NECK, rotation @ SHAFT, voxel_mm)
    assert found.abmd_g_cm2 == pytest.approx(0.9, rel=0.02)


def test_density_is_linear_and_not_clipped():
    qct, region = block(np.eye(3), density=-40.0)
    assert measure_region(qct, region, NECK, SHAFT, 1.0).abmd_g_cm2 == pytest.approx(-0.12, rel=1e-3)


def test_soft_tissue_around_the_region_does_not_leak_in():
    rotation = rotation_from_vector(np.array([0.2, 0.3, 0.1]))
    values = [
        measure_region(*block(rotation, outside=outside), rotation @ NECK, rotation @ SHAFT, 1.0).abmd_g_cm2
        for outside in (-500.0, 500.0)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_left_and_right_mirror_images_agree():
    rng = np.random.default_rng(0)
    grid = VoxelGrid.axial((50, 40, 45), (1.5, 1.5, 1.5), (-33.0, -30.0, -40.0))
    points = grid.coordinates_mm()
    region = ((points / [30, 22, 35]) ** 2).sum(axis=-1) < 1
    density = rng.normal(300, 80, grid.shape).astype(np.float32)
    right = measure_region(Volume(density, grid), Volume(region, grid), NECK, SHAFT, 1.0)
    flipped = Volume(density[:, :, ::-1].copy(), grid), Volume(region[:, :, ::-1].copy(), grid)
    left = measure_region(*flipped, NECK * [-1, 1, 1], SHAFT, 1.0)
    assert left.abmd_g_cm2 == pytest.approx(right.abmd_g_cm2, rel=0.01)
    assert left.area_cm2 == pytest.approx(right.area_cm2, rel=0.01)


def test_the_view_looks_along_the_normal_of_neck_and_shaft():
    _, region = block(np.eye(3))
    view = standard_view(region, NECK, SHAFT, 1.0)
    direction = view.world_from_index[:3, 1] / view.spacing_mm[1]
    np.testing.assert_allclose(direction, [0.0, 1.0, 0.0], atol=1e-12)
    assert direction @ NECK == pytest.approx(0.0, abs=1e-12)


def test_the_silhouette_is_seen_along_the_view():
    _, region = block(np.eye(3))
    pixels = silhouette(region, standard_view(region, NECK, SHAFT, 1.0)) > 0.5
    assert np.ptp(np.flatnonzero(pixels.any(axis=1))) + 1 == 60
    assert np.ptp(np.flatnonzero(pixels.any(axis=0))) + 1 == 40


def test_an_empty_region_and_a_neck_along_the_shaft_are_refused():
    qct, region = block(np.eye(3))
    with pytest.raises(ValueError, match="neck_axis"):
        measure_region(qct, region, SHAFT, SHAFT, 1.0)
    with pytest.raises(ValueError, match=r"mask|region"):
        measure_region(qct, Volume(np.zeros_like(region.array), region.grid), NECK, SHAFT, 1.0)
