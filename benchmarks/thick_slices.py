"""Thick slices for benchmarks: neighbouring slices averaged, as a scanner does."""

from __future__ import annotations

import numpy as np

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume


def in_thick_slices(volume: Volume, count: int) -> Volume:
    """Means of `count` slices each, as float32; what is left over at the end is dropped. Of a mask: its shares."""
    layers = volume.array.shape[0] // count
    shape = (layers, *volume.array.shape[1:])
    scale = affine(np.diag([count, 1.0, 1.0]), np.array([(count - 1) / 2, 0.0, 0.0]))
    grouped = volume.array[: layers * count].reshape(layers, count, *shape[1:])
    return Volume(grouped.mean(axis=1, dtype=np.float32), VoxelGrid(shape, volume.grid.world_from_index @ scale))
