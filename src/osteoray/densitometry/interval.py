"""The interval of a predicted BMD, from errors on patients that the model of that error has not seen.

Errors are taken to the identity line, so a bias widens the interval and is not hidden by it. Hips and X-rays of a
patient are not independent: a patient counts once, both in the mean square and in the degrees of freedom.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit


def half_width(
    error_g_cm2: Float[np.ndarray, " n"], patient_ids: list[str], confidence: float, fitted: int = 0
) -> float:
    """Half the width of the interval that holds a new patient's true value with this confidence, in g/cm².

    Args:
        error_g_cm2: predicted minus reference BMD of held-out half X-rays.
        patient_ids: the patient of each.
        confidence: for example 0.95.
        fitted: how many parameters were fitted to these same errors (2 after a line).

    Raises:
        ValueError: no degree of freedom is left.
    """
    patients, index = np.unique(patient_ids, return_inverse=True)
    freedom = patients.size - fitted
    if freedom < 1:
        raise ValueError(f"patient_ids: expected more than {fitted} patients, got {patients.size}")
    squares = np.bincount(index, error_g_cm2**2) / np.bincount(index)
    return float(np.sqrt(squares.sum() / freedom) * stdtrit(freedom, 0.5 + confidence / 2))
