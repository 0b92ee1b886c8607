import numpy as np

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid


def test_axial_grid_points_to_left_posterior_superior():
    grid = VoxelGrid.axial((4, 5, 6), (3.0, 2.0, 1.0), (-10.0, -20.0, -30.0))
    position_mm = apply_affine(grid.world_from_index, np.array([1.0, 1.0, 1.0]))
    np.testing.assert_allclose(position_mm, [-9.0, -18.0, -27.0])
    np.testing.assert_allclose(grid.spacing_mm, [3.0, 2.0, 1.0])
    assert grid.voxel_mm3 == 6.0


def test_cropped_grid_keeps_world_positions():
    grid = VoxelGrid.axial((8, 8, 8), (1.5, 1.0, 0.5))
    cropped = grid.crop((2, 3, 4), (4, 4, 4))
    np.testing.assert_allclose(cropped.coordinates_mm(), grid.coordinates_mm()[2:6, 3:7, 4:8])


def test_index_and_world_are_inverse():
    grid = VoxelGrid.axial((3, 3, 3), (2.0, 2.0, 2.0), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(grid.index_from_world @ grid.world_from_index, np.eye(4), atol=1e-12)


def test_grids_match_by_shape_and_place():
    grid = VoxelGrid.axial((3, 3, 3), (2.0, 2.0, 2.0))
    assert grid.matches(VoxelGrid.axial((3, 3, 3), (2.0, 2.0, 2.0)))
    assert not grid.matches(VoxelGrid.axial((3, 3, 3), (2.0, 2.0, 2.0), (0.1, 0.0, 0.0)))
