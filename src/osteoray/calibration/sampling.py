"""HU of every density level: means of eroded cores, one per slice, made one robust value along the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Real

from osteoray.calibration.pattern import Plane
from osteoray.calibration.rods import RodPaths
from osteoray.imaging.volume import Volume

METAL_HU = 2500
OUTSIDE_HU = -500
"""A core that holds less lies at the edge of the reconstruction."""
HUBER_K = 1.345


@dataclass(frozen=True, eq=False)
class Levels:
    """HU of the density levels.

    Attributes:
        slice_hu: mean of the core of each level in each slice; NaN where it is not used.
        sd_hu: typical standard deviation inside a core.
        mean_hu: robust mean over the slices; NaN for a level that is not usable.
        is_usable: levels with enough slices.
        used_slices: slices in which all usable levels are used.
        length_mm: of those slices along the body.
    """

    slice_hu: Float[np.ndarray, "levels k"]
    sd_hu: Float[np.ndarray, " levels"]
    mean_hu: Float[np.ndarray, " levels"]
    is_usable: Bool[np.ndarray, " levels"]
    used_slices: Bool[np.ndarray, " k"]
    length_mm: float


def sample_levels(volume: Volume, paths: RodPaths, *, core_fraction: float, end_margin_mm: float) -> Levels:
    """Read the levels of a traced phantom.

    Args:
        volume: HU on an axial grid.
        paths: centres of the levels.
        core_fraction: part of the rods' radius that is averaged.
        end_margin_mm: length left out at each end of the phantom that lies inside the scan.
    """
    plane, spacing_mm = Plane.of(volume), float(volume.grid.spacing_mm[0])
    candidates = np.flatnonzero(without_ends(paths.is_shown, end_margin_mm / spacing_mm))
    shape = paths.centres_mm.shape[:2]
    mean_hu, sd_hu = np.full(shape, np.nan), np.full(shape, np.nan)
    for k in candidates:
        for level in np.flatnonzero(paths.is_seen):
            core = core_values(volume.array[k], plane, paths.centres_mm[level, k], core_fraction * paths.radius_mm)
            if core.size and core.min() > OUTSIDE_HU and core.max() < METAL_HU:
                mean_hu[level, k], sd_hu[level, k] = core.mean(), core.std()
    used_per_level = np.isfinite(mean_hu).sum(axis=1)
    is_usable = used_per_level >= max(0.5 * candidates.size, 1)
    used = np.isfinite(mean_hu[is_usable]).all(axis=0) if is_usable.any() else np.zeros(shape[1], bool)
    levels_hu = np.array(
        [robust_mean(row[used]) if ok and used.any() else np.nan for row, ok in zip(mean_hu, is_usable, strict=True)]
    )
    typical_sd = np.array(
        [np.median(row[used]) if ok and used.any() else np.nan for row, ok in zip(sd_hu, is_usable, strict=True)]
    )
    return Levels(mean_hu, typical_sd, levels_hu, is_usable, used, float(used.sum()) * spacing_mm)


def without_ends(is_shown: Bool[np.ndarray, " k"], margin_slices: float) -> Bool[np.ndarray, " k"]:
    """The run of slices less a margin at each end of the phantom; an end of the scan needs none."""
    kept, margin = is_shown.copy(), int(np.ceil(margin_slices))
    run = np.flatnonzero(is_shown)
    if run.size and run[0] > 0:
        kept[: run[0] + margin] = False
    if run.size and run[-1] < is_shown.size - 1:
        kept[max(run[-1] + 1 - margin, 0) :] = False
    return kept


def core_values(
    image: Real[np.ndarray, "j i"], plane: Plane, centre_mm: Float[np.ndarray, 2], radius_mm: float
) -> Float[np.ndarray, " n"]:
    """Values of the pixels whose centres lie within a circle; empty if it leaves the image."""
    middle, reach = (centre_mm - plane.origin_mm) / plane.pixel_mm, radius_mm / plane.pixel_mm
    start, stop = np.ceil(middle - reach).astype(int), np.floor(middle + reach).astype(int) + 1
    if (start < 0).any() or (stop > image.shape).any():
        return np.empty(0)
    rows = (np.arange(start[0], stop[0]) - middle[0]) * plane.pixel_mm[0]
    columns = (np.arange(start[1], stop[1]) - middle[1]) * plane.pixel_mm[1]
    inside = rows[:, None] ** 2 + columns**2 <= radius_mm**2
    return image[start[0] : stop[0], start[1] : stop[1]][inside].astype(float)


def robust_mean(values: Float[np.ndarray, " n"]) -> float:
    """Huber's location estimate: a mean in which outliers count less."""
    centre = float(np.median(values))
    scale = max(1.4826 * float(np.median(np.abs(values - centre))), 1e-6)
    for _ in range(20):
        weights = np.minimum(1.0, HUBER_K * scale / np.maximum(np.abs(values - centre), 1e-12))
        centre = float((weights * values).sum() / weights.sum())
    return centre
