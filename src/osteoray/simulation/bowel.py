"""Tubes of gut with walls and contents: fluid, gas above it, and stool mottled with gas."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.texture import random_field

STEP_MM = 3.0
"""Distance of the points along a tube."""

WALL_LEAN, FLUID_LEAN, STOOL_LEAN = 1.0, 0.9, 0.8
"""Lean shares: chyme and stool attenuate less than muscle."""


@dataclass(frozen=True, eq=False)
class Tube:
    """A piece of gut.

    Attributes:
        points_mm: its centre line.
        radii_mm: outer radius at each point.
        wall_mm: thickness of the wall.
        gas_level: the lumen is gas in front of this fraction of the radius: -1 none, 1 all (supine: gas rises).
        stool: share of the rest that is stool.
    """

    points_mm: Float[np.ndarray, "n 3"]
    radii_mm: Float[np.ndarray, "n"]
    wall_mm: float
    gas_level: Float[np.ndarray, "n"]
    stool: float


def tube(
    knots_mm: Float[np.ndarray, "m 3"],
    radius_mm: float,
    wall_mm: float,
    gas: tuple[float, float],
    stool: float,
    rng: np.random.Generator,
    folds: float = 0.0,
) -> Tube:
    """A smooth tube through given points, with pockets of gas along it.

    Args:
        knots_mm: points on the centre line.
        radius_mm: mean outer radius.
        wall_mm: thickness of the wall.
        gas: mean and standard deviation of the gas level along the tube.
        stool: share of stool in the contents.
        rng: source of pockets and calibre.
        folds: relative depth of the haustra, 30 mm apart.
    """
    points = _spline(knots_mm, STEP_MM)
    slow = _wandering(len(points), 35.0 / STEP_MM, rng)
    calibre = radius_mm * (1.0 + 0.18 * _wandering(len(points), 50.0 / STEP_MM, rng))
    phase = 2.0 * np.pi * (STEP_MM * np.arange(len(points)) / 30.0 + rng.random())
    calibre *= 1.0 - folds * np.maximum(np.cos(phase), 0.0) ** 4
    return Tube(points, np.maximum(calibre, 4.0), wall_mm, gas[0] + gas[1] * slow, stool)


def _spline(knots: np.ndarray, step_mm: float) -> np.ndarray:
    """Points about `step_mm` apart on a Catmull-Rom spline."""
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    out = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        n = max(int(np.linalg.norm(c - b) / step_mm), 1)
        t = (np.arange(n) / n)[:, None]
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*out, knots[-1:]])


def _wandering(count: int, length: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random values along a line, standard deviation about 0.8."""
    knots = rng.standard_normal(int(count / length) + 2)
    return np.interp(np.arange(count) / length, np.arange(len(knots)), knots)


def fill_gut(
    tubes: list[Tube], grid: VoxelGrid, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "k j i"], Float32[np.ndarray, "k j i"], Float32[np.ndarray, "k j i"]]:
    """What the gut contributes to each voxel.

    Args:
        tubes: where two overlap, a voxel belongs to the one whose centre line is nearer for its radius.
        grid: axial voxels.
        rng: source of the mottling.

    Returns:
        Share of the voxel in gut, the lean share of its contents, and its share of gas.
    """
    depth = np.full(grid.shape, -1e3, np.float32)
    level, wall = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    stool = np.zeros(grid.shape, np.float32)
    origin = grid.world_from_index[:3, 3]
    for piece in tubes:
        _carve(
            depth, level, wall, stool, origin, grid.spacing_mm[0], piece.points_mm, piece.radii_mm, piece.gas_level,
            piece.wall_mm, piece.stool,
        )  # fmt: skip
    voxel_mm = float(grid.spacing_mm[0])
    share = np.clip(0.5 + depth / voxel_mm, 0.0, 1.0)
    lumen = np.clip(0.5 + (depth - wall) / voxel_mm, 0.0, 1.0)
    fine, coarse = random_field(grid, 6.0, rng), random_field(grid, 12.0, rng)
    mottled = np.clip(1.6 * (0.7 * fine + coarse - 0.45), 0.0, 0.7)
    above = np.clip(0.5 + level / voxel_mm, 0.0, 1.0)
    gas = lumen * np.maximum(above, stool * mottled)
    content = FLUID_LEAN + stool * (STOOL_LEAN - FLUID_LEAN + 0.12 * fine)
    lean = WALL_LEAN + lumen * (content - WALL_LEAN)
    return share, np.clip(lean, 0.0, 1.0).astype(np.float32), gas.astype(np.float32)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _carve(depth, level, wall, stool, origin, spacing, points, radii, gas_level, wall_mm, stool_share):
    """Write depth below the outer surface, height above the gas level and contents of one tube."""
    n_k, n_j, n_i = depth.shape
    for p in range(len(points)):
        x, y, z = points[p]
        r = radii[p]
        k0, k1 = max(int((z - r - origin[2]) / spacing), 0), min(int((z + r - origin[2]) / spacing) + 2, n_k)
        j0, j1 = max(int((y - r - origin[1]) / spacing), 0), min(int((y + r - origin[1]) / spacing) + 2, n_j)
        i0, i1 = max(int((x - r - origin[0]) / spacing), 0), min(int((x + r - origin[0]) / spacing) + 2, n_i)
        for k in range(k0, k1):
            dz = origin[2] + k * spacing - z
            for j in range(j0, j1):
                dy = origin[1] + j * spacing - y
                for i in range(i0, i1):
                    dx = origin[0] + i * spacing - x
                    d = r - np.sqrt(dx * dx + dy * dy + dz * dz)
                    if d > depth[k, j, i]:
                        depth[k, j, i] = d
                        # Posterior is positive: gas lies where y is below the level.
                        level[k, j, i] = r * gas_level[p] - dy
                        wall[k, j, i] = wall_mm
                        stool[k, j, i] = stool_share
