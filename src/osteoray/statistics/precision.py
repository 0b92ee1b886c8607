"""Precision of repeated X-rays of one hip: how much the predicted BMD moves when only the pose does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEAST_SIGNIFICANT_CHANGE = 2.77
"""Precision error to the least significant change at 95 % confidence: 1.96 √2 (ISCD)."""


@dataclass(frozen=True)
class Precision:
    """Precision over hips with at least two X-rays.

    Attributes:
        hips: hips with repeats.
        patients: patients with repeats.
        degrees_of_freedom: repeats minus hips; ISCD asks for 30.
        rms_cv_percent: root mean square of the hips' coefficients of variation.
        mean_cv_percent: mean of the coefficients of variation.
        sd_cv_percent: their standard deviation; NaN for one hip.
        precision_error_g_cm2: root mean square of the hips' standard deviations.
        lsc_g_cm2: least significant change.
        lsc_percent: least significant change, relative.
    """

    hips: int
    patients: int
    degrees_of_freedom: int
    rms_cv_percent: float
    mean_cv_percent: float
    sd_cv_percent: float
    precision_error_g_cm2: float
    lsc_g_cm2: float
    lsc_percent: float


def precision(
    predicted_g_cm2: Float[np.ndarray, " n"], patient_ids: Sequence[str], sides: Sequence[str]
) -> Precision | None:
    """Precision of the predictions; repeats are the X-rays of one side of one patient (SD with ddof 1).

    Returns:
        None where no hip has two X-rays with bone.
    """
    hips: dict[tuple[str, str], list[float]] = {}
    for value, patient_id, side in zip(predicted_g_cm2, patient_ids, sides, strict=True):
        if value > 0:
            hips.setdefault((patient_id, side), []).append(float(value))
    repeats = {hip: np.array(values) for hip, values in hips.items() if len(values) >= 2}
    if not repeats:
        return None
    sd = np.array([values.std(ddof=1) for values in repeats.values()])
    cv = 100 * sd / np.array([values.mean() for values in repeats.values()])
    rms_cv, error = float(np.sqrt((cv**2).mean())), float(np.sqrt((sd**2).mean()))
    return Precision(
        len(repeats),
        len({patient_id for patient_id, _ in repeats}),
        sum(values.size - 1 for values in repeats.values()),
        rms_cv,
        float(cv.mean()),
        float(cv.std(ddof=1)) if cv.size > 1 else float("nan"),
        error,
        LEAST_SIGNIFICANT_CHANGE * error,
        LEAST_SIGNIFICANT_CHANGE * rms_cv,
    )
