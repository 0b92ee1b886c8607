"""The rods' centres in every slice: a quadratic bow along the body, and each rod's own way off the pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, map_coordinates

from osteoray.calibration.finding import BLOCK_MM, Track
from osteoray.calibration.pattern import Pattern, Plane
from osteoray.calibration.phantom import Phantom
from osteoray.imaging.volume import Volume

PATCH_STEP_MM = 0.75
SEARCH_MM = 4.0
"""How far a rod may lie from its place in the pattern."""
SHIFT_BLOCK_MM = 45.0
"""Length over which a rod's own offset is averaged, so that noise vanishes; between, it changes linearly (twist)."""
MIN_ROD_LIKENESS = 0.5
VISIBLE_HU = 20.0
"""A rod that differs less from the slab cannot be seen; it is read where the others say."""
SHOWN_CONTRAST = (0.6, 1.4)
"""Contrast of the pattern in a slice that shows the phantom, relative to the median where it was followed."""
BRIDGED_MM = 15.0
"""Longest stretch of spoiled slices within the phantom."""


@dataclass(frozen=True, eq=False)
class RodPaths:
    """Where density levels are read in every slice.

    Attributes:
        centres_mm: LPS (y, x) of each level in each slice; the last level is the slab itself.
        spots_mm: LPS (y, x) of the places between rods where the slab can be read.
        is_shown: slices that show the phantom: one run without gaps.
        is_seen: levels whose rod was seen at its place, or cannot be seen by nature.
        radius_mm: of a rod.
        scale: size of the phantom relative to its table.
        likeness: median correlation with the pattern.
        is_turned: the phantom lies with its other end forward.
    """

    centres_mm: Float[np.ndarray, "levels k 2"]
    spots_mm: Float[np.ndarray, "spots k 2"]
    is_shown: Bool[np.ndarray, " k"]
    is_seen: Bool[np.ndarray, " levels"]
    radius_mm: float
    scale: float
    likeness: float
    is_turned: bool


def trace_rods(
    volume: Volume, plane: Plane, phantom: Phantom, track: Track, is_metal: Bool[np.ndarray, " k"]
) -> RodPaths:
    """Centres of the levels in every slice of an axial volume, found in slices without metal."""
    pattern, pose = track.pattern, track.poses[0]
    slices = volume.array.shape[0]
    z_mm = volume.grid.axes_mm()[2]
    middles = np.array([(p.y_mm, p.x_mm) for p in track.poses])
    path_mm = np.stack([robust_curve(track.z_mm, middles[:, axis], z_mm) for axis in (0, 1)], axis=-1)
    origin, turn = np.array([pose.y_mm, pose.x_mm]), -1.0 if pattern.is_turned else 1.0

    def placed(offsets_mm: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        return pose.place(turn * offsets_mm, np.zeros_like(offsets_mm), pattern.half_width_mm) - origin

    relative = placed(phantom.level_offsets_mm)
    is_tracked = (z_mm > track.z_mm.min() - BLOCK_MM / 2) & (z_mm < track.z_mm.max() + BLOCK_MM / 2)
    points_mm = pattern.points_mm(pose) - origin + path_mm[:, None]
    is_shown = shown_slices(volume, plane, points_mm, pattern, is_tracked, is_metal)
    radius_mm = phantom.diameter_mm / 2 * pose.scale
    contrast_hu = phantom.expected_hu[:-1] - phantom.expected_hu[-1]
    shifts, is_seen = np.full((relative.shape[0], slices, 2), np.nan), np.ones(relative.shape[0], bool)
    for level in np.flatnonzero(np.abs(contrast_hu) >= VISIBLE_HU):
        sign = float(np.sign(contrast_hu[level]))
        found = rod_shifts(volume, plane, path_mm + relative[level], is_shown & ~is_metal, radius_mm, sign)
        is_seen[level] = found is not None
        if found is not None:
            shifts[level] = found
    # What cannot be seen lies where its neighbours say.
    common = np.nanmean(shifts, axis=0) if np.isfinite(shifts).any() else np.zeros((slices, 2))
    shifts = np.where(np.isfinite(shifts), shifts, common)
    return RodPaths(
        path_mm + relative[:, None] + shifts,
        path_mm + placed(phantom.body_offsets_mm)[:, None] + common,
        is_shown, is_seen, radius_mm, pose.scale, float(np.median(track.likeness)), pattern.is_turned,
    )  # fmt: skip


def robust_curve(
    z_mm: Float[np.ndarray, " n"], values_mm: Float[np.ndarray, " n"], at_mm: Float[np.ndarray, " k"], most: int = 2
) -> Float[np.ndarray, " k"]:
    """A quadratic through points along z, of lower degree for few points; outliers lose weight (Tukey's biweight).

    Args:
        z_mm: of the points.
        values_mm: of the points.
        at_mm: where the curve is wanted.
        most: highest degree.
    """
    degree = min(most, 2 if z_mm.size >= 5 else 1 if z_mm.size >= 3 else 0)
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
    volume: Volume,
    plane: Plane,
    points_mm: Float[np.ndarray, "k n 2"],
    pattern: Pattern,
    is_tracked: Bool[np.ndarray, " k"],
    is_metal: Bool[np.ndarray, " k"],
) -> Bool[np.ndarray, " k"]:
    """The longest run of slices whose contrast with the pattern is near the usual one.

    A few spoiled slices (metal) do not end the run.

    Args:
        volume: HU on an axial grid.
        plane: of its slices.
        points_mm: LPS (y, x) of the pattern's points in every slice.
        pattern: what they show.
        is_tracked: slices among those in which the phantom was followed; they say what is usual.
        is_metal: slices that may show anything; they count as their neighbours do.
    """
    samples = zip(volume.array, points_mm, strict=True)
    contrast = np.array([pattern.contrast(pattern.sample(image, plane, points)) for image, points in samples])
    plain = is_tracked & ~is_metal
    usual = float(np.median(contrast[plain if plain.any() else is_tracked]))
    is_like = is_metal | (contrast > SHOWN_CONTRAST[0] * usual) & (contrast < SHOWN_CONTRAST[1] * usual)
    bridged = int(BRIDGED_MM / volume.grid.spacing_mm[0])
    is_like |= binary_closing(np.pad(is_like, bridged), np.ones(bridged + 1, bool))[bridged : bridged + is_like.size]
    edges = np.flatnonzero(np.diff(np.r_[0, is_like.astype(int), 0]))
    starts, stops = edges[::2], edges[1::2]
    is_shown = np.zeros(contrast.size, bool)
    if starts.size:
        longest = int(np.argmax(stops - starts))
        is_shown[starts[longest] : stops[longest]] = True
    return is_shown


