"""Density of one bone with the rim into which a CT blurs its surface: soft tissue is taken off, mass is kept.

A blurred edge has lost nothing: what cortex misses inside its surface lies around it, on top of the soft tissue there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from jaxtyping import Bool, Float32, Shaped
from scipy import ndimage

from osteoray.imaging.resampling import to_sitk
from osteoray.imaging.volume import Box, Volume

RIM_MM, RIM_VOXELS = 3.0, 1.0
"""Width of the rim: the larger of both, in mm and in the longest voxel edge."""
SHELL_MM = 4.0
"""Width of the shell around the rim whose mean is the soft tissue of the rim."""
SOFT_TISSUE_MM = 4.0
"""Gaussian over which that mean is taken."""
SMOOTHING_VOXELS = 0.9
"""Gaussian that takes the steps off the surface of a mask."""
CORTEX_MM = 3.0
"""The cortex of a place on the surface is the densest voxel within this distance."""
THICK_SHARE, DENSEST_QUANTILE = 0.85, 0.9
"""Cortex is thick enough to show its true density if it reaches this share of this quantile of all surface."""
FEWEST_VOXELS = 30
"""A depth counts in the profile of the edge if so many voxels lie there."""
LEAST_CONTRAST_MG_CM3 = 100.0
"""Between cortex and soft tissue; with less there is no edge to be found."""
BIN_MM = 0.25
SURE_VOXELS = 0.3, 0.5
"""A shift of up to the first moves nothing; from the second on all of the mask is off, and moves."""


@dataclass(frozen=True, eq=False)
class BoneDensity:
    """One bone in a CT, in the smallest box that holds it and its surroundings.

    Attributes:
        density_mg_cm3: of the bone alone, rim included; 0 elsewhere. Its sum over voxels is the bone's content.
        depth_mm: below the bone's surface, negative outside.
        share: part of each voxel that lies below the surface; 0 where another bone is nearer.
        window: the box in the CT.
        shift_mm: how much deeper than the mask's surface the edge of thick cortex lies; a small one has moved nothing.
    """

    density_mg_cm3: Volume
    depth_mm: Float32[np.ndarray, "k j i"]
    share: Float32[np.ndarray, "k j i"]
    window: Box
    shift_mm: float

    def of_part(self, mask: Bool[np.ndarray, "k j i"], part: Bool[np.ndarray, "k j i"]) -> Volume:
        """Density of a part of the bone; the rim belongs to the part of the nearest voxel of the mask.

        Args:
            mask: voxels of the bone in the CT.
            part: some of them.
        """
        grid = self.density_mg_cm3.grid
        owned = nearest_part(Volume(mask[self.window], grid), part[self.window])
        return Volume(np.where(owned, self.density_mg_cm3.array, np.float32(0)), grid)


def bone_density(
    qct_mg_cm3: Volume,
    bones: Shaped[np.ndarray, "k j i"],
    mask: Bool[np.ndarray, "k j i"],
    around: Bool[np.ndarray, "k j i"] | None = None,
) -> BoneDensity:
    """Density of a bone with its rim: `density - soft tissue * (1 - share inside the surface)` in bone and rim.

    The surface is that of the mask without its steps, moved to where the edge of thick cortex is half as dense as the
    cortex if that is half a voxel or more away: the mask is then too large or too small all around. A small distance
    moves nothing: a network draws thick cortex a little too tight and thin cortex a little too wide, right on average,
    and to move the one without the other would make all of the bone too large. In the rim, soft tissue is the mean of
    the shell further out that is near no bone. What lies nearer to another bone belongs to that one.

    Args:
        qct_mg_cm3: calibrated density, linear and not clipped.
        bones: labels of all bones on the same grid, 0 elsewhere.
        mask: voxels of this bone.
        around: only the neighbourhood of these voxels is needed; None for the whole bone.

    Raises:
        ValueError: there is no voxel to surround.
    """
    spacing_mm = qct_mg_cm3.grid.spacing_mm
    rim_mm = max(RIM_MM, RIM_VOXELS * float(spacing_mm.max()))
    window = qct_mg_cm3.window(mask if around is None else around, rim_mm + SHELL_MM + 2 * SOFT_TISSUE_MM)
    qct = qct_mg_cm3.cut(window)
    density, inside = qct.array.astype(np.float32, copy=False), mask[window]
    depth_mm = depth_below(Volume(inside, qct.grid))
    other = (bones[window] > 0) & ~inside
    other_mm = -_distance_mm(Volume(other, qct.grid)) if other.any() else np.full(inside.shape, np.inf, np.float32)
    far = other_mm > rim_mm
    soft = _soft_tissue(qct, far & (depth_mm < -rim_mm) & (depth_mm > -rim_mm - SHELL_MM))
    shift_mm = _edge_mm(density, soft, depth_mm, inside, far, spacing_mm)
    few, many = SURE_VOXELS
    is_off = float(np.clip((abs(shift_mm) / float(spacing_mm.mean()) - few) / (many - few), 0.0, 1.0))
    if is_off:
        depth_mm = depth_mm - np.float32(shift_mm * is_off)
        soft = _soft_tissue(qct, far & (depth_mm < -rim_mm) & (depth_mm > -rim_mm - SHELL_MM))
    own = ~other & (depth_mm > -np.minimum(other_mm, rim_mm))
    share = np.where(own, np.clip(depth_mm / np.float32(spacing_mm.mean()) + 0.5, 0.0, 1.0), 0.0).astype(np.float32)
    alone = np.where(own, density - soft * (1.0 - share), 0.0).astype(np.float32)
    return BoneDensity(Volume(alone, qct.grid), depth_mm, share, window, shift_mm)


def depth_below(mask: Volume) -> Float32[np.ndarray, "k j i"]:
    """Depth in mm below the surface of a mask, negative outside, with the steps of its voxels taken off.

    The surface lies half-way between the outermost voxels of the mask and the innermost ones around it. Smoothing
    twice and taking the difference off leaves it where it is, also where it is curved.
    """
    around = Volume(~mask.array.astype(bool), mask.grid)
    depth_mm = (_distance_mm(mask) - _distance_mm(around)) / 2
    once = ndimage.gaussian_filter(depth_mm, SMOOTHING_VOXELS)
    return 2 * once - ndimage.gaussian_filter(once, SMOOTHING_VOXELS)


def nearest_part(mask: Volume, part: Bool[np.ndarray, "k j i"]) -> Bool[np.ndarray, "k j i"]:
    """Voxels inside and outside a bone whose nearest voxel of the bone lies in a part of it."""
    rest = mask.array & ~part
    if not part.any() or not rest.any():
        return np.full(part.shape, part.any())
    return _distance_mm(Volume(part, mask.grid)) >= _distance_mm(Volume(rest, mask.grid))


def _distance_mm(mask: Volume) -> Float32[np.ndarray, "k j i"]:
    """Distance to the outermost voxels of a mask (Maurer 2003), negative outside."""
    image = sitk.SignedMaurerDistanceMap(
        to_sitk(mask), insideIsPositive=True, squaredDistance=False, useImageSpacing=True
    )
    return sitk.GetArrayFromImage(image)


def _soft_tissue(qct_mg_cm3: Volume, shell: Bool[np.ndarray, "k j i"]) -> Float32[np.ndarray, "k j i"]:
    """Local mean of a shell, everywhere; far from the shell its overall mean."""
    if not shell.any():
        return np.zeros(shell.shape, np.float32)
    mean = float(qct_mg_cm3.array[shell].mean(dtype=float))
    excess = np.where(shell, qct_mg_cm3.array - mean, 0).astype(np.float32)
    sums, weights = (
        sitk.GetArrayFromImage(
            sitk.SmoothingRecursiveGaussian(to_sitk(Volume(values, qct_mg_cm3.grid)), SOFT_TISSUE_MM)
        )
        for values in (excess, shell.astype(np.float32))
    )
    return np.float32(mean) + sums / (np.maximum(weights, 0) + np.float32(1e-3))


def _edge_mm(
    density: Float32[np.ndarray, "k j i"],
    soft: Float32[np.ndarray, "k j i"],
    depth_mm: Float32[np.ndarray, "k j i"],
    inside: Bool[np.ndarray, "k j i"],
    allowed: Bool[np.ndarray, "k j i"],
    spacing_mm: np.ndarray,
) -> float:
    """Depth at which the edge of thick cortex has half its density; 0 if there is no such edge near the mask's."""
    size = 2 * np.ceil(CORTEX_MM / spacing_mm).astype(int) + 1
    seen = np.where(inside, ndimage.gaussian_filter(density, 0.5), -np.inf)
    cortex = ndimage.maximum_filter(seen, size=tuple(size.tolist()))
    reach_mm = 1.5 * float(spacing_mm.max())
    near = allowed & np.isfinite(cortex) & (np.abs(depth_mm) < reach_mm + BIN_MM)
    if near.sum() < FEWEST_VOXELS:
        return 0.0
    dense = float(np.quantile(cortex[near], DENSEST_QUANTILE))
    if dense - float(np.median(soft[near])) < LEAST_CONTRAST_MG_CM3:
        return 0.0
    thick = near & (cortex > THICK_SHARE * dense)
    level = (density[thick] - soft[thick]) / np.maximum(cortex[thick] - soft[thick], LEAST_CONTRAST_MG_CM3)
    return _half_way_mm(depth_mm[thick], level, reach_mm)


def _half_way_mm(depth_mm: Float32[np.ndarray, " n"], level: Float32[np.ndarray, " n"], reach_mm: float) -> float:
    """Depth at which the median level first passes one half on the way in; 0 if it does not within reach."""
    edges_mm = np.arange(-reach_mm - BIN_MM, reach_mm + 1.5 * BIN_MM, BIN_MM)
    bins = np.digitize(depth_mm, edges_mm)
    layers = [bins == number for number in range(1, len(edges_mm))]
    layers = [layer for layer in layers if layer.sum() >= FEWEST_VOXELS]
    middle_mm = [float(depth_mm[layer].mean()) for layer in layers]
    profile = [float(np.median(level[layer])) for layer in layers]
    for n in range(1, len(profile)):
        if profile[n - 1] < 0.5 <= profile[n]:
            part = (0.5 - profile[n - 1]) / (profile[n] - profile[n - 1])
            return middle_mm[n - 1] + part * (middle_mm[n] - middle_mm[n - 1])
    return 0.0
