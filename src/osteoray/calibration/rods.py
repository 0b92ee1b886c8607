"""The rods' centres in every slice: a quadratic bow along the body, and each rod's own offset from the pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, map_coordinates

from osteoray.calibration.finding import Track
from osteoray.calibration.pattern import HU_WINDOW, Pattern, Plane
from osteoray.calibration.phantom import Phantom
from osteoray.imaging.volume import Volume

PATCH_STEP_MM = 0.75
SEARCH_MM = 4.0
"""How far a rod may lie from its place in the pattern."""
MIN_ROD_LIKENESS = 0.5
SHOWN_CONTRAST = (0.6, 1.4)
"""Contrast of the pattern in a slice that shows the phantom, relative to the median slice."""
BRIDGED_MM = 15.0
"""Longest stretch of spoiled slices within the phantom."""


@dataclass(frozen=True, eq=False)
class RodPaths:
    """Where density levels are read in every slice.

    Attributes:
        centres_mm: LPS (y, x) of each level in each slice; the last level is the slab's empty middle.
        is_shown: slices that show the phantom: one run without gaps.
        is_seen: levels whose rod was seen at its place; the slab always is.
        radius_mm: of a rod.
        scale: size of the phantom relative to its table.
        likeness: median correlation with the pattern.
    """

    centres_mm: Float[np.ndarray, "levels k 2"]
    is_shown: Bool[np.ndarray, " k"]
    is_seen: Bool[np.ndarray, " levels"]
    radius_mm: float
    scale: float
    likeness: float


def trace_rods(volume: Volume, phantom: Phantom, track: Track) -> RodPaths:
    """Centres of the levels in every slice of an axial volume."""
    plane, pattern, pose = Plane.of(volume), Pattern.of(phantom), track.poses[0]
    slices = volume.array.shape[0]
    z_mm = volume.grid.world_from_index[2, 3] + volume.grid.spacing_mm[0] * np.arange(slices)
    middles = np.array([(p.y_mm, p.x_mm) for p in track.poses])
    path_mm = np.stack([robust_curve(track.z_mm, middles[:, axis], z_mm) for axis in (0, 1)], axis=-1)
    origin = np.array([pose.y_mm, pose.x_mm])
    offsets = phantom.level_offsets_mm
    relative = pose.place(offsets, np.zeros_like(offsets), pattern.half_width_mm) - origin
    is_shown = shown_slices(volume, plane, pattern.points_mm(pose) - origin + path_mm[:, None], pattern)
    radius_mm = phantom.diameter_mm / 2 * pose.scale
    shifts, is_seen = np.zeros((offsets.size, 2)), np.ones(offsets.size, bool)
    for level in range(offsets.size - 1):
        shift_mm, likeness = rod_shift(volume, plane, path_mm + relative[level], is_shown, radius_mm)
        is_seen[level] = likeness >= MIN_ROD_LIKENESS
        shifts[level] = shift_mm if is_seen[level] else 0.0
    shifts[-1] = shifts[:-1][is_seen[:-1]].mean(axis=0) if is_seen[:-1].any() else 0.0
    centres_mm = path_mm + (relative + shifts)[:, None]
    return RodPaths(centres_mm, is_shown, is_seen, radius_mm, pose.scale, float(np.median(track.likeness)))


def robust_curve(
    z_mm: Float[np.ndarray, " n"], values_mm: Float[np.ndarray, " n"], at_mm: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """A quadratic through points along z, of lower degree for few points; outliers lose weight (Tukey's biweight)."""
    degree = 2 if z_mm.size >= 5 else 1 if z_mm.size >= 3 else 0
    middle, reach = z_mm.mean(), max(float(np.ptp(z_mm)) / 2, 1.0)
    design = np.vander((z_mm - middle) / reach, degree + 1)
    weights = np.ones_like(values_mm)
    for _ in range(8):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(design * root[:, None], values_mm * root, rcond=None)[0]
        residuals = values_mm - design @ coefficients
        scale = max(1.4826 * float(np.median(np.abs(residuals))), 0.1)
        weights = np.clip(1 - (residuals / (4.685 * scale)) ** 2, 0.0, 1.0) ** 2
    return np.vander((at_mm - middle) / reach, degree + 1) @ coefficients


def shown_slices(
    volume: Volume, plane: Plane, points_mm: Float[np.ndarray, "k n 2"], pattern: Pattern
) -> Bool[np.ndarray, " k"]:
    """The longest run of slices whose contrast with the pattern is near the median of the better half.

    A few spoiled slices (metal) do not end the run.
    """
    contrast = np.empty(volume.array.shape[0])
    for k, (image, points) in enumerate(zip(volume.array, points_mm, strict=True)):
        index = (points - plane.origin_mm) / plane.pixel_mm
        hu = map_coordinates(image, index.T, np.float32, order=1, mode="nearest")
        contrast[k] = pattern.contrast(np.clip(hu, *HU_WINDOW))
    usual = float(np.median(np.sort(contrast)[contrast.size // 2 :]))
    is_like = (contrast > SHOWN_CONTRAST[0] * usual) & (contrast < SHOWN_CONTRAST[1] * usual)
    bridged = int(BRIDGED_MM / volume.grid.spacing_mm[0])
    is_like |= binary_closing(np.pad(is_like, bridged), np.ones(bridged + 1, bool))[bridged : bridged + is_like.size]
    edges = np.flatnonzero(np.diff(np.r_[0, is_like.astype(int), 0]))
    starts, stops = edges[::2], edges[1::2]
    is_shown = np.zeros(contrast.size, bool)
    if starts.size:
        longest = int(np.argmax(stops - starts))
        is_shown[starts[longest] : stops[longest]] = True
    return is_shown


def rod_shift(
    volume: Volume, plane: Plane, path_mm: Float[np.ndarray, "k 2"], is_shown: Bool[np.ndarray, " k"], radius_mm: float
) -> tuple[Float[np.ndarray, 2], float]:
    """Where a rod lies relative to its expected path, in mm along (y, x), and its likeness to a bright disc.

    Slices are averaged along the path, so that noise vanishes and the bow does not blur the rod.
    """
    reach = int(np.ceil((radius_mm * 1.5 + SEARCH_MM) / PATCH_STEP_MM))
    steps_mm = np.arange(-reach, reach + 1) * PATCH_STEP_MM
    grid_mm = np.stack(np.meshgrid(steps_mm, steps_mm, indexing="ij"), axis=-1)
    patch = np.zeros(grid_mm.shape[:2])
    for k in np.flatnonzero(is_shown):
        index = (path_mm[k] + grid_mm - plane.origin_mm) / plane.pixel_mm
        patch += map_coordinates(volume.array[k], np.moveaxis(index, -1, 0), np.float32, order=1, mode="nearest")
    patch /= max(int(is_shown.sum()), 1)
    inner = int(np.ceil(radius_mm * 1.4 / PATCH_STEP_MM))
    near = np.hypot(*np.meshgrid(*[np.arange(-inner, inner + 1) * PATCH_STEP_MM] * 2))
    disc = np.where(near <= radius_mm * 1.4, np.clip((radius_mm - near) / 1.5 + 0.5, 0, 1), np.nan)
    return best_shift(patch, disc)


def best_shift(patch: Float[np.ndarray, "n n"], disc: Float[np.ndarray, "m m"]) -> tuple[Float[np.ndarray, 2], float]:
    """Offset from the patch's middle, in mm, at which it correlates best with a disc (NaN: not compared)."""
    inside = np.isfinite(disc)
    expected = disc[inside] - disc[inside].mean()
    windows = np.lib.stride_tricks.sliding_window_view(patch, disc.shape)[:, :, inside]
    centred = windows - windows.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(-1) * (expected @ expected)) + 1e-9
    score = centred @ expected / norm
    middle = (score.shape[0] - 1) / 2
    row, column = (int(n) for n in np.unravel_index(int(score.argmax()), score.shape))
    subpixel = [_peak(score[:, column], row), _peak(score[row], column)]
    return (np.array(subpixel) - middle) * PATCH_STEP_MM, float(score[row, column])


def _peak(values: Float[np.ndarray, " n"], at: int) -> float:
    if not 0 < at < values.size - 1:
        return float(at)
    before, here, after = values[at - 1 : at + 2]
    return at + 0.5 * float((before - after) / min(before - 2 * here + after, -1e-12))
