"""Metal in an X-ray: large, sharp-edged areas that attenuate far more than any bone around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

PIXEL_MM = 2.0
"""Pixel size at which metal is looked for."""
WIDEST_MM = 70.0
"""Nothing of a hip replacement is wider in both directions; bones and soft tissue are part of what is."""
LEAST_CONTRAST = 0.4
"""Attenuation above the surroundings over the image's range, which adapts to display images; bone reaches this in a few
square centimetres only."""
SURE_CONTRAST = 0.6
LEAST_EDGE = 0.28
"""Median step of the outline over `PIXEL_MM` either way, over the image's range; bones reach 0.23."""
LEAST_RANGE = 1.0
"""Range in nepers below which an image counts as having this one: thick bodies are even."""
MARGIN_PX = 4
"""Coarse pixels around metal that belong to its box: what it blurs into, and its less dense parts."""
LEAST_CM2 = 6.0
"""Smallest area at the detector: more than markers, clips and calcifications."""


@dataclass(frozen=True)
class Metal:
    """A metal object.

    Attributes:
        column: of its middle.
        area_cm2: at the detector.
        edge: median step of its outline over the image's range.
        box: first row, end row, first column and end column, with a margin; its ends may lie outside.
    """

    column: float
    area_cm2: float
    edge: float
    box: tuple[int, int, int, int]


def find_metal(
    attenuation: Float[np.ndarray, "rows columns"],
    pitch_mm: tuple[float, float],
    field: Bool[np.ndarray, "rows columns"] | None = None,
) -> list[Metal]:
    """Metal objects that lie wholly inside the collimated field or leave it at its lower or upper edge.

    Args:
        attenuation: log attenuation in nepers, without the lead marker.
        pitch_mm: pixel size along rows and columns.
        field: pixels inside the collimated field; None if all are.
    """
    image, first, zoom = _coarse_field(attenuation, pitch_mm, field)
    rows, columns = image.shape
    if min(rows, columns) < 20:
        return []
    # Air and thin tissue are lifted to the usual attenuation: a limb beside air is no object.
    inner = image[rows // 5 : -(rows // 5), columns // 5 : -(columns // 5)]
    low, middle, high = np.percentile(inner, [10, 50, 90])
    image = np.maximum(image, middle) / max(float(high - low), LEAST_RANGE)
    pixel_mm = [pitch / z for pitch, z in zip(pitch_mm, zoom, strict=True)]
    size = [round(WIDEST_MM / length) for length in pixel_mm]
    step = ndimage.morphological_gradient(image, size=3)
    contrast = image - ndimage.grey_opening(image, size=size)
    # Where there is metal, a higher level parts it from the bones that it touches.
    level = float(np.clip(0.5 * contrast.max(), LEAST_CONTRAST, SURE_CONTRAST))
    labels, _ = ndimage.label(contrast > level)
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        blob = labels[place] == number
        area_cm2 = float(blob.sum()) * pixel_mm[0] * pixel_mm[1] / 100
        if area_cm2 < LEAST_CM2 or place[1].start < 2 or place[1].stop > columns - 2:
            continue
        outline = blob & ~ndimage.binary_erosion(blob)
        edge = float(np.median(step[place][outline]))
        if edge > LEAST_EDGE:
            column = float(first[1]) + (place[1].start + float(np.nonzero(blob)[1].mean()) + 0.5) / zoom[1] - 0.5
            found.append(Metal(column, area_cm2, edge, _box(place, first, zoom)))
    return found


def _box(place: tuple[slice, slice], first: tuple[int, int], zoom: list[float]) -> tuple[int, int, int, int]:
    """Coarse rows and columns as pixels of the X-ray."""
    (top, end), (left, right) = (
        (start + int(np.floor((part.start - MARGIN_PX) / z)), start + int(np.ceil((part.stop + MARGIN_PX) / z)))
        for part, start, z in zip(place, first, zoom, strict=True)
    )
    return max(top, 0), end, max(left, 0), right


def _coarse_field(
    attenuation: Float[np.ndarray, "rows columns"],
    pitch_mm: tuple[float, float],
    field: Bool[np.ndarray, "rows columns"] | None,
) -> tuple[Float32[np.ndarray, "r c"], tuple[int, int], list[float]]:
    """The field on coarse pixels, its first row and column, and coarse pixels per pixel."""
    shown = np.ones(attenuation.shape, bool) if field is None else field
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    cut = attenuation[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    zoom = [min(1.0, pitch / PIXEL_MM) for pitch in pitch_mm]
    blurred = ndimage.gaussian_filter(cut, [0.4 / z if z < 0.6 else 0.0 for z in zoom])
    return ndimage.zoom(blurred, zoom, order=1, grid_mode=True, mode="nearest"), (int(rows[0]), int(columns[0])), zoom
