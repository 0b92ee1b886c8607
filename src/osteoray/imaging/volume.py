"""A scalar or label volume with its voxel grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from osteoray.geometry.grids import VoxelGrid


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

    def crop_to(self, mask: Shaped[np.ndarray, "k j i"], margin_mm: float = 0.0) -> Volume:
        """The smallest box of the volume that holds a mask and a margin around it.

        Raises:
            ValueError: the mask is empty.
        """
        start, stop = [], []
        for axis in range(3):
            inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if inside.size == 0:
                raise ValueError("mask: expected at least one voxel, got none")
            margin = int(np.ceil(margin_mm / self.grid.spacing_mm[axis]))
            start.append(max(int(inside[0]) - margin, 0))
            stop.append(min(int(inside[-1]) + margin + 1, self.array.shape[axis]))
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        array = self.array[box]
        return Volume(array, self.grid.crop(tuple(start), array.shape))
