"""Integrals along rays are exact where a closed form exists."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.posing import femur_rotation
from osteoray.simulation.raycast import RayVolume, cast, cast_volume


def camera(shape=(120, 120), pitch_mm=2.0, sid_mm=1000.0, source_mm=850.0) -> Camera:
    centre = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(np.zeros(3), source_mm)
    return Camera.from_geometry(sid_mm, (pitch_mm, pitch_mm), centre, shape, pose)


def test_a_ray_through_a_slab_has_the_slabs_length():
    grid = VoxelGrid.axial((60, 21, 60), (4.0, 4.0, 4.0), (-118.0, -40.0, -118.0))
    ones = np.ones((*grid.shape, 1), np.float32)
    view = camera(shape=(41, 41))
    image = cast(ones, grid, view)[..., 0]
    cosine = view.rays()[..., 1]
    np.testing.assert_allclose(image, 84.0 / cosine, rtol=1e-5)


def test_a_sphere_casts_its_chords():
    spacing = 1.5
    count = 61
    grid = VoxelGrid.axial((count,) * 3, (spacing,) * 3, (-(count - 1) / 2 * spacing,) * 3)
    radius = np.linalg.norm(grid.coordinates_mm(), axis=-1)
    ball = np.clip(0.5 - (radius - 30.0) / spacing, 0, 1)[..., None]
    view = camera()
    image = cast(ball.astype(np.float32), grid, view)[..., 0]
    offset = np.linalg.norm(np.cross(view.rays(), view.focus_mm), axis=-1)
    chord = 2 * np.sqrt(np.maximum(30.0**2 - offset**2, 0))
    inner = offset < 27
    np.testing.assert_allclose(image[inner], chord[inner], atol=0.6)
    assert np.all(image[offset > 33] == 0)


def test_a_rotated_grid_gives_the_rotated_image():
    grid = VoxelGrid.axial((20, 20, 20), (3.0, 3.0, 3.0), (-28.5, -28.5, -28.5))
    values = np.random.default_rng(0).random((20, 20, 20, 1)).astype(np.float32)
    rotation = femur_rotation(Side.LEFT, {"flexion": 9.0, "abduction": 14.0, "rotation": -8.0})
    motion = affine(rotation, np.array([5.0, 3.0, 1.0]))
    moved_grid = VoxelGrid(grid.shape, motion @ grid.world_from_index)
    view = camera()
    np.testing.assert_allclose(
        cast(values, moved_grid, view), cast(values, grid, view.at(view.camera_from_world @ motion)), atol=1e-3
    )


def test_leaping_over_empty_voxels_changes_no_sum():
    rng = np.random.default_rng(1)
    grid = VoxelGrid.axial((40, 50, 45), (3.0, 3.0, 3.0), (-66.0, -73.5, -58.5))
    values = np.zeros((*grid.shape, 2), np.float32)
    for k, j, i in rng.integers(2, 36, (25, 3)):
        values[k : k + 3, j : j + 2, i : i + 4] = rng.random(2)
    view = camera()
    volume = RayVolume.of(values, grid)
    assert (volume.leaps > 3).mean() > 0.5
    never = RayVolume(volume.values, np.zeros_like(volume.leaps), grid, volume.count)
    np.testing.assert_allclose(cast_volume(volume, view), cast_volume(never, view), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(volume.channels, values)


def test_a_leap_never_passes_something():
    rng = np.random.default_rng(2)
    values = (rng.random((9, 12, 10, 1)) < 0.004).astype(np.float32)
    values[4, 6, 5] = 1.0
    volume = RayVolume.of(values, VoxelGrid.axial((9, 12, 10), (1.0, 1.0, 1.0)))
    occupied = np.argwhere(volume.leaps == 0)
    cells = np.indices(volume.leaps.shape).reshape(3, -1).T
    nearest = np.abs(cells[:, None] - occupied[None]).max(axis=2).min(axis=1)
    np.testing.assert_array_equal(volume.leaps.ravel(), nearest)


@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_every_channel_is_cast_alike(count):
    grid = VoxelGrid.axial((20, 20, 20), (3.0, 3.0, 3.0), (-28.5, -28.5, -28.5))
    values = np.random.default_rng(0).random((20, 20, 20, count)).astype(np.float32)
    together = cast(values, grid, camera())
    for channel in range(count):
        alone = cast(values[..., channel : channel + 1], grid, camera())
        np.testing.assert_allclose(together[..., channel], alone[..., 0], rtol=1e-5)


def test_more_channels_than_lanes_are_refused():
    with pytest.raises(ValueError, match="at most 8"):
        RayVolume.of(np.zeros((2, 2, 2, 9), np.float32), VoxelGrid.axial((2, 2, 2), (1.0, 1.0, 1.0)))
