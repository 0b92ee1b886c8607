"""Which pixels of an X-ray the collimator left open, from the edges or corners that the file records.

What lies outside is as dark as lead and not the patient. A few millimetres inside the edges belong to the penumbra.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float
from pydicom import Dataset

from osteoray.ingest.dicom import optional_number, text, texts

PENUMBRA_MM = 3.0
"""Half width of the soft edge of blades far from the detector, at the detector."""
TYPICAL_PITCH_MM = 0.15
SMALLEST_SHARE = 0.2
"""A field that covers less of the image than this was recorded in other pixels than these, and is not believed."""
MAX_VERTICES = 64


def exposed_field(dataset: Dataset, shape: tuple[int, int]) -> Bool[np.ndarray, "rows columns"] | None:
    """Pixels inside the collimator and its penumbra; None if all are, or if the file does not say.

    Args:
        dataset: the image's elements.
        shape: rows and columns as stored.
    """
    shapes = texts(dataset, "CollimatorShape")
    outlines = [_rectangle(dataset)] if "RECTANGULAR" in shapes else []
    outlines += [_polygon(dataset)] if "POLYGONAL" in shapes else []
    margin = PENUMBRA_MM / _pitch_mm(dataset)
    field = np.ones(shape, bool)
    for outline in outlines:
        if outline is not None:
            field &= inside_outline(outline, shape, margin)
    return None if field.all() or field.mean() < SMALLEST_SHARE else field


def inside_outline(
    outline: Float[np.ndarray, "n 2"], shape: tuple[int, int], margin: float
) -> Bool[np.ndarray, "rows columns"]:
    """Pixels whose centre lies inside a polygon, and further than a margin from its edges inside the image.

    Args:
        outline: row and column of the corners in pixels from the outer corner of pixel (0, 0).
        shape: rows and columns.
        margin: in pixels.
    """
    row, column = np.arange(shape[0])[:, None] + 0.5, np.arange(shape[1])[None, :] + 0.5
    inside, clear = np.zeros(shape, bool), np.ones(shape, bool)
    for (row_1, column_1), (row_2, column_2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        down, right = row_2 - row_1, column_2 - column_1
        length = math.hypot(down, right)
        if length == 0:
            continue
        spans = (row_1 > row) != (row_2 > row)
        if down:
            inside ^= spans & (column < column_1 + (row - row_1) / down * right)
        if not _on_border((row_1, column_1), (row_2, column_2), shape):
            clear &= np.abs((row - row_1) * right - (column - column_1) * down) > margin * length
    return inside & clear


def _on_border(first: tuple[float, float], second: tuple[float, float], shape: tuple[int, int]) -> bool:
    """Whether an edge runs along the border of the image, or outside: nothing is shaded there."""
    for axis in range(2):
        if max(first[axis], second[axis]) <= 1 or min(first[axis], second[axis]) >= shape[axis] - 1:
            return True
    return False


def _rectangle(dataset: Dataset) -> Float[np.ndarray, "4 2"] | None:
    """Corners from the first and last row and column inside, which are counted from 1."""
    keywords = ("UpperHorizontalEdge", "LowerHorizontalEdge", "LeftVerticalEdge", "RightVerticalEdge")
    edges = [optional_number(dataset, f"Collimator{keyword}") for keyword in keywords]
    top, bottom, left, right = edges
    if top is None or bottom is None or left is None or right is None:
        return None
    (top, bottom), (left, right) = sorted((top, bottom)), sorted((left, right))
    return np.array([[top - 1, left - 1], [top - 1, right], [bottom, right], [bottom, left - 1]], float)


def _polygon(dataset: Dataset) -> Float[np.ndarray, "n 2"] | None:
    """Corners from pairs of row and column, counted from 1."""
    try:
        numbers = [float(value) for value in texts(dataset, "VerticesOfThePolygonalCollimator")]
    except ValueError:
        return None
    if len(numbers) < 6 or len(numbers) % 2 or len(numbers) > 2 * MAX_VERTICES or not np.isfinite(numbers).all():
        return None
    return np.array(numbers).reshape(-1, 2) - 0.5


def _pitch_mm(dataset: Dataset) -> float:
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        try:
            pitch_mm = float(text(dataset, keyword))
        except ValueError:
            continue
        if 0.02 <= pitch_mm <= 10:
            return pitch_mm
    return TYPICAL_PITCH_MM
