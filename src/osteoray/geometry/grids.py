"""A voxel grid: the shape of an array and where its voxels lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine, apply_affine


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """Voxel centres of an array indexed `(k, j, i)`.

    Attributes:
        shape: number of voxels along k, j, i.
        world_from_index: maps `(k, j, i)` to LPS millimetres.
    """

    shape: tuple[int, ...]
    world_from_index: Float[np.ndarray, "4 4"]

    @classmethod
    def axial(
        cls,
        shape: tuple[int, ...],
        spacing_mm: tuple[float, ...],
        origin_mm: tuple[float, ...] = (0.0, 0.0, 0.0),
    ) -> VoxelGrid:
        """Grid aligned with the patient: k to superior, j to posterior, i to left.

        Args:
            shape: number of voxels along k, j, i.
            spacing_mm: voxel size along k, j, i.
            origin_mm: LPS position of voxel (0, 0, 0).
        """
        linear = np.zeros((3, 3))
        linear[2, 0], linear[1, 1], linear[0, 2] = spacing_mm
        return cls(shape, affine(linear, np.asarray(origin_mm, float)))

    @property
    def spacing_mm(self) -> Float[np.ndarray, "3"]:
        """Voxel size along k, j, i in millimetres."""
        return np.linalg.norm(self.world_from_index[:3, :3], axis=0)

    @property
    def index_from_world(self) -> Float[np.ndarray, "4 4"]:
        """Maps LPS millimetres to `(k, j, i)`."""
        return np.linalg.inv(self.world_from_index)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.world_from_index[:3, :3])))

    @property
    def centre_mm(self) -> Float[np.ndarray, "3"]:
        """LPS position of the middle of the grid."""
        return apply_affine(self.world_from_index, (np.array(self.shape) - 1) / 2)

    def crop(self, start: tuple[int, ...], shape: tuple[int, ...]) -> VoxelGrid:
        """Grid of the sub-array that begins at index `start`."""
        origin_mm = apply_affine(self.world_from_index, np.asarray(start, float))
        return VoxelGrid(shape, affine(self.world_from_index[:3, :3], origin_mm))

    def coordinates_mm(self) -> Float[np.ndarray, "k j i 3"]:
        """LPS position of every voxel centre."""
        index = np.stack(np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij"), axis=-1)
        return apply_affine(self.world_from_index, index.astype(float))

    def axes_mm(self) -> tuple[Float[np.ndarray, " i"], Float[np.ndarray, " j"], Float[np.ndarray, " k"]]:
        """World x along i, y along j and z along k of the voxels of an axial grid."""
        x, y, z = (
            self.world_from_index[world, 3] + self.world_from_index[world, axis] * np.arange(self.shape[axis])
            for world, axis in ((0, 2), (1, 1), (2, 0))
        )
        return x, y, z

    def matches(self, other: VoxelGrid, tolerance_mm: float = 1e-3) -> bool:
        """Whether two grids have the same voxels."""
        return self.shape == other.shape and np.allclose(
            self.world_from_index, other.world_from_index, atol=tolerance_mm
        )
