"""Line integrals through voxels from an X-ray focus: Joseph's method, plane by plane along the beam.

Every ray takes one bilinear sample in each plane of voxels across the dominant axis (Joseph 1982), weighted by the
length of ray between planes. It is exact for values linear in a plane and shares no code with the projectors that the
rest of the project uses, so that simulated images are an independent test of them. Rays leap over empty voxels
(Zuiderveld 1992), which changes no sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Float32, UInt8

from osteoray.geometry.camera import Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid

MAX_CHANNELS = 8
"""Quantities of one pass: as many as fill a vector register."""


@dataclass(frozen=True, eq=False)
class RayVolume:
    """Voxels laid out for rays: along the beam in memory, with a border of zeros, and how far rays may leap.

    Attributes:
        values: by `(k + 1, i + 1, j, channel)`; channels are filled up with zeros to 4 or 8.
        leaps: planes that a ray may skip from each cell of four neighbours; 0 where one of them holds something.
        grid: where the voxels lie, without the border.
        count: how many of the channels mean something.
    """

    values: Float32[np.ndarray, "k2 i2 j lanes"]
    leaps: UInt8[np.ndarray, "k1 i1 j"]
    grid: VoxelGrid
    count: int

    @classmethod
    def of(cls, channels: Float[np.ndarray, "k j i channels"], grid: VoxelGrid) -> RayVolume:
        """Lay out voxels.

        Args:
            channels: values at voxel centres, zero outside; up to 8 quantities at once.
            grid: where the voxels lie; axis j must be the one closest to the beam.

        Raises:
            ValueError: too many quantities.
        """
        k, j, i, count = channels.shape
        if count > MAX_CHANNELS:
            raise ValueError(f"channels: expected at most {MAX_CHANNELS} quantities, got {count}")
        values = np.zeros((k + 2, i + 2, j, 4 if count <= 4 else MAX_CHANNELS), np.float32)
        values[1:-1, 1:-1, :, :count] = channels.transpose(0, 2, 1, 3)
        leaps = np.empty((k + 1, i + 1, j), np.uint8)
        _occupied_cells(values, leaps)
        _chessboard_distances(leaps)
        return cls(values, leaps, grid, count)

    @property
    def channels(self) -> Float32[np.ndarray, "k j i channels"]:
        """The voxels as they were given."""
        return self.values[1:-1, 1:-1, :, : self.count].transpose(0, 2, 1, 3)


def cast(
    channels: Float[np.ndarray, "k j i channels"], grid: VoxelGrid, camera: Camera
) -> Float[np.ndarray, "rows columns channels"]:
    """Integrals along the rays of a camera, in the channels' unit times mm.

    Args:
        channels: values at voxel centres, zero outside; up to 8 quantities at once.
        grid: where the voxels lie; axis j must be the one closest to the beam.
        camera: focus, detector and pose.
    """
    return cast_volume(RayVolume.of(channels, grid), camera)


def cast_volume(volume: RayVolume, camera: Camera) -> Float32[np.ndarray, "rows columns channels"]:
    """Integrals along the rays of a camera through voxels that were laid out before.

    Args:
        volume: voxels.
        camera: focus, detector and pose.
    """
    index_from_camera = volume.grid.index_from_world @ invert_rigid(camera.camera_from_world)
    origin = index_from_camera[:3, 3]
    # Ray through pixel (row, column) in the camera frame is K^-1 (column, row, 1).
    step = index_from_camera[:3, :3] @ np.linalg.inv(camera.K)
    out = np.zeros((*camera.shape, volume.values.shape[3]), np.float32)
    world_from_index = np.ascontiguousarray(volume.grid.world_from_index[:3, :3])
    _KERNELS[out.shape[2]](volume.values, volume.leaps, origin, step, world_from_index, out)
    return out[..., : volume.count]


def _kernel(lanes: int) -> Callable[..., None]:
    """The loop over rays for a number of channels that is known to the compiler."""

    @numba.njit(cache=True, fastmath=True)
    def integrate(values, leaps, origin, step, world_from_index, out):
        planes_k, planes_i, planes_j = values.shape[0] - 2, values.shape[1] - 2, values.shape[2]
        sums = np.zeros(lanes, np.float32)
        for row in range(out.shape[0]):
            for column in range(out.shape[1]):
                along_j = step[1, 0] * column + step[1, 1] * row + step[1, 2]
                slope_k = (step[0, 0] * column + step[0, 1] * row + step[0, 2]) / along_j
                slope_i = (step[2, 0] * column + step[2, 1] * row + step[2, 2]) / along_j
                first_k, first_i = origin[0] - origin[1] * slope_k, origin[2] - origin[1] * slope_i
                low, high = _inside(first_k, slope_k, planes_k, 0.0, planes_j - 1.0)
                low, high = _inside(first_i, slope_i, planes_i, low, high)
                if low > high:
                    continue
                for c in range(lanes):
                    sums[c] = 0.0
                j, last = int(np.ceil(low)), int(np.floor(high))
                while j <= last:
                    # Never negative: index 0 is the border.
                    k, i = first_k + j * slope_k + 1.0, first_i + j * slope_i + 1.0
                    k0, i0 = int(k), int(i)
                    leap = leaps[k0, i0, j]
                    if leap > 0:
                        j += leap
                        continue
                    wk, wi = np.float32(k - k0), np.float32(i - i0)
                    w11 = wk * wi
                    w10, w01 = wk - w11, wi - w11
                    w00 = np.float32(1.0) - wk - w01
                    for c in range(lanes):
                        sums[c] += (
                            w00 * values[k0, i0, j, c]
                            + w01 * values[k0, i0 + 1, j, c]
                            + w10 * values[k0 + 1, i0, j, c]
                            + w11 * values[k0 + 1, i0 + 1, j, c]
                        )
                    j += 1
                length = 0.0
                for axis in range(3):
                    length += (
                        world_from_index[axis, 0] * slope_k
                        + world_from_index[axis, 1]
                        + world_from_index[axis, 2] * slope_i
                    ) ** 2
                length = np.sqrt(length)
                for c in range(lanes):
                    out[row, column, c] = sums[c] * length

    return integrate


_KERNELS = {4: _kernel(4), MAX_CHANNELS: _kernel(MAX_CHANNELS)}


@numba.njit(cache=True)
def _inside(first, slope, count, low, high):
    """Planes j for which `first + j * slope` lies less than one voxel outside [0, count - 1]."""
    # A hair less than one voxel, so that rounding never leaves the border of zeros.
    reach = 1.0 - 1e-9
    if abs(slope) < 1e-12:
        return (low, high) if -reach <= first <= count - 1 + reach else (1.0, 0.0)
    enter, leave = (-reach - first) / slope, (count - 1 + reach - first) / slope
    if enter > leave:
        enter, leave = leave, enter
    return max(low, enter), min(high, leave)


@numba.njit(cache=True)
def _occupied_cells(values, leaps):
    """0 where one of the four corners of a cell in a plane holds something, else 255."""
    for k in range(leaps.shape[0]):
        for i in range(leaps.shape[1]):
            for j in range(leaps.shape[2]):
                leaps[k, i, j] = 255
                for c in range(values.shape[3]):
                    if (
                        values[k, i, j, c] != 0.0
                        or values[k, i + 1, j, c] != 0.0
                        or values[k + 1, i, j, c] != 0.0
                        or values[k + 1, i + 1, j, c] != 0.0
                    ):
                        leaps[k, i, j] = 0
                        break


@numba.njit(cache=True)
def _chessboard_distances(cells):
    """Largest of the distances along k, i and j to the nearest 0, in place, by one pass each way (Rosenfeld 1968).

    A ray moves at most one cell across for every plane, so it may leap this many planes.
    """
    size_k, size_i, size_j = cells.shape
    for way in (1, -1):
        for a in range(size_k):
            for b in range(size_i):
                for c in range(size_j):
                    k, i, j = (a, b, c) if way == 1 else (size_k - 1 - a, size_i - 1 - b, size_j - 1 - c)
                    best = int(cells[k, i, j])
                    if best == 0:
                        continue
                    for dk in range(-1, 1):
                        for di in range(-1, 2):
                            for dj in range(-1, 2):
                                # The half of the neighbours that the pass has visited.
                                if dk == 0 and (di > 0 or (di == 0 and dj >= 0)):
                                    continue
                                nk, ni, nj = k + way * dk, i + way * di, j + way * dj
                                if 0 <= nk < size_k and 0 <= ni < size_i and 0 <= nj < size_j:
                                    best = min(best, int(cells[nk, ni, nj]) + 1)
                    cells[k, i, j] = best
