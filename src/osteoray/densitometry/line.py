"""A least-squares line that carries BMD from one scale to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Line:
    """`to = slope * from + offset_g_cm2`."""

    slope: float
    offset_g_cm2: float

    def __call__(self, value: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"] | float:
        """One value or many on the other scale."""
        return self.slope * value + self.offset_g_cm2


IDENTITY = Line(1.0, 0.0)
"""No change of scale."""


def fit_line(start: Float[np.ndarray, " n"], target: Float[np.ndarray, " n"]) -> Line:
    """Ordinary least squares of `target` on `start`.

    Raises:
        ValueError: fewer than two different starting values.
    """
    if start.size < 2 or np.ptp(start) == 0:
        raise ValueError(f"start: expected at least two different values, got {start.tolist()}")
    centred = start - start.mean()
    slope = float(centred @ (target - target.mean()) / (centred @ centred))
    return Line(slope, float(target.mean() - slope * start.mean()))
