"""The interface of backends: each finds the bones of a CT in its own way, and what follows does not know which."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True, eq=False)
class FoundBones:
    """What every backend gives.

    Attributes:
        bones: labels of `Bone` on the CT grid.
        uncertainty: predictive variance, 0 to 0.25, on the CT grid; None from a backend that knows no doubt.
        taken_cm3: by lower-case class (`hip`, `femur`, `sacrum`), what the backend called bone and the rules for leaks,
            vertebrae and crumbs took away again; empty from a backend without such rules.
    """

    bones: UInt8[np.ndarray, "k j i"]
    uncertainty: Float32[np.ndarray, "k j i"] | None = None
    taken_cm3: dict[str, float] = field(default_factory=dict)
