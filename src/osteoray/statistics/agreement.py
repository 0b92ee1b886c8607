"""Agreement of predicted with reference BMD: how close, how biased, how compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, " n"]


def pearson(predicted: Values, reference: Values) -> float:
    """Pearson correlation (PCC); NaN where a side does not vary."""
    centred = predicted - predicted.mean()
    target = reference - reference.mean()
    norm = np.sqrt((centred @ centred) * (target @ target))
    return float(np.clip(centred @ target / norm, -1.0, 1.0)) if norm > 1e-300 else float("nan")


def fisher_icc(predicted: Values, reference: Values) -> float:
    """Fisher's pairwise intraclass correlation, the ICC of the BMD-GAN papers.

    Deviations are taken from the common mean of both sides, so a bias lowers it; it can be negative. It equals
    ICC(1,1) up to O(1/n).
    """
    mean = (predicted.mean() + reference.mean()) / 2
    a, b = predicted - mean, reference - mean
    variance = (a @ a + b @ b) / (2 * predicted.size)
    return float((a @ b) / (predicted.size * variance)) if variance > 1e-300 else float("nan")


def icc_a1(predicted: Values, reference: Values) -> float:
    """Two-way, absolute agreement, single measurement: ICC(A,1) of McGraw and Wong 1996."""
    pairs = np.stack([predicted, reference], axis=1)
    n, k = pairs.shape
    grand = pairs.mean()
    rows = k * ((pairs.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((pairs.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    total = ((pairs - grand) ** 2).sum()
    error = (total - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1))
    denominator = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / denominator) if denominator > 1e-300 else float("nan")


def standard_error_of_estimate(predicted: Values, reference: Values) -> float:
    """SEE to the identity line: sqrt(sum of squared errors / (n - 2)), in the unit of the values."""
    error = predicted - reference
    return float(np.sqrt(error @ error / (error.size - 2)))


def calibration_slope(predicted: Values, reference: Values) -> float:
    """Slope of predicted on reference: below 1 where extremes are drawn to the mean."""
    target = reference - reference.mean()
    norm = target @ target
    return float((predicted - predicted.mean()) @ target / norm) if norm > 1e-300 else float("nan")


@dataclass(frozen=True)
class BlandAltman:
    """Bias and 95 % limits of agreement of predicted minus reference, in the unit of the values."""

    bias: float
    low: float
    high: float


def bland_altman(predicted: Values, reference: Values) -> BlandAltman:
    """Mean difference and mean ± 1.96 standard deviations of the difference (ddof 1)."""
    difference = predicted - reference
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return BlandAltman(bias, bias - spread, bias + spread)


@dataclass(frozen=True)
class Agreement:
    """All statistics of agreement over X-rays pooled from every fold; BMD in g/cm²."""

    pcc: float
    icc: float
    icc_a1: float
    mae_g_cm2: float
    mae_sd_g_cm2: float
    see_g_cm2: float
    bias_g_cm2: float
    loa_low_g_cm2: float
    loa_high_g_cm2: float
    slope: float


def agreement(predicted_g_cm2: Values, reference_g_cm2: Values) -> Agreement:
    """Every statistic of agreement.

    Args:
        predicted_g_cm2: one value per X-ray and side, of all folds together.
        reference_g_cm2: the reference of each.

    Raises:
        ValueError: fewer than three pairs, or a value is not finite.
    """
    if predicted_g_cm2.size < 3:
        raise ValueError(f"predicted_g_cm2: expected at least 3 pairs, got {predicted_g_cm2.size}")
    if not np.isfinite(predicted_g_cm2 + reference_g_cm2).all():
        raise ValueError("predicted_g_cm2: expected finite pairs, got NaN or infinity")
    error = np.abs(predicted_g_cm2 - reference_g_cm2)
    limits = bland_altman(predicted_g_cm2, reference_g_cm2)
    return Agreement(
        pearson(predicted_g_cm2, reference_g_cm2),
        fisher_icc(predicted_g_cm2, reference_g_cm2),
        icc_a1(predicted_g_cm2, reference_g_cm2),
        float(error.mean()),
        float(error.std(ddof=1)),
        standard_error_of_estimate(predicted_g_cm2, reference_g_cm2),
        limits.bias,
        limits.low,
        limits.high,
        calibration_slope(predicted_g_cm2, reference_g_cm2),
    )
