"""Exact projector: closed forms, conservation of mass, and an independent library."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.volume import Volume
from osteoray.radiography.ray_integrals import areal_density_g_cm2, ray_integrals


def camera(sid_mm=1000.0, isocentre_mm=850.0, shape=(80, 100), pitch_mm=1.5, centre_mm=(0.0, 0.0, 0.0)):
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(np.array(centre_mm), isocentre_mm)
    return Camera.from_geometry(sid_mm, (pitch_mm, pitch_mm), middle, shape, pose)


def centred_grid(shape, spacing_mm):
    origin_mm = tuple(-(n - 1) / 2 * step for n, step in zip(shape[::-1], spacing_mm[::-1], strict=True))
    return VoxelGrid.axial(shape, spacing_mm, origin_mm)


def test_a_sphere_gives_its_chord():
    grid = centred_grid((72, 72, 72), (0.6, 0.6, 0.6))
    distance_mm = np.linalg.norm(grid.coordinates_mm(), axis=-1)
    sphere = Volume((800 * np.clip(0.5 + (20 - distance_mm) / 0.6, 0, 1)).astype(np.float32), grid)
    view = camera()
    areal = areal_density_g_cm2(sphere, view, supersample=2)
    focus_mm, rays = view.focus_mm, view.rays()
    nearest_mm = np.linalg.norm(np.cross(rays, -focus_mm), axis=-1)
    chord = 2 * np.sqrt(np.maximum(20.0**2 - nearest_mm**2, 0)) * 800 * 1e-4
    inside = nearest_mm < 17
    assert areal[inside] == pytest.approx(chord[inside], rel=0.005)
    assert areal.sum() == pytest.approx(chord.sum(), rel=0.005)
    assert np.all(areal[nearest_mm > 22] == 0)


def test_a_slab_gives_its_oblique_thickness():
    grid = centred_grid((100, 24, 120), (2.0, 1.0, 2.0))
    slab = np.zeros(grid.shape, np.float32)
    slab[:, 2:22] = 500.0
    view = camera(shape=(40, 50))
    expected = 500.0 * 20.0 * 1e-4 / view.rays()[..., 1]
    assert areal_density_g_cm2(Volume(slab, grid), view) == pytest.approx(expected, rel=0.005)


def test_mass_is_conserved_in_the_parallel_limit():
    grid = centred_grid((30, 30, 30), (2.0, 1.5, 1.0))
    density = ndimage.gaussian_filter(np.random.default_rng(0).uniform(-50, 800, grid.shape), 1.0).astype(np.float32)
    far = camera(sid_mm=1e6, isocentre_mm=1e6, shape=(120, 90), pitch_mm=0.7)
    mass_g = density.sum() * grid.voxel_mm3 * 1e-6
    assert areal_density_g_cm2(Volume(density, grid), far, supersample=3).sum() * 0.07**2 == pytest.approx(
        mass_g, rel=1e-3
    )


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.0, 0.0, 0.78), (0.5, 0.6, -0.4), (1.4, 0.0, 0.0)])
def test_oblique_rays_equal_a_fine_march(turn):
    grid = centred_grid((40, 36, 44), (1.5, 1.2, 1.0))
    density = np.random.default_rng(2).uniform(-100, 900, grid.shape)
    density = ndimage.gaussian_filter(density, 2.0).astype(np.float32)
    turned = affine(rotation_from_vector(np.array(turn)), np.zeros(3)) @ grid.world_from_index
    volume, view = Volume(density, VoxelGrid(grid.shape, turned)), camera(shape=(30, 40), pitch_mm=1.7)
    reference = march(volume, view)
    ours = areal_density_g_cm2(volume, view)
    assert np.sqrt(np.mean((ours - reference) ** 2)) < 0.005 * np.sqrt(np.mean(reference**2))
    assert ours.sum() == pytest.approx(reference.sum(), rel=1e-3)


def march(volume, view, step_mm=0.2):
    """Trilinear samples by SciPy."""
    rays, focus_mm = view.rays(), view.focus_mm
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    total = np.zeros(view.shape)
    for distance_mm in np.arange(790.0, 910.0, step_mm):
        index = apply_affine(volume.grid.index_from_world, focus_mm + unit * distance_mm)
        total += ndimage.map_coordinates(volume.array, np.moveaxis(index, -1, 0), order=1, mode="grid-constant")
    return total * step_mm * 1e-4


def test_a_focus_inside_the_volume_sees_only_what_lies_ahead():
    grid = centred_grid((30, 60, 30), (1.0, 1.0, 1.0))
    density = Volume(np.full(grid.shape, 500.0, np.float32), grid)
    view = camera(isocentre_mm=0.25, shape=(3, 3), pitch_mm=1.0)
    assert areal_density_g_cm2(density, view) == pytest.approx(np.full((3, 3), 30.25 * 500 * 1e-4), rel=0.02)


def test_depth_is_where_the_mass_lies():
    grid = centred_grid((20, 40, 20), (1.0, 1.0, 1.0))
    density = np.zeros(grid.shape, np.float32)
    density[:, 30] = 300.0
    rays = ray_integrals(Volume(density, grid), camera(shape=(9, 9), pitch_mm=1.0))
    assert rays.depth_mm == pytest.approx(np.full((9, 9), 850.0 + 10.5), abs=0.05)
    nothing = ray_integrals(Volume(np.zeros(grid.shape, np.float32), grid), camera(shape=(9, 9)))
    assert nothing.depth_mm.max() == 0 and nothing.areal_g_cm2.max() == 0


def test_empty_bricks_are_leapt_over_without_losing_mass():
    grid = centred_grid((50, 60, 70), (1.0, 1.0, 1.0))
    rng = np.random.default_rng(1)
    specks = np.where(rng.uniform(size=grid.shape) > 0.9995, 900.0, 0.0)
    turned = rotation_from_vector(np.array([0.3, -0.2, 0.5]))
    world_from_index = affine(turned, np.zeros(3)) @ grid.world_from_index
    both = [Volume((specks + extra).astype(np.float32), VoxelGrid(grid.shape, world_from_index)) for extra in (0, 1e-3)]
    sparse, dense = (areal_density_g_cm2(volume, camera(shape=(90, 110), pitch_mm=1.0)) for volume in both)
    assert sparse == pytest.approx(dense, abs=2e-4)


@pytest.mark.parametrize("speck", [(8, 8, 8), (16, 9, 24), (17, 16, 23), (1, 1, 1)])
def test_a_speck_on_the_edge_of_a_brick_is_seen_whole(speck):
    grid = centred_grid((26, 26, 34), (1.0, 1.0, 1.0))
    density = np.zeros(grid.shape, np.float32)
    density[speck] = 900.0
    view, volume = camera(shape=(70, 80), pitch_mm=0.5), Volume(density, grid)
    assert areal_density_g_cm2(volume, view) == pytest.approx(march(volume, view, step_mm=0.1), abs=4e-3)
    assert areal_density_g_cm2(volume, view).max() > 0.05


def test_supersampling_averages_the_subpixels():
    grid = centred_grid((20, 20, 20), (1.0, 1.0, 1.0))
    density = Volume(np.random.default_rng(0).uniform(0, 500, grid.shape).astype(np.float32), grid)
    view = camera(shape=(12, 16))
    fine = areal_density_g_cm2(density, view.resized((24, 32)))
    assert areal_density_g_cm2(density, view, supersample=2) == pytest.approx(
        fine.reshape(12, 2, 16, 2).mean(axis=(1, 3)), rel=1e-5
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_agrees_with_the_reconstruction_toolkit():
    itk = pytest.importorskip("itk", reason="itk-rtk is not installed")
    grid = centred_grid((48, 40, 56), (2.0, 1.6, 1.4))
    rng = np.random.default_rng(0)
    density = rng.uniform(0, 800, grid.shape) * (np.linalg.norm(grid.coordinates_mm(), axis=-1) < 25)
    density = ndimage.gaussian_filter(density, 1.5, truncate=3.0).astype(np.float32)
    ours = areal_density_g_cm2(Volume(density, grid), camera(shape=(80, 90)))
    theirs = joseph(itk, density, grid, camera(shape=(80, 90)))
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.001 * np.sqrt(np.mean(theirs**2))


def joseph(itk, density, grid, view):
    """RTK's Joseph projector: its source at angle 0 lies on +z, so its world is ours as (x, -z, -y)."""
    step_k, step_j, step_i = grid.spacing_mm
    nk, nj, ni = density.shape
    volume = itk.image_from_array(np.ascontiguousarray(density[::-1, ::-1].transpose(1, 0, 2)))
    volume.SetSpacing([step_i, step_k, step_j])
    volume.SetOrigin([-(ni - 1) / 2 * step_i, -(nk - 1) / 2 * step_k, -(nj - 1) / 2 * step_j])
    geometry = itk.RTK.ThreeDCircularProjectionGeometry.New()
    geometry.AddProjection(850.0, 1000.0, 0.0)
    rows, columns = view.shape
    stack = itk.image_from_array(np.zeros((1, rows, columns), np.float32))
    stack.SetSpacing([view.pitch_mm[1], view.pitch_mm[0], 1.0])
    stack.SetOrigin([-(columns - 1) / 2 * view.pitch_mm[1], -(rows - 1) / 2 * view.pitch_mm[0], 0.0])
    projector = itk.RTK.JosephForwardProjectionImageFilter[type(volume), type(volume)].New()
    projector.SetInput(0, stack)
    projector.SetInput(1, volume)
    projector.SetGeometry(geometry)
    projector.Update()
    return itk.array_from_image(projector.GetOutput())[0] * 1e-4


