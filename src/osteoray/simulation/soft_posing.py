"""Soft tissue of a placed patient: the trunk follows the pelvis and the thighs their femurs, without loss of mass.

The body is cut at the midline into two halves. Each half is carried to its new place by one smooth map, which is the
pelvis's above the groin and the femur's below. Both halves are added up, so that a gap opens between thighs moved
apart; thighs pressed together yield sideways. Densities are multiplied by the map's change of volume: what is
squeezed gets denser, as a thicker fold would be for a ray from front to back, and no mass is won or lost.
"""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid
from osteoray.imaging.bones import Side
from osteoray.simulation.body import ADIPOSE_G_CM3, LEAN_G_CM3
from osteoray.simulation.groin import thigh_shares
from osteoray.simulation.posing import PosedBones

MARGIN_MM = 60.0
LATTICE_MM = 10.0
"""Spacing of the lattice on which the maps are given."""
HALVES_MM = 4.0
"""Half width of the seam at the midline over which one half of the body passes into the other."""
YIELD_MM = 180.0
"""Tissue of a thigh pressed against the other one gives way within this distance of the midline."""
END_MM = 24.0
"""The body goes on above its last slice with the mean of this much of it, without gas."""

_OUTWARD = {Side.RIGHT: -1.0, Side.LEFT: 1.0}


def pose_soft_tissue(
    channels: Float[np.ndarray, "k j i channels"],
    grid: VoxelGrid,
    posed: PosedBones,
    head_centre_mm: dict[Side, Float[np.ndarray, 3]],
    spacing_mm: float,
) -> tuple[Float[np.ndarray, "k2 j2 i2 channels"], VoxelGrid]:
    """Soft tissue after the patient was placed, without the motion `posed.whole`.

    Args:
        channels: adipose and lean g/cm³ in the pose of the CT; beyond the ends of the grid the body goes on.
        grid: axial voxels of the tissue.
        posed: motion of the bones.
        head_centre_mm: femoral heads in the pose of the CT.
        spacing_mm: voxel size of the result.

    Returns:
        Tissue and its axial grid, which reaches 60 mm further on every side.
    """
    extent_mm = np.array(grid.shape) * grid.spacing_mm + 2 * MARGIN_MM
    target = _centred(extent_mm, spacing_mm, grid.centre_mm)
    # One cell more on each side, so that every voxel of the target lies within the lattice.
    lattice = _centred(extent_mm + 2 * LATTICE_MM, LATTICE_MM, grid.centre_mm)
    gaps_mm = {side: _gap_mm(channels, grid, _middle_mm(head_centre_mm), outward) for side, outward in _OUTWARD.items()}
    maps = np.stack([_half_map(lattice, grid, posed, head_centre_mm, side, gaps_mm[side]) for side in _OUTWARD])
    out = np.zeros((*target.shape, channels.shape[3]), np.float32)
    first = apply_affine(lattice.index_from_world, target.world_from_index[:3, 3])
    tissue = _band_limited(np.ascontiguousarray(channels, np.float32), grid.spacing_mm, spacing_mm)
    _follow(tissue, _end_slice(channels, grid), maps, first, spacing_mm, out)
    return out, target


def _band_limited(
    channels: Float32[np.ndarray, "k j i channels"], from_mm: Float[np.ndarray, "3"], to_mm: float
) -> Float32[np.ndarray, "k j i channels"]:
    """Tissue that can be sampled at a larger spacing without terraces in its shadow; its mass stays.

    Three taps along each axis, with a null at the sampling frequency: whatever lies between the samples, their sum
    stays the same. Spacings below a third of the samples' get the widest such filter, three equal taps.

    Args:
        channels: values at voxel centres.
        from_mm: their spacing along k, j, i.
        to_mm: spacing of the samples; not larger than theirs along an axis leaves that axis as it is.
    """
    rise = 2.0 * (1.0 - np.cos(2.0 * np.pi * from_mm / to_mm))
    sides = np.where(from_mm < 0.99 * to_mm, np.minimum(1.0 / np.maximum(rise, 1e-9), 1.0 / 3.0), 0.0)
    if not sides.any():
        return channels
    out = np.empty_like(channels)
    _three_taps(channels, sides.astype(np.float32), out)
    return out


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _three_taps(channels, sides, out):
    """Weights `side`, 1 - 2 `side`, `side` along k, j and i; the outermost voxels go on beyond the edge."""
    size_k, size_j, width = channels.shape[0], channels.shape[1], channels.shape[2] * channels.shape[3]
    count = channels.shape[3]
    values, result = channels.reshape(size_k, size_j, width), out.reshape(size_k, size_j, width)
    side_k, side_j, side_i = sides[0], sides[1], sides[2]
    one, two = np.float32(1.0), np.float32(2.0)
    plane, row = np.empty((size_j, width), np.float32), np.empty(width, np.float32)
    for k in range(size_k):
        below, above = max(k - 1, 0), min(k + 1, size_k - 1)
        for j in range(size_j):
            for n in range(width):
                plane[j, n] = (one - two * side_k) * values[k, j, n] + side_k * (
                    values[below, j, n] + values[above, j, n]
                )
        for j in range(size_j):
            front, back = max(j - 1, 0), min(j + 1, size_j - 1)
            for n in range(width):
                row[n] = (one - two * side_j) * plane[j, n] + side_j * (plane[front, n] + plane[back, n])
            for n in range(count, width - count):
                result[k, j, n] = (one - two * side_i) * row[n] + side_i * (row[n - count] + row[n + count])
            for n in range(count):
                last = width - 1 - n
                result[k, j, n] = (one - side_i) * row[n] + side_i * row[n + count]
                result[k, j, last] = (one - side_i) * row[last] + side_i * row[last - count]


