"""Voxels of soft tissue from coarse distance fields: skin, fat with septa, muscle, organs, gas."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.organs import Organs
from osteoray.simulation.texture import random_field

VISCERAL_LEAN = 0.10
"""Lean share of fat between the organs: vessels and mesentery."""

SKIN_LEAN, SEPTUM_LEAN = 0.98, 0.30

MUSCLE_COVER_MM = 1.5
"""Least fat between muscle and skin."""


@dataclass(frozen=True, eq=False)
class Field:
    """Values on an axial grid of cubic voxels that starts at the body's first voxel.

    Attributes:
        values: by (k, j, i, channel).
        spacing_mm: of the grid.
    """

    values: Float32[np.ndarray, "k j i channels"]
    spacing_mm: float


@dataclass(frozen=True)
class TissueShares:
    """What the sampler needs to know about a patient.

    Attributes:
        lean_fat: lean share of subcutaneous fat.
        skin_mm: thickness of the skin.
        muscle_fat: mean share of fat inside muscles.
        size: of the skeleton; organs are at unit size.
    """

    lean_fat: float
    skin_mm: float
    muscle_fat: float
    size: float


def sample_tissue(
    grid: VoxelGrid, body: Field, muscle: Field, organs: Organs, shares: TissueShares, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "k j i"], Float32[np.ndarray, "k j i"]]:
    """Share of each voxel inside the body (gas excluded), and the lean share of its soft tissue.

    Args:
        grid: the voxels.
        body: distances to skin, flesh, cavity and abdominal wall (`body_lattice`).
        muscle: distance to the muscles.
        organs: contents of the trunk.
        shares: of the patient.
        rng: source of infiltration and septa.
    """
    inside, lean = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    texture, septa = random_field(grid, 9.0, rng), random_field(grid, 13.0, rng)
    voxel_mm = float(grid.spacing_mm[0])
    organ_step = voxel_mm / (organs.grid.spacing_mm[0] * shares.size)
    organ_first = (grid.world_from_index[:3, 3] / shares.size - organs.grid.world_from_index[:3, 3])[::-1]
    _sample(
        inside,
        lean,
        texture,
        septa,
        voxel_mm,
        body.values,
        voxel_mm / body.spacing_mm,
        muscle.values[..., 0],
        voxel_mm / muscle.spacing_mm,
        np.stack([organs.share, organs.lean, organs.gas], axis=-1),
        organ_first / organs.grid.spacing_mm[0],
        organ_step,
        (shares.lean_fat, shares.skin_mm, shares.muscle_fat),
    )
    return inside, lean


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _sample(
    inside, lean, texture, septa, voxel, body, body_step, muscle, muscle_step, organ, organ_first,
    organ_step, patient,
):  # fmt: skip
    """Fill voxel by voxel; every field is trilinear."""
    lean_fat, skin_mm, muscle_fat = patient
    values = np.empty(3, np.float32)
    for k in range(inside.shape[0]):
        bk, fk = int(k * body_step), k * body_step - int(k * body_step)
        for j in range(inside.shape[1]):
            bj, fj = int(j * body_step), j * body_step - int(j * body_step)
            row = (1 - fk) * ((1 - fj) * body[bk, bj] + fj * body[bk, bj + 1]) + fk * (
                (1 - fj) * body[bk + 1, bj] + fj * body[bk + 1, bj + 1]
            )
            for i in range(inside.shape[2]):
                bi, fi = int(i * body_step), i * body_step - int(i * body_step)
                depth = -((1 - fi) * row[bi, 0] + fi * row[bi + 1, 0])
                if depth < -0.5 * voxel:
                    continue
                core = (1 - fi) * row[bi, 1] + fi * row[bi + 1, 1]
                cavity = (1 - fi) * row[bi, 2] + fi * row[bi + 1, 2]
                flesh = -((1 - fi) * row[bi, 3] + fi * row[bi + 1, 3])
                flesh = max(flesh, -_scalar(muscle, k * muscle_step, j * muscle_step, i * muscle_step))
                fat = lean_fat
                if cavity < 0.0:
                    fat = VISCERAL_LEAN + max(0.12 * texture[k, j, i], -0.06)
                elif core > 0.0:
                    fat += SEPTUM_LEAN * max(1.0 - abs(septa[k, j, i]) / 0.05, 0.0)
                _vector(
                    organ,
                    organ_first[0] + k * organ_step,
                    organ_first[1] + j * organ_step,
                    organ_first[2] + i * organ_step,
                    values,
                )
                # Organs end at the wall of the cavity.
                part = values[0] * min(max(0.5 - 0.4 * cavity, 0.0), 1.0)
                value = fat + part * (values[1] - fat)
                meat = min(max(0.5 + min(flesh, depth - skin_mm - MUSCLE_COVER_MM) / voxel, 0.0), 1.0)
                infiltrated = 1.0 - min(max(muscle_fat * (1.0 + texture[k, j, i]), 0.0), 0.6)
                value += meat * (1.0 - part) * (infiltrated - value)
                lean[k, j, i] = SKIN_LEAN if depth < skin_mm else min(max(value, 0.0), 1.0)
                inside[k, j, i] = min(0.5 + depth / voxel, 1.0) * (1.0 - values[2] * part)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _scalar(field, c, b, a):
    """Trilinear value at an index inside the field."""
    k, j, i = int(c), int(b), int(a)
    c, b, a = c - k, b - j, a - i
    low = (1 - b) * ((1 - a) * field[k, j, i] + a * field[k, j, i + 1]) + b * (
        (1 - a) * field[k, j + 1, i] + a * field[k, j + 1, i + 1]
    )
    high = (1 - b) * ((1 - a) * field[k + 1, j, i] + a * field[k + 1, j, i + 1]) + b * (
        (1 - a) * field[k + 1, j + 1, i] + a * field[k + 1, j + 1, i + 1]
    )
    return (1 - c) * low + c * high


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _vector(field, c, b, a, out):
    """Trilinear values of a field with channels; zero beyond its ends."""
    n_k, n_j, n_i, channels = field.shape
    out[:] = 0.0
    if c < 0 or b < 0 or a < 0 or c >= n_k - 1 or b >= n_j - 1 or a >= n_i - 1:
        return
    k, j, i = int(c), int(b), int(a)
    c, b, a = c - k, b - j, a - i
    for dk in range(2):
        for dj in range(2):
            for di in range(2):
                weight = (c if dk else 1 - c) * (b if dj else 1 - b) * (a if di else 1 - a)
                for n in range(channels):
                    out[n] += weight * field[k + dk, j + dj, i + di, n]