def test_rays_of_a_pixel_count_by_their_mass_in_its_depth():
    """A thin near plate fills the left half of a pixel, a thick far one the right half."""
    grid = VoxelGrid.axial((8, 60, 8), (1.0, 1.0, 1.0), (-3.5, 0.0, -3.5))
    density = np.zeros(grid.shape, np.float32)
    density[:, 5:8, :4], density[:, 40:52, 4:] = 100.0, 100.0
    camera = Camera.from_geometry(1000.0, (8.0, 8.0), (0.0, 0.0), (1, 1), ap_camera_from_world(np.zeros(3), 900.0))
    rays = ray_integrals(Volume(density, grid), camera, supersample=8)
    parts = [
        ray_integrals(Volume(np.where(near, density, 0), grid), camera, supersample=8) for near in near_and_far(grid)
    ]
    masses = np.array([float(part.areal_g_cm2[0, 0]) for part in parts])
    depths_mm = np.array([float(part.depth_mm[0, 0]) for part in parts])
    assert masses[1] > 3 * masses[0] > 0
    assert rays.depth_mm[0, 0] == pytest.approx(masses @ depths_mm / masses.sum(), rel=1e-4)


def near_and_far(grid):
    is_near = np.broadcast_to((np.arange(grid.shape[1]) < 20)[None, :, None], grid.shape)
    return is_near, ~is_near
