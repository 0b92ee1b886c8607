"""The interface of backends: each finds the bones of a CT in its own way, and what follows does not know which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True, eq=False)
class FoundBones:
    """What every backend gives.

    Attributes:
        bones: labels of `Bone` on the CT grid.
        uncertainty: predictive variance, 0 to 0.25, on the CT grid; None from a backend that knows no doubt.
    """

    bones: UInt8[np.ndarray, "k j i"]
    uncertainty: Float32[np.ndarray, "k j i"] | None = None
