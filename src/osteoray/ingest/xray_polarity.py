"""Whether the values of an AP pelvis rise with attenuation, judged by the picture instead of its tags."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

SIDES = 0.07
"""Share of the field's width at each side that shows air or the thin flank."""
MIDDLE = 0.5
"""Share of the field's width that shows the pelvis."""
LEAST_SHARE = 0.1
"""Difference, as a share of the image's range, above which the picture decides."""


def middle_over_sides(
    attenuation: Float[np.ndarray, "rows columns"], field: Bool[np.ndarray, "rows columns"] | None = None
) -> float:
    """How much more the middle of the field attenuates than its sides, as a share of the image's range.

    Positive in every AP view of a pelvis: the body is thickest in the middle. Rows at the top and bottom are left out.

    Args:
        attenuation: log attenuation.
        field: pixels inside the collimated field; None if all are.
    """
    shown = np.ones(attenuation.shape, bool) if field is None else field
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    margin = max(1, round(0.1 * len(rows)))
    image = attenuation[rows[margin] : rows[-1 - margin] + 1, columns[0] : columns[-1] + 1]
    width = image.shape[1]
    side, inner = max(1, round(SIDES * width)), round(0.5 * (1 - MIDDLE) * width)
    low, high = np.percentile(image[::4, ::4], [1, 99])
    sides = np.median(np.concatenate([image[:, :side], image[:, -side:]], axis=1))
    return float((np.median(image[:, inner : width - inner]) - sides) / max(high - low, 1e-6))


def is_inverted(
    attenuation: Float[np.ndarray, "rows columns"], field: Bool[np.ndarray, "rows columns"] | None = None
) -> bool:
    """Whether the sides attenuate clearly more than the middle: the values fall with attenuation."""
    return middle_over_sides(attenuation, field) < -LEAST_SHARE
