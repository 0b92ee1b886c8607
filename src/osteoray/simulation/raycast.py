"""Line integrals through voxels from an X-ray focus: Joseph's method, plane by plane along the beam.

Every ray takes one bilinear sample in each plane of voxels across the dominant axis (Joseph 1982), weighted by the
length of ray between planes. It is exact for values linear in a plane and shares no code with the projectors that the
rest of the project uses, so that simulated images are an independent test of them.
"""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float

from osteoray.geometry.camera import Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid


def cast(
    channels: Float[np.ndarray, "k j i channels"], grid: VoxelGrid, camera: Camera
) -> Float[np.ndarray, "rows columns channels"]:
    """Integrals along the rays of a camera, in the channels' unit times mm.

    Args:
        channels: values at voxel centres, zero outside; several quantities at once.
        grid: where the voxels lie; axis j must be the one closest to the beam.
        camera: focus, detector and pose.
    """
    index_from_camera = grid.index_from_world @ invert_rigid(camera.camera_from_world)
    origin = index_from_camera[:3, 3]
    # Ray through pixel (row, column) in the camera frame is K^-1 (column, row, 1).
    step = index_from_camera[:3, :3] @ np.linalg.inv(camera.K)
    out = np.zeros((*camera.shape, channels.shape[3]), np.float32)
    _cast(
        np.ascontiguousarray(channels, np.float32),
        origin,
        step,
        np.ascontiguousarray(grid.world_from_index[:3, :3]),
        out,
    )
    return out


@numba.njit(cache=True, fastmath=True)
def _cast(channels, origin, step, world_from_index, out):
    planes_k, planes_j, planes_i, count = channels.shape
    sums = np.zeros(count)
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
            sums[:] = 0.0
            for j in range(int(np.ceil(low)), int(np.floor(high)) + 1):
                k, i = first_k + j * slope_k, first_i + j * slope_i
                k0, i0 = int(np.floor(k)), int(np.floor(i))
                wk, wi = k - k0, i - i0
                for dk in range(2):
                    if k0 + dk < 0 or k0 + dk >= planes_k:
                        continue
                    for di in range(2):
                        if i0 + di < 0 or i0 + di >= planes_i:
                            continue
                        weight = (wk if dk else 1.0 - wk) * (wi if di else 1.0 - wi)
                        for c in range(count):
                            sums[c] += weight * channels[k0 + dk, j, i0 + di, c]
            length = 0.0
            for axis in range(3):
                length += (
                    world_from_index[axis, 0] * slope_k
                    + world_from_index[axis, 1]
                    + world_from_index[axis, 2] * slope_i
                ) ** 2
            for c in range(count):
                out[row, column, c] = sums[c] * np.sqrt(length)


@numba.njit(cache=True)
def _inside(first, slope, count, low, high):
    """Planes j for which `first + j * slope` lies less than one voxel outside [0, count - 1]."""
    if abs(slope) < 1e-12:
        return (low, high) if -1.0 < first < count else (1.0, 0.0)
    enter, leave = (-1.0 - first) / slope, (count - first) / slope
    if enter > leave:
        enter, leave = leave, enter
    return max(low, enter), min(high, leave)
