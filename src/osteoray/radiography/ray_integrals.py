"""Exact projection: the line integral of density along each detector pixel's ray, by marching through the volume.

Slow and accurate; the density maps are made with it and the search renderer is tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float
from numba import njit

from osteoray.geometry.camera import Camera
from osteoray.geometry.rigid import invert_rigid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume

BRICK = 8
"""Edge in voxels of the bricks whose emptiness is looked up, so that rays leap over air."""


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
    """March every ray through the volume: trilinear samples at most half a voxel apart along every axis.

    Only the pixels onto which the volume's filled part can fall are marched. Depth is weighted by density where it is
    positive.

    Args:
        density_mg_cm3: density in mg/cm³; 0 outside the grid.
        camera: where the detector is.
        supersample: rays per pixel edge, averaged.
    """
    fine = camera.resized((camera.shape[0] * supersample, camera.shape[1] * supersample))
    mass = np.zeros(fine.shape, np.float32)
    depth_mm = np.zeros(fine.shape, np.float32)
    filled = density_mg_cm3.array != 0
    if filled.any():
        box = density_mg_cm3.crop_to(filled)
        padded = np.pad(box.array.astype(np.float32, copy=False), 1)
        index_from_camera = box.grid.index_from_world @ invert_rigid(camera.camera_from_world)
        index_from_camera[:3, 3] += 1.0
        index_from_pixel = index_from_camera[:3, :3] @ np.linalg.inv(fine.K)
        window = _window(box, fine)
        _march(padded, _occupied(padded), index_from_pixel, index_from_camera[:3, 3], fine.K, window, mass, depth_mm)
    blocks = (camera.shape[0], supersample, camera.shape[1], supersample)
    hits = np.maximum((depth_mm > 0).reshape(blocks).sum(axis=(1, 3)), 1)
    mean_depth_mm = depth_mm.reshape(blocks).sum(axis=(1, 3)) / hits
    return RayIntegrals(mass.reshape(blocks).mean(axis=(1, 3)), mean_depth_mm.astype(np.float32))


def _window(box: Volume, camera: Camera) -> np.ndarray:
    """First and last-plus-one row and column that the corners of the box span; everything if it reaches the focus."""
    k, j, i = box.array.shape
    corners = np.array([(a, b, c) for a in (-1, k) for b in (-1, j) for c in (-1, i)], float)
    corners_mm = corners @ box.grid.world_from_index[:3, :3].T + box.grid.world_from_index[:3, 3]
    depth_mm = corners_mm @ camera.camera_from_world[2, :3] + camera.camera_from_world[2, 3]
    if depth_mm.min() <= 1.0:
        return np.array([0, camera.shape[0], 0, camera.shape[1]])
    pixels = camera.project(corners_mm)
    low = np.clip(np.floor(pixels.min(axis=0)), 0, camera.shape).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, camera.shape).astype(int)
    return np.array([low[0], high[0], low[1], high[1]])


def _occupied(padded: Float[np.ndarray, "k j i"]) -> Bool[np.ndarray, "kb jb ib"]:
    """Bricks in which any trilinear cell has a non-zero corner."""
    cells = padded != 0
    for axis in range(3):
        cells[(slice(None),) * axis + (slice(None, -1),)] |= cells[(slice(None),) * axis + (slice(1, None),)]
    cells = np.pad(cells, [(0, -n % BRICK) for n in cells.shape])
    k, j, i = (n // BRICK for n in cells.shape)
    return np.asarray(cells.reshape(k, BRICK, j, BRICK, i, BRICK).any(axis=(1, 3, 5)))


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _march(density, occupied, index_from_pixel, focus_index, K, window, mass, depth_mm):
    """Fill `mass` with g/cm² and `depth_mm`; the ray parameter t is depth z in the camera, mm."""
    limit = (density.shape[0] - 1.0, density.shape[1] - 1.0, density.shape[2] - 1.0)
    fk, fj, fi = focus_index
    for row in range(window[0], window[1]):
        for column in range(window[2], window[3]):
            gk = index_from_pixel[0, 0] * column + index_from_pixel[0, 1] * row + index_from_pixel[0, 2]
            gj = index_from_pixel[1, 0] * column + index_from_pixel[1, 1] * row + index_from_pixel[1, 2]
            gi = index_from_pixel[2, 0] * column + index_from_pixel[2, 1] * row + index_from_pixel[2, 2]
            start, stop = _clip(fk, gk, limit[0], 0.0, 1e9)
            start, stop = _clip(fj, gj, limit[1], start, stop)
            start, stop = _clip(fi, gi, limit[2], start, stop)
            if stop <= start:
                continue
            steps = int(np.ceil((stop - start) * 2.0 * max(abs(gk), abs(gj), abs(gi))))
            step = (stop - start) / steps
            total, positive, depth = 0.0, 0.0, 0.0
            n = 0
            while n < steps:
                t = start + (n + 0.5) * step
                k, j, i = fk + t * gk, fj + t * gj, fi + t * gi
                ck, cj, ci = int(k), int(j), int(i)
                bk, bj, bi = ck // BRICK, cj // BRICK, ci // BRICK
                if not occupied[bk, bj, bi]:
                    leave = min(_leave(fk, gk, bk), min(_leave(fj, gj, bj), _leave(fi, gi, bi)))
                    n = max(n + 1, int((leave - start) / step + 0.5))
                    continue
                value = _trilinear(density, ck, cj, ci, k - ck, j - cj, i - ci)
                total += value
                if value > 0.0:
                    positive += value
                    depth += value * t
                n += 1
            x, y = (column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1]
            mass[row, column] = total * step * np.sqrt(1.0 + x * x + y * y) * AREAL_G_CM2_FROM_MG_CM3_MM
            if positive > 0.0:
                depth_mm[row, column] = depth / positive


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
@no_type_check
def _clip(focus, slope, limit, start, stop):
    """Part of [start, stop] in which focus + t * slope lies in [0, limit)."""
    if abs(slope) < 1e-12:
        return (start, stop) if 0.0 <= focus < limit else (0.0, 0.0)
    a, b = -focus / slope, (limit * (1 - 1e-12) - focus) / slope
    return max(start, min(a, b)), min(stop, max(a, b))


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
@no_type_check
def _leave(focus, slope, brick):
    """Parameter at which the ray leaves a brick along one axis."""
    if abs(slope) < 1e-12:
        return 1e9
    edge = (brick + 1) * BRICK if slope > 0 else brick * BRICK
    return (edge - focus) / slope


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
@no_type_check
def _trilinear(density, k, j, i, wk, wj, wi):
    a = density[k, j, i] * (1 - wi) + density[k, j, i + 1] * wi
    b = density[k, j + 1, i] * (1 - wi) + density[k, j + 1, i + 1] * wi
    c = density[k + 1, j, i] * (1 - wi) + density[k + 1, j, i + 1] * wi
    d = density[k + 1, j + 1, i] * (1 - wi) + density[k + 1, j + 1, i + 1] * wi
    return (a * (1 - wj) + b * wj) * (1 - wk) + (c * (1 - wj) + d * wj) * wk
