"""A window maps a physical range to [-1, 1] by one fixed line for all images, so that exposure is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

XRAY_PERCENTILES = (1.0, 99.0)
"""Percentiles of all training pixels together that become -1 and 1 of an X-ray."""


@dataclass(frozen=True)
class Window:
    """The line from `low` and `high` to -1 and 1; values beyond are not clipped.

    Attributes:
        low: value that becomes -1.
        high: value that becomes 1.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low, high: expected finite and increasing, got {self.low}, {self.high}")

    def normalise(self, values: Any) -> Any:
        """Physical values (array or tensor) in units of the window."""
        return (values - self.low) * (2 / (self.high - self.low)) - 1

    def denormalise(self, values: Any) -> Any:
        """Values in units of the window (array or tensor) as physical values."""
        return (values + 1) * ((self.high - self.low) / 2) + self.low


def xray_window(xrays: np.ndarray) -> Window:
    """Window of a training set of X-rays (n, rows, columns) in log attenuation.

    The constants belong to the set, never to an image: a normalisation per image erases the density signal.
    """
    low, high = np.percentile(xrays[:: max(1, len(xrays) // 200)], XRAY_PERCENTILES)
    return Window(float(low), float(high))


def map_window(maps: np.ndarray) -> Window:
    """Window of a training set of maps (n, rows, columns) in g/cm²: from 0 to the largest value of the set."""
    return Window(0.0, float(maps.max()))
