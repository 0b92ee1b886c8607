"""The read-out: BMD is the mean of a bone map's pixels above a threshold (Gu 2023, Gu 2024).

The threshold keeps the soft background of a predicted map out of the mean. It is swept on the reference maps of the
training fold, where it maximises the correlation of the mean with QCT aBMD (Gu 2023, fig. 4). A line fitted on the same
maps carries the mean to the scale of QCT aBMD, because a map at the X-ray's pose is not the neutral projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from osteoray.densitometry.line import IDENTITY, Line, fit_line


@dataclass(frozen=True)
class ReadOut:
    """A threshold, and the line from the mean above it to BMD."""

    threshold_g_cm2: float
    line: Line = IDENTITY


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """A map's mean above each threshold of a sweep.

    Attributes:
        mean_g_cm2: mean of the pixels above the threshold; 0 where there is none.
        pixels: how many pixels are above it.
    """

    mean_g_cm2: Float[np.ndarray, " t"]
    pixels: Int[np.ndarray, " t"]


def threshold_curve(
    areal_g_cm2: Float[np.ndarray, "rows columns"], thresholds_g_cm2: Float[np.ndarray, " t"], maximum_g_cm2: float
) -> ThresholdCurve:
    """Mean and number of the pixels above each threshold, of the map clipped to [0, maximum]."""
    values = np.clip(areal_g_cm2[areal_g_cm2 > thresholds_g_cm2.min()].astype(np.float64), 0.0, maximum_g_cm2)
    values.sort()
    sums = np.concatenate([[0.0], np.cumsum(values[::-1])])
    pixels = values.size - np.searchsorted(values, thresholds_g_cm2, side="right")
    return ThresholdCurve(sums[pixels] / np.maximum(pixels, 1), pixels)


def sweep(low_g_cm2: float, high_g_cm2: float, step_g_cm2: float, fallback_g_cm2: float) -> Float[np.ndarray, " t"]:
    """Increasing thresholds from low to high, with the fallback among them."""
    count = int(np.floor((high_g_cm2 - low_g_cm2) / step_g_cm2 + 1e-9)) + 1
    return np.unique(np.round([*(low_g_cm2 + step_g_cm2 * np.arange(count)), fallback_g_cm2], 6))


def fit_read_out(
    mean_g_cm2: Float[np.ndarray, "n t"],
    thresholds_g_cm2: Float[np.ndarray, " t"],
    abmd_g_cm2: Float[np.ndarray, " n"],
    to_scale: bool,
) -> ReadOut:
    """The threshold whose means correlate best with QCT aBMD, and the line between them.

    Args:
        mean_g_cm2: means above every threshold of every reference map of the training fold.
        thresholds_g_cm2: the thresholds.
        abmd_g_cm2: QCT aBMD of the same hips.
        to_scale: fit the line (Gu 2023); otherwise the mean is the BMD (Gu 2024).

    Raises:
        ValueError: at no threshold do the means of non-empty maps rise with aBMD.
    """
    usable = (mean_g_cm2 > 0).all(axis=0)
    means = mean_g_cm2 - mean_g_cm2.mean(axis=0)
    target = abmd_g_cm2 - abmd_g_cm2.mean()
    norms = np.linalg.norm(means, axis=0) * np.linalg.norm(target)
    correlation = np.where(usable & (norms > 0), (target @ means) / np.where(norms > 0, norms, 1.0), -np.inf)
    best = int(np.argmax(correlation))
    if correlation[best] <= 0:
        raise ValueError("mean_g_cm2: expected a threshold whose means rise with aBMD, got none")
    line = fit_line(mean_g_cm2[:, best], abmd_g_cm2) if to_scale else IDENTITY
    return ReadOut(float(thresholds_g_cm2[best]), line)
