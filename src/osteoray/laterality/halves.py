"""A half is the part of an X-ray around one hip, cut at the patient's midline and turned to look like a right hip.

In an AP view the patient's left is on the image right. The half reaches from the midline to the edge of the image; of
it the largest box twice as high as wide (in millimetres) is kept: of a high half the middle, of a wide half the outer
part. Left halves are flipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from osteoray.imaging.bones import Side

HEIGHT_TO_WIDTH = 2.0
"""Height of a half divided by its width, in millimetres."""


@dataclass(frozen=True)
class Half:
    """Where a half lies in its X-ray; enough to cut it out and to put it back.

    Attributes:
        side: side of the patient.
        row: first row of the box.
        column: first column of the box.
        rows: height of the box in pixels.
        columns: width of the box in pixels.
        flipped: whether columns are reversed.
    """

    side: Side
    row: int
    column: int
    rows: int
    columns: int
    flipped: bool

    def cut(self, image: Shaped[np.ndarray, "rows columns"]) -> Shaped[np.ndarray, "r c"]:
        """The half of an image on the X-ray's grid."""
        part = image[self.row : self.row + self.rows, self.column : self.column + self.columns]
        return np.ascontiguousarray(part[:, ::-1] if self.flipped else part)

    def paste(self, part: Float[np.ndarray, "r c"], shape: tuple[int, int]) -> Float[np.ndarray, "rows columns"]:
        """An image of the X-ray's shape with the half in its place and 0 elsewhere.

        Raises:
            ValueError: the half has another shape.
        """
        if part.shape != (self.rows, self.columns):
            raise ValueError(f"part: expected shape {(self.rows, self.columns)}, got {part.shape}")
        image = np.zeros(shape, part.dtype)
        image[self.row : self.row + self.rows, self.column : self.column + self.columns] = (
            part[:, ::-1] if self.flipped else part
        )
        return image


def locate_half(shape: tuple[int, int], spacing_mm: tuple[float, float], midline: float, side: Side) -> Half:
    """Place the half of a side.

    Args:
        shape: rows and columns of the X-ray.
        spacing_mm: pixel size along rows and columns.
        midline: column of the patient's midline; a position between two pixels is allowed.
        side: side of the patient.

    Raises:
        ValueError: the midline lies outside the X-ray.
    """
    rows, columns = shape
    if not 0 < midline < columns - 1:
        raise ValueError(f"midline: expected a column inside the image of {columns} columns, got {midline:.1f}")
    split = int(midline) + 1
    start, stop = (split, columns) if side is Side.LEFT else (0, split)
    pixel_ratio = spacing_mm[0] / spacing_mm[1]
    width = min(stop - start, int(rows * pixel_ratio / HEIGHT_TO_WIDTH))
    height = min(rows, round(width * HEIGHT_TO_WIDTH / pixel_ratio))
    return Half(
        side=side,
        row=(rows - height) // 2,
        # Of a wide half the part at the midline is left out: hips lie at its outer side.
        column=stop - width if side is Side.LEFT else start,
        rows=height,
        columns=width,
        flipped=side is Side.LEFT,
    )


def is_inside(
    part: Float[np.ndarray, "r c"], border: tuple[int, int], exposed: Bool[np.ndarray, "r c"] | None = None
) -> bool:
    """Whether a map has content and none of it in a border of some rows and columns, or outside what was exposed."""
    rows, columns = border
    if exposed is not None and (part[~exposed] != 0).any():
        return False
    content = part != 0
    inner = content[rows : content.shape[0] - rows, columns : content.shape[1] - columns]
    return bool(content.any()) and np.count_nonzero(inner) == np.count_nonzero(content)
