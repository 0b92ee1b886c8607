"""Smooth random fields: normal noise on a coarse lattice, interpolated to voxels or to points."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.grids import VoxelGrid


def random_field(grid: VoxelGrid, length_mm: float, rng: np.random.Generator) -> Float32[np.ndarray, "k j i"]:
    """Zero-mean random values that change over a length, standard deviation about 0.55.

    Args:
        grid: where.
        length_mm: lattice spacing; trilinear in between.
        rng: source of the lattice values.
    """
    steps = grid.spacing_mm / length_mm
    shape = tuple(int(np.ceil(n * step)) + 2 for n, step in zip(grid.shape, steps, strict=True))
    lattice = rng.standard_normal(shape, dtype=np.float32)
    return _trilinear(lattice, steps, np.array(grid.shape))


@numba.njit(cache=True, fastmath=True)
def _trilinear(lattice, steps, shape):
    """Values of a lattice at the voxels of a finer one."""
    out = np.empty((shape[0], shape[1], shape[2]), np.float32)
    for k in range(shape[0]):
        z = int(k * steps[0])
        fz = k * steps[0] - z
        for j in range(shape[1]):
            y = int(j * steps[1])
            fy = j * steps[1] - y
            plane = (1 - fz) * ((1 - fy) * lattice[z, y] + fy * lattice[z, y + 1]) + fz * (
                (1 - fy) * lattice[z + 1, y] + fy * lattice[z + 1, y + 1]
            )
            for i in range(shape[2]):
                x = int(i * steps[2])
                fx = i * steps[2] - x
                out[k, j, i] = (1 - fx) * plane[x] + fx * plane[x + 1]
    return out


def noise_at(coordinates: Float[np.ndarray, "n 3"], seed: int) -> Float32[np.ndarray, "n"]:
    """Zero-mean, unit-variance random values at points of a curved coordinate system, 1 the length of change.

    Normal-like numbers hashed from the integer corners of the cell, interpolated smoothly, so that nothing is stored.

    Args:
        coordinates: already divided by the wanted lengths along each axis.
        seed: of the field, 0 to 2**31.
    """
    return _hashed_noise(np.ascontiguousarray(coordinates, np.float32), seed)


@numba.njit(cache=True, fastmath=True)
def _hashed_noise(coordinates, seed):
    """Value noise: smooth interpolation of hashed corners, scaled to unit variance on average."""
    out = np.empty(len(coordinates), np.float32)
    for n in range(len(coordinates)):
        a, b, c = np.floor(coordinates[n, 0]), np.floor(coordinates[n, 1]), np.floor(coordinates[n, 2])
        u, v, w = coordinates[n, 0] - a, coordinates[n, 1] - b, coordinates[n, 2] - c
        u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
        total, power = 0.0, 0.0
        for corner in range(8):
            i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
            weight = (u if i else 1 - u) * (v if j else 1 - v) * (w if k else 1 - w)
            # Products of 32-bit words in 64 bits, cut back: integers of numba widen.
            h = (np.int64(a) + i) * 0x1E3779B1 + (np.int64(b) + j) * 0x5EBCA77 + (np.int64(c) + k) * 0x42B2AE3D + seed
            h = (h ^ (h >> 15)) & 0x7FFFFFFF
            h = (h * 0x2C1B3C6D) & 0x7FFFFFFF
            h = ((h ^ (h >> 12)) * 0x297A2D39) & 0x7FFFFFFF
            h = h ^ (h >> 15)
            # Uniform with unit variance.
            total += weight * (h * 2.0**-31 - 0.5) * 3.4641016
            power += weight * weight
        out[n] = total / np.sqrt(power)
    return out


Deformation = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]]
"""A displacement of points in millimetres."""


class Wobble:
    """A smooth random displacement of points: a few Gaussian bumps with random directions."""

    def __init__(self, rng: np.random.Generator, reach_mm: float, amplitude_mm: float, bumps: int = 12):
        """Draw bumps within 130 mm of the origin.

        Args:
            rng: source of the bumps.
            reach_mm: standard deviation of a bump.
            amplitude_mm: typical displacement.
            bumps: how many.
        """
        self._centres_mm = rng.uniform(-130.0, 130.0, (bumps, 3))
        self._shifts_mm = rng.normal(0.0, amplitude_mm, (bumps, 3))
        self._reach_mm = reach_mm

    def __call__(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """The displaced points."""
        squared = ((points_mm[:, None] - self._centres_mm) ** 2).sum(axis=2)
        return points_mm + np.exp(-0.5 * squared / self._reach_mm**2) @ self._shifts_mm
