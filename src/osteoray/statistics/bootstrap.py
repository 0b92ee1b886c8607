"""Percentile intervals from resampling whole patients, because X-rays of a patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float


def patient_bootstrap(
    statistic: Callable[[Float[np.ndarray, " n"], Float[np.ndarray, " n"]], Sequence[float]],
    predicted: Float[np.ndarray, " n"],
    reference: Float[np.ndarray, " n"],
    patient_ids: Sequence[str],
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "2 statistics"]:
    """Lower and upper ends of the intervals of several statistics.

    Args:
        statistic: maps predicted and reference values to numbers.
        predicted: one value per X-ray.
        reference: the reference of each.
        patient_ids: the patient of each.
        resamples: how many cohorts are drawn.
        confidence: for example 0.95.
        rng: draws the patients.

    Returns:
        Rows low and high; NaN with fewer than three patients.
    """
    patients, index = np.unique(np.asarray(patient_ids), return_inverse=True)
    width = len(statistic(predicted, reference))
    if patients.size < 3:
        return np.full((2, width), np.nan)
    members = [np.flatnonzero(index == p) for p in range(patients.size)]
    drawn = np.empty((resamples, width))
    for r in range(resamples):
        rows = np.concatenate([members[p] for p in rng.integers(0, patients.size, patients.size)])
        drawn[r] = statistic(predicted[rows], reference[rows])
    tail = (1 - confidence) / 2
    return np.nanquantile(drawn, [tail, 1 - tail], axis=0)
