"""The axes of an axial grid are the coordinates of its voxels."""

import numpy as np

from osteoray.geometry.grids import VoxelGrid


def test_axes_are_the_coordinates_of_the_voxels():
    grid = VoxelGrid.axial((4, 5, 6), (3.0, 2.0, 1.5), (-7.0, 5.0, 11.0))
    x, y, z = grid.axes_mm()
    x, y, z = np.broadcast_arrays(x, y[:, None], z[:, None, None])
    np.testing.assert_allclose(np.stack([x, y, z], axis=-1), grid.coordinates_mm())
