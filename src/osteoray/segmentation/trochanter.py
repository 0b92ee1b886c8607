"""The lesser trochanter: the medial-posterior bump of the femur below the neck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.segmentation.shaft import Axis
from osteoray.segmentation.surface import BoneSurface

MEDIAL_TO_POSTERIOR_DEG = np.arange(15.0, 111.0, 5.0)
"""Directions around the shaft in which the bump is looked for: 0 is medial (the neck's side), 90 posterior."""

LOWER_EDGE_SHARE = 0.2
"""The lower edge is where the bump has fallen to this share of its height."""

FLANK_SHARES = (0.1, 0.4)
"""Shares of the height between which a line is laid through the flank: one crossing is as noisy as the surface."""

PLAIN_SHAFT_MM = (30, 45)
"""How far below the tip the shaft is plain; the bump's height is measured from its radius there."""

MIN_HEIGHT_MM = 2.5
"""A lower bump is no trochanter."""


@dataclass(frozen=True, eq=False)
class LesserTrochanter:
    """The bump and where it begins.

    Attributes:
        tip_mm: its outermost point.
        lower_edge_mm: point of the surface where it leaves the shaft, coming from below.
        height_mm: how far the tip stands out of the shaft.
    """

    tip_mm: Float[np.ndarray, 3]
    lower_edge_mm: Float[np.ndarray, 3]
    height_mm: float


def find_lesser_trochanter(
    surface: BoneSurface,
    shaft: Axis,
    medial: Float[np.ndarray, 3],
    posterior: Float[np.ndarray, 3],
    low_mm: float,
    high_mm: float,
) -> LesserTrochanter:
    """Find the bump that stands out most between shaft and neck.

    The outer radius of the bone is measured around the shaft axis at every millimetre, in every direction between
    medial and posterior. The lower edge is looked for along the tip's direction.

    Args:
        surface: the femur.
        shaft: its axis.
        medial: unit vector orthogonal to the shaft, towards the head.
        posterior: unit vector orthogonal to both.
        low_mm: position along the shaft where the femur's lower end is complete.
        high_mm: position above which there is neck.

    Raises:
        ValueError: no bump stands out.
    """
    positions_mm = np.arange(low_mm, high_mm, 1.0)
    angle = np.radians(MEDIAL_TO_POSTERIOR_DEG)
    directions = np.cos(angle)[:, None] * medial + np.sin(angle)[:, None] * posterior
    radius_mm = outer_radius_mm(surface, shaft, positions_mm, directions)
    radius_mm = ndimage.gaussian_filter(radius_mm, (1.5, 0.7), mode="nearest")
    tip, where = _highest_bump(radius_mm)
    # Along the tip's own direction the bump falls to the shaft without other features in the way.
    profile_mm = radius_mm[:, max(where - 2, 0) : where + 3].mean(axis=1)
    shaft_mm = np.median(profile_mm[max(tip - PLAIN_SHAFT_MM[1], 0) : max(tip - PLAIN_SHAFT_MM[0], 5)])
    height_mm = float(profile_mm[tip] - shaft_mm)
    if height_mm < MIN_HEIGHT_MM:
        raise ValueError(f"surface: expected a lesser trochanter of {MIN_HEIGHT_MM:g} mm, got {height_mm:.1f}")
    level_mm = shaft_mm + LOWER_EDGE_SHARE * height_mm
    position_mm = positions_mm[0] + _flank_crossing((profile_mm[: tip + 1] - shaft_mm) / height_mm)
    return LesserTrochanter(
        tip_mm=shaft.at(positions_mm[tip]) + radius_mm[tip, where] * directions[where],
        lower_edge_mm=shaft.at(position_mm) + level_mm * directions[where],
        height_mm=height_mm,
    )


def _flank_crossing(share: Float[np.ndarray, "t"]) -> float:
    """Where the flank below the tip, which ends the profile, crosses the lower edge's share of the height.

    A line is fitted to the flank; where that is too steep for one, its last crossing is interpolated.

    Args:
        share: height over the plain shaft at every millimetre, 1 at the tip.
    """
    foot, shoulder = (1 + max(np.flatnonzero(share < level), default=-1) for level in FLANK_SHARES)
    flank = np.arange(foot, shoulder)
    if len(flank) >= 4:
        slope, intercept = np.polyfit(flank, share[flank], 1)
        if slope > 0:
            return float(np.clip((LOWER_EDGE_SHARE - intercept) / slope, foot - 1, shoulder))
    last = max(np.flatnonzero(share < LOWER_EDGE_SHARE), default=0)
    rise = max(share[last + 1] - share[last], 1e-6)
    return float(last + np.clip((LOWER_EDGE_SHARE - share[last]) / rise, 0, 1))


def outer_radius_mm(
    surface: BoneSurface,
    shaft: Axis,
    positions_mm: Float[np.ndarray, "t"],
    directions: Float[np.ndarray, "a 3"],
    reach_mm: float = 45.0,
) -> Float[np.ndarray, "t a"]:
    """Distance from the shaft axis to where rays orthogonal to it first leave the bone.

    Args:
        surface: the femur.
        shaft: its axis.
        positions_mm: where along the axis.
        directions: unit vectors orthogonal to it.
        reach_mm: length of the rays.
    """
    step_mm = 0.5
    radii = np.arange(0.0, reach_mm, step_mm)
    start = shaft.point_mm + positions_mm[:, None] * shaft.direction
    points = start[:, None, None, :] + radii[None, None, :, None] * directions[None, :, None, :]
    distance = surface.sample(points)
    outside = distance <= 0
    first = np.where(outside.any(axis=-1), outside.argmax(axis=-1), len(radii) - 1)
    first = np.maximum(first, 1)
    before = np.take_along_axis(distance, (first - 1)[..., None], -1)[..., 0]
    after = np.take_along_axis(distance, first[..., None], -1)[..., 0]
    fraction = np.clip(before / np.where(before > after, before - after, 1.0), 0, 1)
    return (first - 1 + fraction) * step_mm


def _highest_bump(radius_mm: Float[np.ndarray, "t a"]) -> tuple[int, int]:
    """Indices of the local maximum, in height and direction, that stands out most.

    Maxima at the first and last direction belong to the neck and to the greater trochanter.

    Raises:
        ValueError: there is none.
    """
    is_peak = radius_mm == ndimage.maximum_filter(radius_mm, (9, 5), mode="nearest")
    is_peak[:3], is_peak[-3:] = False, False
    is_peak[:, :1], is_peak[:, -1:] = False, False
    if not is_peak.any():
        raise ValueError("surface: expected a lesser trochanter below the neck, got no bump")
    tip, where = np.unravel_index(np.argmax(np.where(is_peak, radius_mm, -np.inf)), radius_mm.shape)
    return int(tip), int(where)
