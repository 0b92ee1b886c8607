"""Soft tissue of a placed patient: it follows the pelvis above the groin and the femur below, with a smooth blend."""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float

from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid
from osteoray.imaging.bones import Side
from osteoray.simulation.posing import PosedBones

GROIN_SLOPE = 0.75
"""The groin's plane falls this much per millimetre towards the midline."""
GROIN_BLEND_MM = (-45.0, 45.0)
"""Soft tissue follows the pelvis above and the femur below this range of distances below the groin's plane."""


def pose_soft_tissue(
    channels: Float[np.ndarray, "k j i channels"],
    grid: VoxelGrid,
    posed: PosedBones,
    head_centre_mm: dict[Side, Float[np.ndarray, 3]],
    spacing_mm: float,
) -> tuple[Float[np.ndarray, "k2 j2 i2 channels"], VoxelGrid]:
    """Soft tissue after the patient was placed, without the motion `posed.whole`.

    Args:
        channels: tissue in the pose of the CT; it is mirrored beyond its first and last slices.
        grid: axial voxels of the tissue.
        posed: motion of the bones.
        head_centre_mm: femoral heads in the pose of the CT.
        spacing_mm: voxel size of the result.

    Returns:
        Tissue and its axial grid, which reaches 60 mm further on every side.
    """
    extent_mm = np.array(grid.shape) * grid.spacing_mm + 120.0
    k, j, i = (int(n) for n in np.ceil(extent_mm / spacing_mm))
    half_mm = (np.array([i, j, k]) - 1) / 2 * spacing_mm
    target = VoxelGrid.axial((k, j, i), (spacing_mm,) * 3, tuple(grid.centre_mm - half_mm))
    unplaced = invert_rigid(posed.whole)
    trunk_from_posed = invert_rigid(unplaced @ posed.pelvis)
    thigh_from_posed = np.stack([invert_rigid(unplaced @ posed.femur[side]) for side in (Side.RIGHT, Side.LEFT)])
    centres_mm = np.stack([head_centre_mm[side] for side in (Side.RIGHT, Side.LEFT)])
    out = np.zeros((k, j, i, channels.shape[3]), np.float32)
    _follow(
        np.ascontiguousarray(channels, np.float32),
        grid.index_from_world,
        target.world_from_index,
        trunk_from_posed,
        thigh_from_posed,
        centres_mm,
        out,
    )
    return out, target


@numba.njit(cache=True, fastmath=True)
def _follow(channels, index_from_world, world_from_index, trunk_from_posed, thigh_from_posed, centres_mm, out):
    midline_mm = (centres_mm[0, 0] + centres_mm[1, 0]) / 2
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                x, y, z = _apply(world_from_index, k, j, i)
                side = 1 if x > midline_mm else 0
                lateral_mm = abs(x - midline_mm) - abs(centres_mm[side, 0] - midline_mm)
                below_mm = centres_mm[side, 2] - z + GROIN_SLOPE * min(lateral_mm, 0.0)
                t = (below_mm - GROIN_BLEND_MM[0]) / (GROIN_BLEND_MM[1] - GROIN_BLEND_MM[0])
                t = min(max(t, 0.0), 1.0)
                blend = t * t * (3 - 2 * t)
                trunk_x, trunk_y, trunk_z = _apply(trunk_from_posed, x, y, z)
                thigh_x, thigh_y, thigh_z = _apply(thigh_from_posed[side], x, y, z)
                # A thigh moved outwards leaves behind what lies in the midline, not a copy of the other thigh.
                source_x = (1 - blend) * trunk_x + blend * thigh_x
                source_x = max(source_x, midline_mm) if side == 1 else min(source_x, midline_mm)
                source_k, source_j, source_i = _apply(
                    index_from_world,
                    source_x,
                    (1 - blend) * trunk_y + blend * thigh_y,
                    (1 - blend) * trunk_z + blend * thigh_z,
                )
                _sample(channels, source_k, source_j, source_i, out[k, j, i])


@numba.njit(cache=True, fastmath=True)
def _apply(matrix, a, b, c):
    """A point through an affine."""
    return (
        matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3],
        matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3],
        matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3],
    )


@numba.njit(cache=True, fastmath=True)
def _sample(channels, k, j, i, values):
    """Trilinear values; beyond the end slices the body is mirrored, and beyond the sides there is nothing."""
    size_k, size_j, size_i, count = channels.shape
    if j < 0 or i < 0 or j > size_j - 1 or i > size_i - 1:
        return
    k = size_k - 1.0 - abs(size_k - 1.0 - abs(k))
    k = min(max(k, 0.0), size_k - 1.0)
    k0, j0, i0 = min(int(k), size_k - 2), min(int(j), size_j - 2), min(int(i), size_i - 2)
    wk, wj, wi = k - k0, j - j0, i - i0
    for dk in range(2):
        for dj in range(2):
            for di in range(2):
                weight = (wk if dk else 1 - wk) * (wj if dj else 1 - wj) * (wi if di else 1 - wi)
                for c in range(count):
                    values[c] += weight * channels[k0 + dk, j0 + dj, i0 + di, c]
