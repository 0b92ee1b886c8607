import numpy as np
import pytest

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.scoring import areal_map_g_cm2, map_errors, sample_points, target_errors_mm
from osteoray.simulation.truth import part_of_ct


@pytest.fixture
def camera():
    pose = ap_camera_from_world(np.zeros(3), 800.0)
    return Camera.from_geometry(1000.0, (1.0, 1.0), (99.5, 99.5), (200, 200), pose)


def test_points_lie_in_the_mask():
    grid = VoxelGrid.axial((6, 6, 6), (2.0, 1.0, 1.0), (-3.0, -3.0, 10.0))
    mask = np.zeros(grid.shape, bool)
    mask[2:4, 1, 5] = True
    points = sample_points(mask, grid, 10, np.random.default_rng(0))
    assert sorted(map(tuple, points)) == [(2.0, -2.0, 14.0), (2.0, -2.0, 16.0)]


def test_a_lateral_shift_is_both_errors(camera):
    shifted = camera.at(affine(np.eye(3), np.array([2.0, 0.0, 0.0])) @ camera.camera_from_world)
    target_mm, projected_mm = target_errors_mm(np.array([[0.0, 0.0, 0.0], [0.0, 50.0, 0.0]]), shifted, camera)
    assert target_mm == pytest.approx(2.0)
    assert projected_mm == pytest.approx(2.0)


def test_a_shift_in_depth_hardly_projects(camera):
    deeper = camera.at(affine(np.eye(3), np.array([0.0, 0.0, 8.0])) @ camera.camera_from_world)
    target_mm, projected_mm = target_errors_mm(np.array([[40.0, 0.0, 0.0]]), deeper, camera)
    assert target_mm == pytest.approx(8.0)
    # 40 mm off the axis at 800 mm: 8 mm deeper moves the image by 40·(1 - 800/808) mm.
    assert projected_mm == pytest.approx(40 * (1 - 800 / 808), rel=1e-6)


def test_a_block_has_the_areal_density_of_its_depth(camera):
    grid = VoxelGrid.axial((31, 41, 31), (2.0, 2.0, 2.0), (-30.0, -40.0, -30.0))
    region = np.zeros(grid.shape, bool)
    region[5:-5, 10:-10, 5:-5] = True
    density = np.where(region, 300.0, 77.0)
    image = areal_map_g_cm2(part_of_ct(density, density, region, grid), camera)
    depth_mm = 21 * 2.0
    assert image[100, 100] == pytest.approx(300 * depth_mm * 1e-4, rel=0.01)
    assert image[0, 0] == 0


def test_a_map_one_tenth_too_high_is_ten_percent_off():
    true = np.zeros((8, 8))
    true[2:6, 2:6] = 0.5
    bias, rmse = map_errors(1.1 * true, true)
    assert bias == pytest.approx(0.1)
    assert rmse == pytest.approx(0.05)
