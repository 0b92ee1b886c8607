"""Contents of abdomen and pelvis in the frame of the body atlas: gut, bladder, uterus or prostate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.bowel import Tube, fill_gut, tube

SPACING_MM = 2.0
URINE_LEAN = 0.9
BLADDER_WALL_MM = 3.5

_LOW_MM, _HIGH_MM = np.array([-140.0, -160.0, -96.0]), np.array([140.0, 104.0, 256.0])

_DESCENDING = np.array([[94, 8, 256], [94, 8, 215], [95, 0, 165], [80, -24, 120], [62, -44, 92]], float)
_SIGMOID = np.array([[62, -44, 92], [46, -38, 66], [20, -14, 74], [-22, -6, 96], [-14, -2, 88], [6, 4, 72]], float)
_RECTUM = np.array([[6, 4, 72], [-6, 16, 44], [8, 28, 14], [-2, 36, -12], [0, 42, -32]], float)
_ANAL_CANAL = np.array([[0, 42, -32], [0, 60, -55], [0, 70, -88]], float)
_ASCENDING = np.array([[-52, -44, 72], [-62, -38, 95], [-78, -20, 135], [-90, -4, 190], [-90, 0, 256]], float)


@dataclass(frozen=True, eq=False)
class Organs:
    """Organs on an axial grid of the atlas frame.

    Attributes:
        grid: the voxels.
        share: of the voxel inside any organ.
        lean: lean share of the organ there.
        gas: share of the organ that is gas.
    """

    grid: VoxelGrid
    share: Float32[np.ndarray, "k j i"]
    lean: Float32[np.ndarray, "k j i"]
    gas: Float32[np.ndarray, "k j i"]


def draw_organs(sex: str, rng: np.random.Generator) -> Organs:
    """Draw the organs of a patient.

    Args:
        sex: F or M.
        rng: source of place, filling and gas.
    """
    n_i, n_j, n_k = ((_HIGH_MM - _LOW_MM) / SPACING_MM).astype(int).tolist()
    grid = VoxelGrid.axial((n_k, n_j, n_i), (SPACING_MM,) * 3, tuple(_LOW_MM))
    share, lean, gas = fill_gut(_small_bowel(rng) + _large_bowel(rng), grid, rng)
    organs = Organs(grid, share, lean, gas)
    filling = rng.uniform(0.65, 1.25)
    radii = np.array([36.0, 30.0, 28.0]) * filling * np.exp(rng.normal(0.0, 0.08, 3))
    centre = np.array([rng.normal(0, 4), -24.0, -22.0 + 0.75 * radii[2]])
    _add(organs, centre, radii, URINE_LEAN, BLADDER_WALL_MM)
    if sex == "F":
        _add(organs, np.array([rng.normal(0, 6), 4.0, 24.0]), rng.uniform([20, 15, 22], [30, 22, 36]), 1.0, 0.0)
        _add(organs, np.array([0.0, 12.0, -28.0]), np.array([16.0, 6.0, 34.0]), 1.0, 0.0)
    else:
        _add(organs, np.array([0.0, 6.0, -34.0]), rng.uniform([20, 14, 15], [29, 20, 22]), 1.0, 0.0)
        _add(organs, np.array([0.0, 28.0, 2.0]), np.array([30.0, 6.0, 9.0]), 1.0, 0.0)
    return organs


def _large_bowel(rng: np.random.Generator) -> list[Tube]:
    """Colon and rectum: a gassy or an empty day, each part its own."""
    day = rng.normal(-0.75, 0.35)

    def part(knots: np.ndarray, radius: float, spread: float, stool: float, folds: float) -> Tube:
        moved = knots + rng.normal(0.0, 6.0, knots.shape) * np.array([1.0, 1.0, 0.8])
        moved[[0, -1]] = knots[[0, -1]]
        size = radius * float(np.exp(rng.normal(0.0, 0.12)))
        return tube(moved, size, 2.5, (day + rng.normal(0, 0.3), spread), stool, rng, folds)

    return [
        part(_ASCENDING, 21.0, 0.5, float(rng.uniform(0.5, 1.0)), 0.25),
        part(_DESCENDING, 13.0, 0.6, float(rng.uniform(0.2, 1.0)), 0.2),
        part(_SIGMOID, 13.0, 0.7, float(rng.uniform(0.0, 0.9)), 0.2),
        part(_RECTUM, 16.0, 0.7, float(rng.uniform(0.2, 1.0)), 0.0),
        tube(_ANAL_CANAL, 9.0, 9.0, (-1.0, 0.0), 0.0, rng),
    ]


def _small_bowel(rng: np.random.Generator) -> list[Tube]:
    """Loops through the middle of the abdomen down to the pelvis; most are collapsed or hold fluid."""
    loops = []
    for _ in range(16):
        centre = rng.uniform([-70.0, -85.0, 50.0], [75.0, -5.0, 235.0])
        turn = np.linspace(0.0, rng.uniform(1.2, 2.2) * np.pi, 7) + rng.uniform(0, 2 * np.pi)
        reach = rng.uniform([22.0, 12.0, 18.0], [40.0, 22.0, 34.0])
        tilt = rng.normal(0.0, 0.6, (3, 3)) + np.eye(3)
        wave = np.stack([np.cos(turn), 0.6 * np.sin(2 * turn), np.sin(turn)], axis=1)
        knots = centre + (wave * reach) @ (tilt / np.linalg.norm(tilt, axis=1, keepdims=True))
        gas = float(rng.normal(-1.25, 0.4))
        loops.append(tube(knots, float(rng.uniform(8.0, 13.0)), 2.0, (gas, 0.35), 0.0, rng))
    return loops


def _add(
    organs: Organs, centre_mm: Float[np.ndarray, "3"], radii_mm: Float[np.ndarray, "3"], lean: float, wall_mm: float
) -> None:
    """Put an ellipsoid in place of what is there."""
    reach = radii_mm + 2 * SPACING_MM
    start = np.floor((centre_mm - reach - _LOW_MM) / SPACING_MM).astype(int)
    stop = np.ceil((centre_mm + reach - _LOW_MM) / SPACING_MM).astype(int) + 1
    low = np.maximum(start, 0)[::-1].tolist()
    high = np.minimum(stop[::-1], organs.grid.shape).tolist()
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    points = organs.grid.crop(tuple(low), organs.share[box].shape).coordinates_mm()
    relative = np.linalg.norm((points - centre_mm) / radii_mm, axis=-1)
    depth = (1.0 - relative) * float(radii_mm.min())
    inside = np.clip(0.5 + depth / SPACING_MM, 0.0, 1.0)
    inner = np.clip(0.5 + (depth - wall_mm) / SPACING_MM, 0.0, 1.0) if wall_mm else 0.0
    organs.lean[box] += inside * (1.0 + inner * (lean - 1.0) - organs.lean[box])
    organs.gas[box] *= 1.0 - inside
    organs.share[box] = np.maximum(organs.share[box], inside)
