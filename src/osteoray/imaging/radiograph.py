"""An X-ray image in log attenuation with its pixel size at the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Radiograph:
    """Log attenuation on the detector, larger = more attenuating.

    Attributes:
        array: float32 (row, column); row 0 is the top of the image.
        spacing_mm: pixel size along rows and columns at the detector plane.
    """

    array: Float[np.ndarray, "rows columns"]
    spacing_mm: tuple[float, float]