def rod_shifts(
    volume: Volume,
    plane: Plane,
    path_mm: Float[np.ndarray, "k 2"],
    is_shown: Bool[np.ndarray, " k"],
    radius_mm: float,
    sign: float,
) -> Float[np.ndarray, "k 2"] | None:
    """How far a rod lies from its expected path in every slice, in mm along (y, x); None if it does not show.

    Slices are averaged along the path in blocks, so that noise vanishes and the bow does not blur the rod.

    Args:
        volume: HU on an axial grid.
        plane: of its slices.
        path_mm: LPS (y, x) where the rod should be.
        is_shown: slices that show the phantom, without metal.
        radius_mm: of the rod.
        sign: 1 for a rod brighter than the slab, -1 for a darker one.
    """
    spacing_mm = float(volume.grid.spacing_mm[0])
    seen = np.flatnonzero(is_shown & plane.sees(plane.index(rim_points_mm(path_mm, radius_mm))).all(axis=1))
    if seen.size < max(0.5 * is_shown.sum(), 1):
        return None
    blocks = np.array_split(seen, max(1, round(seen.size * spacing_mm / SHIFT_BLOCK_MM)))
    disc, patches = _disc(radius_mm), [_patch(volume, plane, path_mm, block, radius_mm) for block in blocks]
    weights = np.array([block.size for block in blocks], float)
    _, likeness = best_shift(sign * np.average(patches, axis=0, weights=weights), disc)
    found = [(block.mean(), *best_shift(sign * patch, disc)) for block, patch in zip(blocks, patches, strict=True)]
    found = [entry for entry in found if entry[2] >= MIN_ROD_LIKENESS]
    if likeness < MIN_ROD_LIKENESS or not found:
        return None
    at_mm, shifts = spacing_mm * np.array([entry[0] for entry in found]), np.array([entry[1] for entry in found])
    z_mm = spacing_mm * np.arange(path_mm.shape[0])
    return np.stack([robust_curve(at_mm, shifts[:, axis], z_mm, 1) for axis in (0, 1)], axis=-1)


def rim_points_mm(centres_mm: Float[np.ndarray, "k 2"], radius_mm: float) -> Float[np.ndarray, "k 8 2"]:
    """Points on circles around centres."""
    angle = np.arange(8) * np.pi / 4
    return centres_mm[:, None] + radius_mm * np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _patch(
    volume: Volume, plane: Plane, path_mm: Float[np.ndarray, "k 2"], slices: np.ndarray, radius_mm: float
) -> Float[np.ndarray, "n n"]:
    """Mean of some slices around a path."""
    reach = int(np.ceil((radius_mm * 1.5 + SEARCH_MM) / PATCH_STEP_MM))
    steps_mm = np.arange(-reach, reach + 1) * PATCH_STEP_MM
    grid_mm = np.stack(np.meshgrid(steps_mm, steps_mm, indexing="ij"), axis=-1)
    patch = np.zeros(grid_mm.shape[:2])
    for k in slices:
        index = plane.index(path_mm[k] + grid_mm)
        patch += map_coordinates(volume.array[k], np.moveaxis(index, -1, 0), np.float32, order=1, mode="nearest")
    return patch / slices.size


def _disc(radius_mm: float) -> Float[np.ndarray, "m m"]:
    """A bright disc with a rim of slab; NaN where nothing is compared."""
    inner = int(np.ceil(radius_mm * 1.4 / PATCH_STEP_MM))
    near = np.hypot(*np.meshgrid(*[np.arange(-inner, inner + 1) * PATCH_STEP_MM] * 2))
    return np.where(near <= radius_mm * 1.4, np.clip((radius_mm - near) / 1.5 + 0.5, 0, 1), np.nan)


def best_shift(
    patch: Float[np.ndarray, "n n"], disc: Float[np.ndarray, "m m"]
) -> tuple[Float[np.ndarray, " 2"], float]:
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
