"""A scalar or label volume with its voxel grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from osteoray.geometry.grids import VoxelGrid

Box = tuple[slice, slice, slice]
"""Indices of a box of voxels."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Values on a voxel grid.

    Attributes:
        array: values indexed `(k, j, i)`.
        grid: where the voxels lie.
    """

    array: Shaped[np.ndarray, "k j i"]
    grid: VoxelGrid

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise ValueError(f"array: expected shape {self.grid.shape} of its grid, got {self.array.shape}")

    def window(self, mask: Shaped[np.ndarray, "k j i"], margin_mm: float = 0.0) -> Box:
        """Indices of the smallest box of the volume that holds a mask and a margin around it.

        Raises:
            ValueError: the mask is empty.
        """
        edges = []
        for axis in range(3):
            inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if inside.size == 0:
                raise ValueError("mask: expected at least one voxel, got none")
            margin = int(np.ceil(margin_mm / self.grid.spacing_mm[axis]))
            start = max(int(inside[0]) - margin, 0)
            edges.append(slice(start, min(int(inside[-1]) + margin + 1, self.array.shape[axis])))
        k, j, i = edges
        return k, j, i

    def cut(self, window: Box) -> Volume:
        """The part of the volume at these indices."""
        array = self.array[window]
        return Volume(array, self.grid.crop(tuple(indices.start for indices in window), array.shape))

    def crop_to(self, mask: Shaped[np.ndarray, "k j i"], margin_mm: float = 0.0) -> Volume:
        """The smallest box of the volume that holds a mask and a margin around it.

        Raises:
            ValueError: the mask is empty.
        """
        return self.cut(self.window(mask, margin_mm))
