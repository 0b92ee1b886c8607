"""Rays hit the surfaces that are there, at the right place and in the right light."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.report.surface_rendering import first_hit, render_surfaces, view_grid

RADIUS_MM = 20.0
X, Y, Z = np.eye(3)


def ball(grid, centre_mm, radius_mm=RADIUS_MM):
    return np.linalg.norm(grid.coordinates_mm() - np.asarray(centre_mm), axis=-1) < radius_mm


@pytest.fixture(scope="module")
def labels():
    """A ball left (1), and one right (2) that lies 60 mm farther back."""
    grid = VoxelGrid.axial((40, 75, 80), (2.0, 1.6, 1.5), (-60.0, -30.0, -40.0))
    array = np.zeros(grid.shape, np.uint8)
    array[ball(grid, [30.0, 0.0, 0.0])] = 1
    array[ball(grid, [-25.0, 60.0, 0.0])] = 2
    return Volume(array, grid)


def test_a_ball_is_hit_on_its_sphere_and_the_normal_points_out():
    index = np.indices((60, 50, 50)).astype(np.float32) - np.array([30, 25, 25], np.float32)[:, None, None, None]
    depth, normal = first_hit((20.5 - np.linalg.norm(index, axis=0)).astype(np.float32), 0.5)
    rows, columns = np.indices(depth.shape) - 25
    inside = rows**2 + columns**2 < 17**2
    expected = 30 - np.sqrt(np.maximum(20.0**2 - rows**2 - columns**2, 0))
    np.testing.assert_allclose(depth[inside], expected[inside], atol=0.1)
    outward = np.stack([expected - 30, rows, columns], axis=-1) / 20.0
    np.testing.assert_allclose(normal[inside], outward[inside], atol=0.06)
    assert np.isinf(depth[0, 0])


def test_from_in_front_the_patients_left_is_right_and_up_is_up(labels):
    view = view_grid(labels, Y, -Z, 1.0)
    _, there = render_surfaces(labels, {1: (1, 0, 0), 2: (0, 1, 0)}, view)
    for centre_mm in ([30.0, 0.0, 0.0], [-25.0, 60.0, 0.0]):
        _, row, column = np.rint(apply_affine(view.index_from_world, np.array(centre_mm))).astype(int)
        assert there[row, column]
        assert there[row - 18, column]
        assert not there[row - 22, column]
    left, right = (apply_affine(view.index_from_world, np.array([x, 0.0, 0.0]))[2] for x in (30.0, -25.0))
    assert left > right
    area = there.sum()
    assert area == pytest.approx(2 * np.pi * RADIUS_MM**2, rel=0.06)


def test_the_nearer_surface_hides_the_farther_and_is_brighter(labels):
    image, _ = render_surfaces(labels, {1: (1, 0, 0), 2: (0, 1, 0)}, view_grid(labels, Y, -Z, 1.0))
    assert image[..., 0].max() > image[..., 1].max()
    along = (np.array([-25.0, 60.0, 0.0]) - [30.0, 0.0, 0.0]) / np.hypot(55.0, 60.0)
    hidden, there = render_surfaces(labels, {1: (1, 0, 0), 2: (0, 1, 0)}, view_grid(labels, along, -Z, 1.0))
    assert hidden[..., 1].sum() < 0.01 * hidden[..., 0].sum()
    assert there.sum() == pytest.approx(np.pi * RADIUS_MM**2, rel=0.04)


def test_a_label_without_a_colour_is_not_shown(labels):
    image, _ = render_surfaces(labels, {2: (0, 1, 0)}, view_grid(labels, Y, -Z, 1.0))
    assert image[..., 0].max() == 0


def test_nothing_to_see_is_an_error(labels):
    with pytest.raises(ValueError, match="bones: expected a voxel"):
        view_grid(Volume(np.zeros_like(labels.array), labels.grid), Y, -Z, 1.0)
