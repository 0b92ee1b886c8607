"""The midline is the image column midway between the two hips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def midline_between(maps: Sequence[Float[np.ndarray, "rows columns"]]) -> float:
    """Column midway between the centres of two projected proximal femurs.

    The centre is that of the outline, so that a denser side does not pull the midline.

    Args:
        maps: the areal density of the left and of the right proximal femur on the X-ray's grid.

    Raises:
        ValueError: not two maps, or one is empty.
    """
    if len(maps) != 2 or not all(m.any() for m in maps):
        raise ValueError(f"maps: expected two maps with content, got {len(maps)}")
    return float(np.mean([np.nonzero(m)[1].mean() for m in maps]))


def image_centre(columns: int) -> float:
    """The middle column, where positioning puts the midline."""
    return (columns - 1) / 2
