"""HU of every density level: means of eroded cores, one per slice, made one robust value along the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Real

from osteoray.calibration.metal import METAL_HU
from osteoray.calibration.pattern import Plane
from osteoray.calibration.rods import RodPaths, rim_points_mm
from osteoray.imaging.volume import Volume

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
        shown_mm: of the slices that show the phantom, less its ends and metal.
        spots_hu: robust mean of the slab at every place between rods; NaN where it cannot be read.
        metal_slices: how many slices were left out because of metal.
    """

    slice_hu: Float[np.ndarray, "levels k"]
    sd_hu: Float[np.ndarray, " levels"]
    mean_hu: Float[np.ndarray, " levels"]
    is_usable: Bool[np.ndarray, " levels"]
    used_slices: Bool[np.ndarray, " k"]
    length_mm: float
    shown_mm: float
    spots_hu: Float[np.ndarray, " spots"]
    metal_slices: int


def sample_levels(
    volume: Volume,
    plane: Plane,
    paths: RodPaths,
    is_metal: Bool[np.ndarray, " k"],
    *,
    core_fraction: float,
    end_margin_mm: float,
) -> Levels:
    """Read the levels of a traced phantom.

    Args:
        volume: HU on an axial grid.
        plane: of its slices.
        paths: centres of the levels.
        is_metal: slices that are not read.
        core_fraction: part of the rods' radius that is averaged.
        end_margin_mm: length left out at each end of the phantom that lies inside the scan.
    """
    spacing_mm = float(volume.grid.spacing_mm[0])
    shown = without_ends(paths.is_shown, end_margin_mm / spacing_mm)
    candidates = np.flatnonzero(shown & ~is_metal)
    radius_mm = core_fraction * paths.radius_mm
    mean_hu, sd_hu = core_means(volume, plane, paths.centres_mm, candidates, radius_mm, paths.radius_mm)
    mean_hu[~paths.is_seen], sd_hu[~paths.is_seen] = np.nan, np.nan
    spots_hu, _ = core_means(volume, plane, paths.spots_mm, candidates, radius_mm, radius_mm)
    is_usable = np.isfinite(mean_hu).sum(axis=1) >= max(0.5 * candidates.size, 1)
    used = np.isfinite(mean_hu[is_usable]).all(axis=0) if is_usable.any() else np.zeros(volume.array.shape[0], bool)
    levels_hu = np.array([robust_mean(row[used]) if ok else np.nan for row, ok in zip(mean_hu, is_usable, strict=True)])
    typical_sd = np.array([_median(row[used]) if ok else np.nan for row, ok in zip(sd_hu, is_usable, strict=True)])
    return Levels(
        mean_hu, typical_sd, levels_hu, is_usable, used, float(used.sum()) * spacing_mm,
        candidates.size * spacing_mm, np.array([robust_mean(row[np.isfinite(row)]) for row in spots_hu]),
        int((shown & is_metal).sum()),
    )  # fmt: skip


def core_means(
    volume: Volume,
    plane: Plane,
    centres_mm: Float[np.ndarray, "n k 2"],
    slices: np.ndarray,
    core_mm: float,
    whole_mm: float,
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """Mean and standard deviation of every core in some slices; NaN for metal and outside the field of view.

    Args:
        volume: HU on an axial grid.
        plane: of its slices.
        centres_mm: LPS (y, x) of the cores.
        slices: where to read.
        core_mm: radius that is averaged.
        whole_mm: radius that must lie inside the field of view.
    """
    mean_hu, sd_hu = np.full(centres_mm.shape[:2], np.nan), np.full(centres_mm.shape[:2], np.nan)
    for place, row in enumerate(centres_mm):
        whole = plane.sees(plane.index(rim_points_mm(row[slices], whole_mm))).all(axis=1)
        for k in slices[whole]:
            core = core_values(volume.array[k], plane, row[k], core_mm)
            if core.size and core.min() > OUTSIDE_HU and core.max() < METAL_HU:
                mean_hu[place, k], sd_hu[place, k] = core.mean(), core.std()
    return mean_hu, sd_hu


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
    image: Real[np.ndarray, "j i"], plane: Plane, centre_mm: Float[np.ndarray, " 2"], radius_mm: float
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


def _median(values: Float[np.ndarray, " n"]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def robust_mean(values: Float[np.ndarray, " n"]) -> float:
    """Huber's location estimate: a mean in which outliers count less; NaN of nothing."""
    if not values.size:
        return float("nan")
    centre = float(np.median(values))
    scale = max(1.4826 * float(np.median(np.abs(values - centre))), 1e-6)
    for _ in range(20):
        weights = np.minimum(1.0, HUBER_K * scale / np.maximum(np.abs(values - centre), 1e-12))
        centre = float((weights * values).sum() / weights.sum())
    return centre
