"""What the networks see: box, working resolution, shares, neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.segmentation.inference import most_probable
from osteoray.segmentation.provided import on_grid
from osteoray.segmentation.sides import bones_of_classes
from osteoray.segmentation.slices import (
    central_window,
    network_input,
    network_target,
    resized_grid,
    with_neighbours,
    working_grid,
)


def test_the_central_window_keeps_bone_and_leaves_the_rest(pelvis_ct, pelvis_classes):
    box = pelvis_ct.cut(central_window(pelvis_ct))
    assert box.array.shape[0] == pelvis_ct.array.shape[0]
    assert box.array.size < 0.9 * pelvis_ct.array.size
    kept = on_grid(pelvis_classes, box.grid).array
    assert (kept > 0).sum() == (pelvis_classes.array > 0).sum()


def test_air_has_no_central_box(pelvis_ct):
    air = Volume(np.full_like(pelvis_ct.array, -1000), pelvis_ct.grid)
    assert air.cut(central_window(air)).array.shape == air.array.shape


@pytest.mark.parametrize("shape", [(10, 20, 30), (50, 41, 77)])
def test_a_resized_grid_has_the_same_outer_corners(shape):
    grid = VoxelGrid.axial((25, 40, 50), (2.0, 0.9, 0.8), (10.0, 20.0, 30.0))
    new = resized_grid(grid, shape)
    for corner in (-0.5, 1.0):
        ends = [
            apply_affine(g.world_from_index, np.where(corner < 0, -0.5, np.array(g.shape) - 0.5)) for g in (grid, new)
        ]
        np.testing.assert_allclose(*ends, atol=1e-9)


def test_thick_slices_are_not_made_thinner():
    grid = VoxelGrid.axial((20, 100, 100), (5.0, 1.0, 1.0))
    assert working_grid(grid, 2.0, 2.0).shape == (20, 50, 50)
    assert working_grid(grid, 2.0, 10.0).shape == (10, 50, 50)


def test_targets_return_to_the_ct_grid_where_they_came_from(pelvis_ct, pelvis_classes):
    box = pelvis_ct.cut(central_window(pelvis_ct))
    truth = on_grid(pelvis_classes, box.grid).array
    bones = Volume(bones_of_classes(Volume(truth, box.grid)), box.grid)
    shares = network_target(bones, working_grid(box.grid, 4.0, 4.0)) / np.float32(255)
    back = most_probable(shares, box.array.shape)
    assert 2 * ((back > 0) & (truth > 0)).sum() / ((back > 0).sum() + (truth > 0).sum()) > 0.97
    shift = np.argwhere(back > 0).mean(axis=0) - np.argwhere(truth > 0).mean(axis=0)
    assert np.abs(shift * box.grid.spacing_mm).max() < 0.1


def test_the_shares_of_a_voxel_are_the_volume_of_the_bone(pelvis_ct, pelvis_classes):
    bones = Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)
    grid = working_grid(bones.grid, 6.0, 6.0)
    hips, femurs, _ = network_target(bones, grid).sum(axis=(1, 2, 3)) / 255 * grid.voxel_mm3
    assert hips == pytest.approx(np.isin(bones.array, (1, 2)).sum() * bones.grid.voxel_mm3, rel=0.01)
    assert femurs == pytest.approx(np.isin(bones.array, (3, 4)).sum() * bones.grid.voxel_mm3, rel=0.01)


def test_the_window_maps_to_zero_and_one(pelvis_ct):
    values = network_input(pelvis_ct, 3.0, 3.0, (0.0, 500.0)).array
    assert values.min() == 0.0
    assert values.max() <= 1.0


def test_the_first_and_last_slice_stand_in_for_those_beyond():
    slices = torch.arange(4.0)[:, None, None].expand(4, 2, 2).contiguous()
    seen = with_neighbours(slices)[..., 0, 0]
    assert seen.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
