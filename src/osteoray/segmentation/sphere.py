"""The femoral head as a sphere fitted robustly to the surface of the femur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Box, Volume
from osteoray.segmentation.surface import BoneSurface

NECK_CONE_DEG = 67.0
"""Half-angle of the cone around the neck in which the surface of a femur is not that of its head."""

ROUND_MM = 1.5
"""The head is round where its surface lies this close to the sphere."""

TOUCHING_MM = 1.5
"""Where the surfaces of two bones are nearer than this, a segmentation draws the line between them as it likes."""
AROUND_MM = 6.0
"""How far from the first guess a head's surface may lie."""
LEAST_APART = 0.5
"""Share of the head's surface that must lie apart from the hip bone; of a head that has grown into it all counts."""


@dataclass(frozen=True, eq=False)
class Sphere:
    """A sphere fitted to surface points.

    Attributes:
        centre_mm: its centre.
        radius_mm: its radius.
        residual_mm: root mean square distance of the points that were fitted.
        coverage: share, 0 to 1, of the sphere outside the neck's cone on which the surface lies within 1.5 mm.
    """

    centre_mm: Float[np.ndarray, 3]
    radius_mm: float
    residual_mm: float
    coverage: float


def fit_sphere(points_mm: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, 3], float]:
    """Centre and radius of the sphere with least algebraic error (linear least squares).

    Raises:
        ValueError: fewer than four points, or all in one plane.
    """
    mean = points_mm.mean(axis=0)
    local = points_mm - mean
    design = np.column_stack([2 * local, np.ones(len(local))])
    solution, _, rank, _ = np.linalg.lstsq(design, (local**2).sum(axis=1), rcond=None)
    if rank < 4:
        raise ValueError(f"points_mm: expected four or more points that span space, got {len(points_mm)}")
    centre = solution[:3]
    return mean + centre, float(np.sqrt(solution[3] + centre @ centre))


def fit_head(
    points_mm: Float[np.ndarray, "n 3"],
    start_mm: Float[np.ndarray, 3],
    start_radius_mm: float,
    away_from: Float[np.ndarray, 3],
    is_touching: Bool[np.ndarray, " n"] | None = None,
) -> Sphere:
    """Fit a sphere to the points near a first guess, leaving out the neck and what touches another bone.

    The band of accepted points narrows from 6 to 1 mm (annealed trimming), so that the acetabular rim, osteophytes and
    the fovea, which are one-sided, lose their pull.

    Args:
        points_mm: surface of the femur.
        start_mm: first guess of the centre, within about 8 mm.
        start_radius_mm: first guess of the radius.
        away_from: a point on the shaft axis; the neck leaves the head towards it.
        is_touching: points that touch another bone; they count for residual and coverage alone.

    Raises:
        ValueError: no sphere fits.
    """
    centre, radius = start_mm, start_radius_mm
    sure_mm = points_mm if is_touching is None else points_mm[~is_touching]
    for band_mm in (6.0, 4.0, 3.0, 2.0, 1.5, 1.0, 1.0, 1.0):
        kept = sure_mm[_is_on_head(sure_mm, centre, radius, away_from, band_mm)]
        if len(kept) < 30:
            raise ValueError(f"points_mm: expected 30 or more on the head, got {len(kept)}")
        centre, radius = fit_sphere(kept)
    kept = points_mm[_is_on_head(points_mm, centre, radius, away_from, ROUND_MM)]
    residual_mm = np.sqrt(np.mean((np.linalg.norm(kept - centre, axis=1) - radius) ** 2))
    return Sphere(centre, radius, float(residual_mm), _coverage(kept - centre, away_from - centre))


def touching(
    points_mm: Float[np.ndarray, "n 3"], other: Volume, centre_mm: Float[np.ndarray, 3], radius_mm: float
) -> Bool[np.ndarray, " n"] | None:
    """Which points of a head touch another bone; None if so many do that the rest would not tell the head.

    Args:
        points_mm: surface of the femur.
        other: mask of the bone.
        centre_mm: of the head, about.
        radius_mm: of the head, about.
    """
    is_near = np.linalg.norm(points_mm - centre_mm, axis=1) < radius_mm + AROUND_MM
    box, _ = ball_on_grid(other.grid, centre_mm, radius_mm + 2 * AROUND_MM)
    if not other.array[box].any():
        return np.zeros(len(points_mm), bool)
    first = (box[0].start, box[1].start, box[2].start)
    part = Volume(other.array[box], other.grid.crop(first, other.array[box].shape))
    distance_mm, _ = cKDTree(BoneSurface.of(part).points()).query(points_mm[is_near])
    touches = np.zeros(len(points_mm), bool)
    touches[is_near] = distance_mm < TOUCHING_MM
    return None if touches[is_near].mean() > 1 - LEAST_APART else touches


def _is_on_head(
    points_mm: Float[np.ndarray, "n 3"],
    centre: Float[np.ndarray, 3],
    radius: float,
    away_from: Float[np.ndarray, 3],
    band_mm: float,
) -> np.ndarray:
    """Whether points lie in the band around the sphere and outside the cone of the neck."""
    offset = points_mm - centre
    distance = np.linalg.norm(offset, axis=1)
    return (np.abs(distance - radius) < band_mm) & ~_is_neckwards(offset, away_from - centre)


def _is_neckwards(offset_mm: Float[np.ndarray, "n 3"], neck: Float[np.ndarray, 3]) -> np.ndarray:
    """Whether offsets from the head's centre lie in the cone of the neck."""
    along = offset_mm @ (neck / np.linalg.norm(neck))
    return along >= np.cos(np.radians(NECK_CONE_DEG)) * np.linalg.norm(offset_mm, axis=1)


def _coverage(offset_mm: Float[np.ndarray, "n 3"], neck: Float[np.ndarray, 3]) -> float:
    """Share of 400 evenly spread directions outside the neck's cone that have a point within 8 degrees."""
    n = np.arange(400) + 0.5
    polar, azimuth = np.arccos(1 - 2 * n / 400), np.pi * (1 + 5**0.5) * n
    spread = np.column_stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)])
    spread = spread[~_is_neckwards(spread, neck)]
    unit = offset_mm / np.linalg.norm(offset_mm, axis=1, keepdims=True)
    chord, _ = cKDTree(unit).query(spread)
    return float((chord < 2 * np.sin(np.radians(8) / 2)).mean())


def ball_on_grid(
    grid: VoxelGrid, centre_mm: Float[np.ndarray, 3], radius_mm: float
) -> tuple[Box, Bool[np.ndarray, "k j i"]]:
    """The box of a grid around a ball, as far as the grid reaches, and which of its voxels lie in the ball."""
    centre, reach = apply_affine(grid.index_from_world, centre_mm), radius_mm / grid.spacing_mm
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.maximum(np.minimum(np.ceil(centre + reach) + 1, grid.shape).astype(int), low)
    k, j, i = (slice(int(first), int(stop)) for first, stop in zip(low, high, strict=True))
    part = grid.crop((k.start, j.start, i.start), (k.stop - k.start, j.stop - j.start, i.stop - i.start))
    return (k, j, i), np.linalg.norm(part.coordinates_mm() - centre_mm, axis=-1) < radius_mm
