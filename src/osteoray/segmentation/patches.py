"""Where the fine network looks: rectangles around the bones of a few neighbouring slices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

Rectangle = tuple[slice, slice]
"""Rows and columns."""


def rectangles_around(mask: Bool[np.ndarray, "rows columns"], margin: int, multiple: int) -> list[Rectangle]:
    """Rectangles that hold every part of a mask and a margin, and do not overlap.

    Args:
        mask: where a bone may be.
        margin: pixels around it.
        multiple: heights and widths become multiples of this where the mask's frame leaves room.
    """
    found = [_grown(box, margin, multiple, mask.shape) for box in ndimage.find_objects(ndimage.label(mask)[0])]
    while (pair := _overlapping(found)) is not None:
        first, second = pair
        found = [box for box in found if box is not first and box is not second]
        union = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
        found.append(_grown(union, 0, multiple, mask.shape))
    return found


def _overlapping(boxes: list[Rectangle]) -> tuple[Rectangle, Rectangle] | None:
    for number, first in enumerate(boxes):
        for second in boxes[:number]:
            if all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True)):
                return first, second
    return None


def _grown(box: tuple[slice, ...], margin: int, multiple: int, frame: tuple[int, ...]) -> Rectangle:
    """A box with a margin, its sizes rounded up, inside the frame."""
    grown = []
    for side, size in zip(box, frame, strict=True):
        low, high = side.start - margin, side.stop + margin
        missing = -(high - low) % multiple
        low, high = low - missing // 2, high + missing - missing // 2
        # Pushed back into the frame, so that a bone at its edge keeps its size.
        shift = max(-low, 0) - max(high - size, 0)
        grown.append(slice(max(low + shift, 0), min(high + shift, size)))
    return grown[0], grown[1]
