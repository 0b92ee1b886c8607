"""The calibration line: density = slope · HU + intercept by least squares, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MIN_BLOCK_MM = 20.0
MAX_BLOCKS = 3


@dataclass(frozen=True, eq=False)
class Line:
    """A calibration line.

    Attributes:
        slope_mg_cm3_per_hu: density per HU.
        intercept_mg_cm3: density of 0 HU.
        r2: coefficient of determination.
        residuals_mg_cm3: true density less the line's, per level.
    """

    slope_mg_cm3_per_hu: float
    intercept_mg_cm3: float
    r2: float
    residuals_mg_cm3: Float[np.ndarray, " levels"]


@dataclass(frozen=True)
class Drift:
    """How the line changes along the phantom.

    Attributes:
        slope_fraction: largest change of slope between blocks, relative to the slope.
        offset_mg_cm3: largest change of intercept between blocks.
        slope_error_fraction: standard error of a change of slope.
        offset_error_mg_cm3: standard error of a change of intercept.
        blocks: number of blocks compared.
    """

    slope_fraction: float
    offset_mg_cm3: float
    slope_error_fraction: float
    offset_error_mg_cm3: float
    blocks: int


LineFit = Callable[[np.ndarray, np.ndarray], Line]
"""From HU and the indices of the levels they belong to, to their line."""


def fit_line(hu: Float[np.ndarray, " levels"], density_mg_cm3: Float[np.ndarray, " levels"]) -> Line:
    """Ordinary least squares of density on HU.

    Raises:
        ValueError: fewer than two levels, or all of one HU.
    """
    if hu.size < 2 or np.ptp(hu) <= 0:
        raise ValueError(f"hu: expected at least two different values, got {hu.tolist()}")
    centred = hu - hu.mean()
    slope = float(centred @ density_mg_cm3 / (centred @ centred))
    intercept = float(density_mg_cm3.mean() - slope * hu.mean())
    residuals = density_mg_cm3 - slope * hu - intercept
    spread = float(((density_mg_cm3 - density_mg_cm3.mean()) ** 2).sum())
    r2 = 1.0 - float(residuals @ residuals) / max(spread, 1e-12)
    return Line(slope, intercept, r2, residuals)


def leave_one_out(hu: Float[np.ndarray, " levels"], fit: LineFit) -> Float[np.ndarray, " levels"]:
    """Slope without each level in turn, in mg/cm³ per HU."""
    levels = np.arange(hu.size)
    return np.array([fit(np.delete(hu, i), np.delete(levels, i)).slope_mg_cm3_per_hu for i in levels])


def line_drift(slice_hu: Float[np.ndarray, "levels k"], fit: LineFit, spacing_mm: float) -> Drift:
    """Fit the line in up to three blocks of slices and compare them.

    Args:
        slice_hu: core means of the usable levels in the used slices, in order.
        fit: of the levels.
        spacing_mm: distance between slices.
    """
    blocks = min(MAX_BLOCKS, int(slice_hu.shape[1] * spacing_mm / MIN_BLOCK_MM))
    if blocks < 2:
        return Drift(0.0, 0.0, 0.0, 0.0, blocks)
    parts = np.array_split(slice_hu, blocks, axis=1)
    lines = [fit(part.mean(axis=1), np.arange(len(part))) for part in parts]
    slopes = np.array([line.slope_mg_cm3_per_hu for line in lines])
    intercepts = np.array([line.intercept_mg_cm3 for line in lines])
    # Errors of a block's level means carried through the line; a change has the error of two blocks.
    hu, slices = slice_hu.mean(axis=1), min(part.shape[1] for part in parts)
    error_hu = float(np.sqrt((slice_hu.var(axis=1, ddof=1) / slices).mean()))
    spread_hu = float(np.sqrt(((hu - hu.mean()) ** 2).sum()))
    slope = float(abs(slopes.mean()))
    return Drift(
        slope_fraction=float(np.ptp(slopes)) / slope,
        offset_mg_cm3=float(np.ptp(intercepts)),
        slope_error_fraction=error_hu / spread_hu * np.sqrt(2),
        offset_error_mg_cm3=slope * error_hu * float(np.sqrt(2 * (1 / hu.size + (hu.mean() / spread_hu) ** 2))),
        blocks=blocks,
    )