def _centred(extent_mm: Float[np.ndarray, "3"], spacing_mm: float, centre_mm: Float[np.ndarray, "3"]) -> VoxelGrid:
    """Axial grid of cubic voxels around a point."""
    k, j, i = (int(n) for n in np.ceil(extent_mm / spacing_mm))
    half_mm = (np.array([i, j, k]) - 1) / 2 * spacing_mm
    return VoxelGrid.axial((k, j, i), (spacing_mm,) * 3, tuple(centre_mm - half_mm))


def _middle_mm(head_centre_mm: dict[Side, Float[np.ndarray, 3]]) -> float:
    return float(np.mean([centre[0] for centre in head_centre_mm.values()]))


def _half_map(
    lattice: VoxelGrid,
    grid: VoxelGrid,
    posed: PosedBones,
    head_centre_mm: dict[Side, Float[np.ndarray, 3]],
    side: Side,
    gap_mm: Float[np.ndarray, "k"],
) -> Float32[np.ndarray, "k j i 5"]:
    """Where one half of the body comes from: source index k, j, i, distance from the seam, change of volume."""
    points = lattice.coordinates_mm()
    source = _carried_back(points, posed, head_centre_mm, side)
    middle_mm, outward = _middle_mm(head_centre_mm), _OUTWARD[side]
    onto_midline = points[:, :, :1] * [0, 1, 1] + [middle_mm, 0, 0]
    there = _carried_back(onto_midline, posed, head_centre_mm, side)
    beyond_mm = outward * (there[..., 0] - middle_mm)
    # What lies that far beyond the midline would be inside the other thigh, unless there is air between them.
    z_index = apply_affine(grid.index_from_world, there)[..., 0]
    pressed = np.maximum(beyond_mm - np.interp(z_index, np.arange(len(gap_mm)), gap_mm), 0.0)
    pressed = pressed**2 / (pressed + 3.0)
    reach = np.minimum(outward * (points[..., 0] - middle_mm) / YIELD_MM, 1.0)
    given_way = np.where(reach > 0.0, (1.0 - np.maximum(reach, 0.0)) ** 1.4, 1.0 - 1.4 * reach)
    source[..., 0] -= outward * pressed * given_way
    slopes = np.stack(np.gradient(source, LATTICE_MM, axis=(2, 1, 0)), axis=-1)
    volume = np.maximum(np.linalg.det(slopes), 0.0)
    index = apply_affine(grid.index_from_world, source)
    # A half that comes from beyond the midline still ends at it.
    inward = outward * (source[..., 0] - middle_mm) - np.maximum(beyond_mm - pressed, 0.0)
    return np.concatenate([index, inward[..., None], volume[..., None]], axis=-1).astype(np.float32)


def _carried_back(
    points_mm: Float[np.ndarray, "*n 3"],
    posed: PosedBones,
    head_centre_mm: dict[Side, Float[np.ndarray, 3]],
    side: Side,
) -> Float[np.ndarray, "*n 3"]:
    """Points of the placed patient in the pose of the CT: a blend of the motions of pelvis and femur."""
    unplaced = invert_rigid(posed.whole)
    heads = {s: apply_affine(unplaced @ posed.pelvis, centre) for s, centre in head_centre_mm.items()}
    offset = points_mm - heads[side]
    half_mm = float(heads[Side.LEFT][0] - heads[Side.RIGHT][0]) / 2
    share = thigh_shares(_OUTWARD[side] * offset[..., 0], -offset[..., 2], half_mm)[..., None]
    trunk = apply_affine(invert_rigid(unplaced @ posed.pelvis), points_mm)
    thigh = apply_affine(invert_rigid(unplaced @ posed.femur[side]), points_mm)
    return (1.0 - share) * trunk + share * thigh


