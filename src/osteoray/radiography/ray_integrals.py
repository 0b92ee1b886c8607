"""Exact projection: the line integral of density along each detector pixel's ray (Joseph, 1982).

A ray is sampled where it crosses the voxel planes of the array axis that it follows most closely, by bilinear
interpolation in the plane, and each sample stands for the path to the next plane. Accurate on unsmoothed volumes; the
density maps are made with it and the search renderer is tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numba import njit

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.geometry.rigid import invert_rigid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume

BRICK = 8
"""Edge in voxels of the bricks whose emptiness is looked up, so that rays leap over air."""
TILE = 8
"""Edge in pixels of the squares whose rays share that look-up."""


@dataclass(frozen=True, eq=False)
class RayIntegrals:
    """What the rays of a camera met.

    Attributes:
        areal_g_cm2: mass per area normal to the ray, g/cm².
        depth_mm: mean distance from the focus to the mass, along the camera's z axis; 0 where there is no mass.
    """

    areal_g_cm2: Float[np.ndarray, "rows columns"]
    depth_mm: Float[np.ndarray, "rows columns"]


def areal_density_g_cm2(density_mg_cm3: Volume, camera: Camera, *, supersample: int = 1) -> Float[np.ndarray, "r c"]:
    """Areal density of a volume on the detector, in g/cm² normal to each ray.

    Args:
        density_mg_cm3: density in mg/cm³; 0 outside the grid.
        camera: where the detector is.
        supersample: rays per pixel edge, averaged.
    """
    return ray_integrals(density_mg_cm3, camera, supersample=supersample).areal_g_cm2


def ray_integrals(density_mg_cm3: Volume, camera: Camera, *, supersample: int = 1) -> RayIntegrals:
    """Integrate along every ray: a bilinear sample on every plane of voxels that it crosses.

    Only pixels and planes where the volume's filled bricks can lie are visited. Depth is weighted by density where it
    is positive.

    Args:
        density_mg_cm3: density in mg/cm³; 0 outside the grid.
        camera: where the detector is.
        supersample: rays per pixel edge, averaged.
    """
    fine = camera.resized((camera.shape[0] * supersample, camera.shape[1] * supersample))
    mass = np.zeros(fine.shape, np.float32)
    depth_mm = np.zeros(fine.shape, np.float32)
    density, first_index = _with_empty_rim(density_mg_cm3.array)
    occupied = _occupied(density)
    if occupied.any():
        index_from_camera = density_mg_cm3.grid.index_from_world @ invert_rigid(camera.camera_from_world)
        index_from_camera[:3, 3] -= first_index
        window = _window(occupied, index_from_camera, fine)
        index_from_pixel = index_from_camera[:3, :3] @ np.linalg.inv(fine.K)
        focus = index_from_camera[:3, 3]
        _integrate(density.ravel(), density.shape, occupied, index_from_pixel, focus, fine.K, window, mass, depth_mm)
    blocks = (camera.shape[0], supersample, camera.shape[1], supersample)
    # Rays of a pixel count by their mass; where none is positive but some density was, any of their depths will do.
    met = np.maximum(mass, 0)
    moment, total = (values.reshape(blocks).sum(axis=(1, 3)) for values in (met * depth_mm, met))
    deepest_mm = depth_mm.reshape(blocks).max(axis=(1, 3))
    mean_depth_mm = np.where(total > 0, moment / np.where(total > 0, total, 1), deepest_mm)
    return RayIntegrals(mass.reshape(blocks).mean(axis=(1, 3)), mean_depth_mm.astype(np.float32))


def _with_empty_rim(array: Shaped[np.ndarray, "k j i"]) -> tuple[Float[np.ndarray, "k2 j2 i2"], int]:
    """The array in float32 with empty faces, and the index of its first voxel: 0, or -1 if voxels had to be added."""
    density = np.ascontiguousarray(array, np.float32)
    faces = [face for axis in range(3) for face in (density.take(0, axis), density.take(-1, axis))]
    return (np.pad(density, 1), -1) if any(face.any() for face in faces) else (density, 0)


def _window(
    occupied: Bool[np.ndarray, "kb jb ib"], index_from_camera: Float[np.ndarray, "4 4"], camera: Camera
) -> Int[np.ndarray, "4"]:
    """First and last-plus-one row and column that the filled bricks span; everything if they reach the focus."""
    bricks = np.argwhere(occupied)
    low, high = bricks.min(axis=0) * BRICK, (bricks.max(axis=0) + 1) * BRICK
    corners = np.array([(k, j, i) for k in (low[0], high[0]) for j in (low[1], high[1]) for i in (low[2], high[2])])
    corners_mm = apply_affine(np.linalg.inv(index_from_camera), corners.astype(float))
    if corners_mm[:, 2].min() <= 1.0:
        return np.array([0, camera.shape[0], 0, camera.shape[1]])
    pixels = (corners_mm @ camera.K.T / corners_mm[:, 2:])[:, 1::-1]
    first = np.clip(np.floor(pixels.min(axis=0)), 0, camera.shape).astype(int)
    stop = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, camera.shape).astype(int)
    return np.array([first[0], stop[0], first[1], stop[1]])


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _occupied(density):
    """Bricks in which any trilinear cell has a non-zero corner; empty rows, which most are, go at memory's speed."""
    depth, height, width = density.shape
    bricks = np.zeros(((depth - 1) // BRICK + 1, (height - 1) // BRICK + 1, (width - 1) // BRICK + 1), np.bool_)
    for k in range(depth):
        for j in range(height):
            row = density[k, j]
            if _size(row) == 0:
                continue
            # The far corners of a brick's last cells are the first voxels of the next one.
            first_a, first_b = max(k - 1, 0) // BRICK, max(j - 1, 0) // BRICK
            for c in range(bricks.shape[2]):
                if _size(row[c * BRICK : (c + 1) * BRICK + 1]) != 0:
                    bricks[first_a : k // BRICK + 1, first_b : j // BRICK + 1, c] = True
    return bricks


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc"})
@no_type_check
def _size(voxels):
    """Sum of the sizes: 0 if and only if every voxel is."""
    total = np.float32(0)
    for i in range(voxels.size):
        total += abs(voxels[i])
    return total


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _integrate(density, shape, occupied, index_from_pixel, focus, K, window, mass, depth_mm):
    """Fill `mass` with g/cm² and `depth_mm`. Rays of a tile of pixels share the list of blocks of planes to visit."""
    visited = np.zeros(max(shape) // BRICK + 1, np.bool_)
    for top in range(window[0], window[1], TILE):
        bottom = min(top + TILE, window[1])
        for left in range(window[2], window[3], TILE):
            right = min(left + TILE, window[3])
            middle = _direction(index_from_pixel, 0.5 * (top + bottom - 1), 0.5 * (left + right - 1))
            main = 0
            for axis in (1, 2):
                if abs(middle[axis]) > abs(middle[main]):
                    main = axis
            if not _visit(shape, occupied, index_from_pixel, focus, main, top, bottom - 1, left, right - 1, visited):
                continue
            for row in range(top, bottom):
                for column in range(left, right):
                    ray = _direction(index_from_pixel, row, column)
                    total, positive, moment = _ray(density, shape, focus, ray, main, visited)
                    x, y = (column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1]
                    path = np.sqrt(1.0 + x * x + y * y) / abs(ray[main])
                    mass[row, column] = total * path * AREAL_G_CM2_FROM_MG_CM3_MM
                    if positive > 0.0:
                        depth_mm[row, column] = (moment / positive - focus[main]) / ray[main]


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
@no_type_check
def _direction(index_from_pixel, row, column):
    """Change of voxel index per millimetre of depth along the ray of a pixel."""
    m = index_from_pixel
    return (
        m[0, 0] * column + m[0, 1] * row + m[0, 2],
        m[1, 0] * column + m[1, 1] * row + m[1, 2],
        m[2, 0] * column + m[2, 1] * row + m[2, 2],
    )


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _visit(shape, occupied, index_from_pixel, focus, main, top, bottom, left, right, visited):
    """Mark the blocks of planes in which the rays between four corner pixels may meet mass; False if there is none."""
    a, b = (main + 1) % 3, (main + 2) % 3
    some = False
    for block in range(shape[main] // BRICK + 1):
        low_a = low_b = 1e9
        high_a = high_b = -1e9
        ahead = behind = False
        for plane in (block * BRICK, block * BRICK + BRICK - 1):
            for row in (top, bottom):
                for column in (left, right):
                    ray = _direction(index_from_pixel, row, column)
                    t = (plane - focus[main]) / ray[main]
                    ahead, behind = ahead or t > 0.0, behind or not t > 0.0
                    place_a, place_b = focus[a] + t * ray[a], focus[b] + t * ray[b]
                    low_a, high_a = min(low_a, place_a), max(high_a, place_a)
                    low_b, high_b = min(low_b, place_b), max(high_b, place_b)
        # A block that the focus lies in is visited whatever it holds: corners do not bound its rays.
        visited[block] = ahead and (behind or _any(occupied, main, block, low_a, high_a, low_b, high_b))
        some = some or visited[block]
    return some


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _any(occupied, main, block, low_a, high_a, low_b, high_b):
    """Whether a box of voxel indices within one block of planes touches an occupied brick."""
    a, b = (main + 1) % 3, (main + 2) % 3
    if block >= occupied.shape[main]:
        return False
    for brick_a in range(max(0, int(low_a) // BRICK), min(occupied.shape[a] - 1, int(high_a) // BRICK) + 1):
        for brick_b in range(max(0, int(low_b) // BRICK), min(occupied.shape[b] - 1, int(high_b) // BRICK) + 1):
            if main == 0:
                found = occupied[block, brick_a, brick_b]
            elif main == 1:
                found = occupied[brick_b, block, brick_a]
            else:
                found = occupied[brick_a, brick_b, block]
            if found:
                return True
    return False


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _ray(density, shape, focus, ray, main, visited):
    """Sum of the bilinear samples on the planes that a ray crosses; of the positive ones; and of those times plane."""
    a, b = (main + 1) % 3, (main + 2) % 3
    stride = (shape[1] * shape[2], shape[2], 1)
    slope_a, slope_b = ray[a] / ray[main], ray[b] / ray[main]
    start_a, start_b = focus[a] - slope_a * focus[main], focus[b] - slope_b * focus[main]
    low, high = _clip(start_a, slope_a, shape[a] - 1.0, 0.0, shape[main] - 1.0)
    low, high = _clip(start_b, slope_b, shape[b] - 1.0, low, high)
    if ray[main] > 0.0:
        low = max(low, focus[main])
    else:
        high = min(high, focus[main])
    first, stop = int(np.ceil(low)), int(np.floor(high)) + 1
    total = positive = moment = 0.0
    for block in range(first // BRICK, (stop - 1) // BRICK + 1):
        if visited[block]:
            begin, end = max(first, block * BRICK), min(stop, (block + 1) * BRICK)
            sums = _block(density, begin, end, start_a, slope_a, start_b, slope_b, stride[main], stride[a], stride[b])
            total += sums[0]
            positive += sums[1]
            moment += sums[2]
    return total, positive, moment


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _block(density, begin, end, start_a, slope_a, start_b, slope_b, stride, stride_a, stride_b):
    """`_ray`'s sums over a few planes, in float32."""
    total = positive = moment = np.float32(0)
    for plane in range(begin, end):
        place_a, place_b = start_a + slope_a * plane, start_b + slope_b * plane
        at_a, at_b = int(place_a), int(place_b)
        u, v = np.float32(place_a - at_a), np.float32(place_b - at_b)
        at = np.uint32(plane * stride + at_a * stride_a + at_b * stride_b)
        upper = density[at] + v * (density[at + stride_b] - density[at])
        at += np.uint32(stride_a)
        lower = density[at] + v * (density[at + stride_b] - density[at])
        value = upper + u * (lower - upper)
        total += value
        value = max(value, np.float32(0))
        positive += value
        moment += value * np.float32(plane)
    return total, positive, moment


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
@no_type_check
def _clip(start, slope, limit, low, high):
    """Part of [low, high] in which start + slope * plane lies in [0, limit), less a hair."""
    limit -= 1e-6
    if abs(slope) < 1e-12:
        return (low, high) if 0.0 <= start < limit else (1.0, 0.0)
    one, other = -start / slope, (limit - start) / slope
    return max(low, min(one, other)), min(high, max(one, other))
