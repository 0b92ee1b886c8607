"""The true maps of an X-ray on disk, whole or compact, and the shadow that a map defines.

Compact maps are multiples of `QUANTUM_G_CM2` in 16 bits: half the quantum is the largest error, and zeros and steps
compress well.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

QUANTUM_G_CM2 = 2e-4
SHADOW_G_CM2 = 0.05
"""A pixel lies in the shadow of a proximal femur from this much true mineral on, about 0.5 mm of cortex."""


def shadow(true_g_cm2: Float[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """Pixels of a proximal femur's shadow on its map of true mineral."""
    return true_g_cm2 >= SHADOW_G_CM2


def compact_maps(maps_g_cm2: dict[str, Float[np.ndarray, "rows columns"]]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Maps as 16-bit multiples of the quantum, with the quantum beside them.

    Raises:
        ValueError: a map holds more than 16 bits can.
    """
    limit_g_cm2 = 32767 * QUANTUM_G_CM2
    compact = {"quantum_g_cm2": np.array(QUANTUM_G_CM2)}
    for name, areal in maps_g_cm2.items():
        if np.abs(areal).max(initial=0) > limit_g_cm2:
            raise ValueError(f"{name}: expected at most {limit_g_cm2:.2f} g/cm², got {np.abs(areal).max():.2f}")
        compact[name] = np.rint(areal / QUANTUM_G_CM2).astype(np.int16)
    return compact


def whole_maps(arrays: dict[str, Shaped[np.ndarray, "..."]]) -> dict[str, Float32[np.ndarray, "rows columns"]]:
    """Maps in g/cm² from the arrays of a truth's `{x}.npz`, whole or compact."""
    quantum_g_cm2 = np.float32(arrays.get("quantum_g_cm2", 1.0))
    return {name: array * quantum_g_cm2 for name, array in arrays.items() if name != "quantum_g_cm2"}