def _gap_mm(
    channels: Float[np.ndarray, "k j i channels"], grid: VoxelGrid, middle_mm: float, outward: float
) -> Float[np.ndarray, "k"]:
    """Distance from the midline to the skin of one half of the body, per slice, smoothed over some slices."""
    occupied = (channels[:, ::2, :, 0] + channels[:, ::2, :, 1] > 0.5).any(axis=1)
    aside = outward * (grid.axes_mm()[0] - middle_mm)
    nearest = np.where(occupied & (aside >= 0), aside, np.inf).min(axis=1)
    nearest = np.where(np.isfinite(nearest), nearest, 0.0)
    return ndimage.gaussian_filter1d(nearest, 6.0 / grid.spacing_mm[0], mode="nearest")


def _end_slice(channels: Float[np.ndarray, "k j i channels"], grid: VoxelGrid) -> Float32[np.ndarray, "j i channels"]:
    """Mean of the uppermost slices with the gas in them replaced by tissue of the same composition."""
    count = max(int(END_MM / grid.spacing_mm[0]), 1)
    mean = channels[-count:].mean(axis=0)
    filled = mean[..., 0] / ADIPOSE_G_CM3 + mean[..., 1] / LEAN_G_CM3
    within = ndimage.binary_erosion(ndimage.binary_fill_holes(filled > 0.5), iterations=3)
    gassy = within & (filled < 0.98)
    if gassy.any():
        around = mean[within & ~gassy].mean(axis=0) if (within & ~gassy).any() else np.array([0.5, 0.5])
        mean[gassy] += np.maximum(1.0 - filled[gassy], 0.0)[:, None] * around
    return mean.astype(np.float32)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _follow(channels, end, maps, first, spacing, out):
    """Add up both halves of the body; their maps are trilinear in the lattice."""
    step = spacing / LATTICE_MM
    for k in range(out.shape[0]):
        z = first[0] + k * step
        lk, fk = int(z), z - int(z)
        for j in range(out.shape[1]):
            y = first[1] + j * step
            lj, fj = int(y), y - int(y)
            rows = (1 - fk) * ((1 - fj) * maps[:, lk, lj] + fj * maps[:, lk, lj + 1]) + fk * (
                (1 - fj) * maps[:, lk + 1, lj] + fj * maps[:, lk + 1, lj + 1]
            )
            for i in range(out.shape[2]):
                x = first[2] + i * step
                li, fi = int(x), x - int(x)
                for side in range(2):
                    low, high = rows[side, li], rows[side, li + 1]
                    own = (1 - fi) * low[3] + fi * high[3]
                    t = 0.5 + 0.5 * own / HALVES_MM
                    if t <= 0.0:
                        continue
                    weight = 1.0 if t >= 1.0 else t
                    weight *= (1 - fi) * low[4] + fi * high[4]
                    _add(
                        channels,
                        end,
                        (1 - fi) * low[0] + fi * high[0],
                        (1 - fi) * low[1] + fi * high[1],
                        (1 - fi) * low[2] + fi * high[2],
                        weight,
                        out[k, j, i],
                    )


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _add(channels, end, k, j, i, weight, values):
    """Add trilinear values; below the body its first slice goes on, above it `end`; beside it there is nothing."""
    size_k, size_j, size_i, count = channels.shape
    if j < 0 or i < 0 or j >= size_j - 1 or i >= size_i - 1:
        return
    above = min(max(k - (size_k - 1.0), 0.0) / 4.0, 1.0)
    k = min(max(k, 0.0), size_k - 1.001)
    k0, j0, i0 = int(k), int(j), int(i)
    wk, wj, wi = k - k0, j - j0, i - i0
    for dj in range(2):
        for di in range(2):
            part = weight * (wj if dj else 1 - wj) * (wi if di else 1 - wi)
            for c in range(count):
                inside = (1 - wk) * channels[k0, j0 + dj, i0 + di, c] + wk * channels[k0 + 1, j0 + dj, i0 + di, c]
                values[c] += part * (inside + above * (end[j0 + dj, i0 + di, c] - inside))
