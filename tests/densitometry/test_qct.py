"""QCT areal BMD: closed forms and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.densitometry.qct import line_integrals, measure_regions, silhouette, standard_view
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.partial_volume import depth_below
from osteoray.imaging.volume import Volume

NECK, SHAFT = np.array([0.8, 0.0, 0.6]), np.array([0.0, 0.0, 1.0])
SIZE_MM = np.array([40.0, 30.0, 60.0])
BLUR_MM = 0.7


def measure_region(qct, region, neck_axis, shaft_axis, voxel_mm, focus_mm=None):
    """A bone that is one region, in the middle of nowhere."""
    mask = region.array.astype(bool)
    view = {"voxel_mm": voxel_mm, "focus_mm": focus_mm}
    return measure_regions(qct, mask, mask, {"all": mask}, neck_axis, shaft_axis, **view)["all"]


def block(rotation: np.ndarray, spacing_mm: float = 1.0, density: float = 300.0, outside: float = 40.0):
    """A block of 40 x 30 x 60 mm (x, y, z of its own frame), turned, in soft tissue, as a blurring scanner sees it."""
    grid = VoxelGrid.axial((int(100 / spacing_mm),) * 3, (spacing_mm,) * 3, (spacing_mm / 2 - 50.0,) * 3)
    points = grid.coordinates_mm() @ rotation
    inside = (np.abs(points) < SIZE_MM / 2).all(axis=-1)
    sharp = np.where(inside, density, outside).astype(np.float32)
    return Volume(ndimage.gaussian_filter(sharp, BLUR_MM / spacing_mm), grid), Volume(inside, grid)


def test_a_uniform_block_has_density_times_thickness():
    qct, region = block(np.eye(3))
    found = measure_region(qct, region, NECK, SHAFT, voxel_mm=1.0)
    # A block's corners, which no bone has, are seen half a percent too wide.
    assert found.abmd_g_cm2 == pytest.approx(300.0 * 30.0 * 1e-4, rel=0.006)
    assert found.vbmd_mg_cm3 == pytest.approx(300.0, rel=0.005)
    assert found.area_cm2 == pytest.approx(4.0 * 6.0, rel=0.006)
    assert found.bmc_g == pytest.approx(0.3 * 4.0 * 3.0 * 6.0, rel=0.001)


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
    assert measure_region(qct, region, NECK, SHAFT, 1.0).abmd_g_cm2 == pytest.approx(-0.12, rel=0.006)


def test_soft_tissue_around_the_region_does_not_leak_in():
    rotation = rotation_from_vector(np.array([0.2, 0.3, 0.1]))
    values = [
        measure_region(*block(rotation, outside=outside), rotation @ NECK, rotation @ SHAFT, 1.0).abmd_g_cm2
        for outside in (-90.0, 60.0)
    ]
    assert values[0] == pytest.approx(values[1], rel=0.004)


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
    pixels = silhouette(Volume(depth_below(region), region.grid), standard_view(region, NECK, SHAFT, 1.0)) > 0.5
    assert np.ptp(np.flatnonzero(pixels.any(axis=1))) + 1 == 60
    assert np.ptp(np.flatnonzero(pixels.any(axis=0))) + 1 == 40


def test_an_empty_region_and_a_neck_along_the_shaft_are_refused():
    qct, region = block(np.eye(3))
    with pytest.raises(ValueError, match="neck_axis"):
        measure_region(qct, region, SHAFT, SHAFT, 1.0)
    with pytest.raises(ValueError, match="mask: expected at least one voxel"):
        measure_region(qct, Volume(np.zeros_like(region.array), region.grid), NECK, SHAFT, 1.0)


def test_regions_of_a_bone_add_up_to_it():
    rotation = rotation_from_vector(np.array([0.2, 0.1, 0.0]))
    qct, region = block(rotation)
    upper = region.array & ((region.grid.coordinates_mm() @ rotation)[..., 2] > 5)
    masks = {"upper": upper, "lower": region.array & ~upper, "all": region.array, "none": np.zeros_like(upper)}
    found = measure_regions(qct, region.array, region.array, masks, rotation @ NECK, rotation @ SHAFT, voxel_mm=1.0)
    assert set(found) == {"upper", "lower", "all"}
    assert found["upper"].bmc_g + found["lower"].bmc_g == pytest.approx(found["all"].bmc_g, rel=1e-3)
    assert found["upper"].area_cm2 + found["lower"].area_cm2 == pytest.approx(found["all"].area_cm2, rel=0.01)
    assert found["upper"].area_cm2 == pytest.approx(4.0 * 2.5, rel=0.03)
    assert found["upper"].abmd_g_cm2 == pytest.approx(0.9, rel=0.03)


def test_a_distant_focus_gives_parallel_rays_and_a_near_one_slants_them():
    qct, region = block(np.eye(3))
    parallel = measure_region(qct, region, NECK, SHAFT, 1.0)
    distant = measure_region(qct, region, NECK, SHAFT, 1.0, focus_mm=1e5)
    near = measure_region(qct, region, NECK, SHAFT, 1.0, focus_mm=300.0)
    assert distant.abmd_g_cm2 == pytest.approx(parallel.abmd_g_cm2, rel=0.003)
    assert near.area_cm2 > 1.02 * parallel.area_cm2
    assert near.vbmd_mg_cm3 == parallel.vbmd_mg_cm3


def test_rays_of_a_cone_are_longer_in_a_slab_the_more_they_slant():
    grid = VoxelGrid.axial((80, 40, 80), (1.0, 1.0, 1.0), (-39.5, -19.5, -39.5))
    slab = np.zeros(grid.shape, np.float32)
    slab[:, 10:30] = 1000.0
    view = VoxelGrid.axial((61, 41, 61), (1.0, 1.0, 1.0), (-30.0, -20.0, -30.0))
    integrals = line_integrals(Volume(slab, grid), view, 300.0)
    expected = 20.0 * 1000.0 * np.sqrt(1 + _squared_mm(61) / 300.0**2)
    np.testing.assert_allclose(integrals, expected, rtol=1e-3)


def _squared_mm(size: int) -> np.ndarray:
    offset_mm = np.arange(size) - (size - 1) / 2
    return offset_mm[:, None] ** 2 + offset_mm**2


def test_stray_voxels_are_no_region():
    qct, region = block(np.eye(3))
    stray = np.zeros_like(region.array)
    stray[50:54, 50:54, 50:54] = True
    masks = {"all": region.array, "stray": stray}
    found = measure_regions(qct, region.array, region.array, masks, NECK, SHAFT, voxel_mm=1.0)
    assert set(found) == {"all"}
