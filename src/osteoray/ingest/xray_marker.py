"""The lead marker of an X-ray: which letter, whether it is mirrored, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

PIXEL_MM = 0.7
"""Pixel size at which letters are read."""
COARSEST_MM = 2.0
"""Letters are not read on larger pixels."""
STROKE_MM = 9.0
"""No stroke of a letter is wider; what is wider is anatomy."""
HEIGHT_MM = (7.0, 40.0)
WIDTH_OVER_HEIGHT = (0.4, 1.25)
FILLED = (0.15, 0.7)
"""Share of its box that a letter fills."""
LEAST_CONTRAST = 0.35
"""Attenuation of a marker above its surroundings, in nepers."""
LEAST_LIKENESS = 0.8
LEAST_LEAD = 0.1
"""By how much the likeness of the best letter must exceed that of any other reading."""
GLYPH = (32, 24)
"""Rows and columns to which letters are scaled."""
BLUR = 1.5
"""Blur of the scaled letters in those pixels: fonts differ in detail."""

_STROKES = {
    "L": (((0.0, 0.0), (1.0, 0.0)), ((1.0, 0.0), (1.0, 1.0))),
    "R": (
        ((0.0, 0.0), (1.0, 0.0)),
        ((0.0, 0.0), (0.0, 0.65)),
        ((0.0, 0.65), (0.12, 0.95)),
        ((0.12, 0.95), (0.38, 0.95)),
        ((0.38, 0.95), (0.5, 0.65)),
        ((0.5, 0.65), (0.5, 0.0)),
        ((0.5, 0.45), (1.0, 1.0)),
    ),
}
"""Letters as segments between (down, right) in a unit box."""


@dataclass(frozen=True)
class Marker:
    """A letter found in an X-ray.

    Attributes:
        letter: "L" or "R".
        is_mirrored: it reads from behind.
        row, column: its middle.
        height_mm: at the detector.
        likeness: correlation with the letter's shape.
    """

    letter: str
    is_mirrored: bool
    row: float
    column: float
    height_mm: float
    likeness: float

    def facts(self) -> dict:
        """As JSON values."""
        return {
            "letter": self.letter,
            "is_mirrored": self.is_mirrored,
            "row": round(self.row, 1),
            "column": round(self.column, 1),
            "height_mm": round(self.height_mm, 1),
            "likeness": round(self.likeness, 3),
        }


def find_marker(
    attenuation: Float[np.ndarray, "rows columns"], pitch_mm: tuple[float, float]
) -> tuple[Marker | None, Bool[np.ndarray, "rows columns"]]:
    """The side marker and what it covers; None and nothing where no letter is read with confidence.

    Args:
        attenuation: log attenuation in nepers, larger = more attenuating.
        pitch_mm: pixel size along rows and columns.
    """
    covered = np.zeros(attenuation.shape, bool)
    if max(pitch_mm) > COARSEST_MM or min(attenuation.shape) < 32:
        return None, covered
    zoom = [min(1.0, pitch / PIXEL_MM) for pitch in pitch_mm]
    small = ndimage.zoom(attenuation.astype(np.float32), zoom, order=1, grid_mode=True, mode="nearest")
    pixel_mm = (pitch_mm[0] / zoom[0], pitch_mm[1] / zoom[1])
    candidates = [(_read(glyph), place) for glyph, place in _letters(small, pixel_mm)]
    read = [(reading, place) for reading, place in candidates if reading is not None]
    if not read:
        return None, covered
    (letter, mirrored, likeness), (rows, columns) = max(read, key=lambda item: item[0][2])
    margin = 1.5 / np.array(pixel_mm)
    box = [
        slice(max(int((part.start - m) / z), 0), int(np.ceil((part.stop + m) / z)))
        for part, m, z in zip((rows, columns), margin, zoom, strict=True)
    ]
    covered[tuple(box)] = True
    row, column = (
        ((part.start + part.stop - 1) / 2 + 0.5) / z - 0.5 for part, z in zip((rows, columns), zoom, strict=True)
    )
    return Marker(letter, mirrored, row, column, (rows.stop - rows.start) * pixel_mm[0], likeness), covered


def without_marker(
    attenuation: Float32[np.ndarray, "rows columns"], covered: Bool[np.ndarray, "rows columns"]
) -> Float32[np.ndarray, "rows columns"]:
    """The image with what the marker covers interpolated from around it (Laplace's equation)."""
    if not covered.any():
        return attenuation
    box = tuple(slice(max(int(ix.min()) - 2, 0), int(ix.max()) + 3) for ix in np.nonzero(covered))
    values, hidden = attenuation[box].copy(), covered[box]
    nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    values = values[tuple(nearest)]
    for _ in range(max(values.shape)):
        values[hidden] = ndimage.uniform_filter(values, 3, mode="nearest")[hidden]
    filled = attenuation.copy()
    filled[box] = values
    return filled


def _letters(
    small: Float32[np.ndarray, "rows columns"], pixel_mm: tuple[float, float]
) -> list[tuple[Bool[np.ndarray, "h w"], tuple[slice, slice]]]:
    """Connected bright shapes of thin strokes with the size of a letter."""
    size = [max(3, round(STROKE_MM / length)) for length in pixel_mm]
    contrast = small - ndimage.grey_opening(small, size=size)
    found = []
    for level in (0.5 * float(contrast.max()), LEAST_CONTRAST):
        if level < LEAST_CONTRAST:
            continue
        labels, _ = ndimage.label(contrast > level, np.ones((3, 3)))
        for number, place in enumerate(ndimage.find_objects(labels), 1):
            shape = labels[place] == number
            height_mm, width_mm = (n * length for n, length in zip(shape.shape, pixel_mm, strict=True))
            is_letter = (
                HEIGHT_MM[0] <= height_mm <= HEIGHT_MM[1]
                and WIDTH_OVER_HEIGHT[0] <= width_mm / height_mm <= WIDTH_OVER_HEIGHT[1]
                and FILLED[0] <= shape.mean() <= FILLED[1]
            )
            if is_letter:
                found.append((shape, place))
    return found


def _read(shape: Bool[np.ndarray, "h w"]) -> tuple[str, bool, float] | None:
    """Letter, whether it is mirrored, and likeness; None if no reading leads clearly."""
    glyph = _normalised(shape).ravel()
    readings = {
        (letter, mirrored): max(float(glyph @ image[:, :: -1 if mirrored else 1].ravel()) for image in images)
        for letter, images in _glyphs().items()
        for mirrored in (False, True)
    }
    (letter, mirrored), likeness = max(readings.items(), key=lambda item: item[1])
    second = sorted(readings.values())[-2]
    return (letter, mirrored, likeness) if likeness >= LEAST_LIKENESS and likeness - second >= LEAST_LEAD else None


def _normalised(shape: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "rows columns"]:
    """A shape scaled to the common box, blurred, and made a unit vector without mean."""
    zoom = [n / m for n, m in zip(GLYPH, shape.shape, strict=True)]
    glyph = ndimage.zoom(shape.astype(np.float32), zoom, order=1, grid_mode=True, mode="nearest")
    glyph = ndimage.gaussian_filter(glyph, BLUR)
    glyph -= glyph.mean()
    return glyph / max(float(np.linalg.norm(glyph)), 1e-6)


@cache
def _glyphs() -> dict[str, tuple[Float32[np.ndarray, "rows columns"], ...]]:
    """Letters in thin, common and bold strokes, upright and turned a little."""
    return {
        letter: tuple(
            _normalised(_drawn(strokes, width, width_over_height, turn_deg))
            for width in (0.08, 0.15, 0.22)
            for width_over_height in (0.5, 0.7)
            for turn_deg in (-10.0, -5.0, 0.0, 5.0, 10.0)
        )
        for letter, strokes in _STROKES.items()
    }


def _drawn(strokes: tuple, width: float, width_over_height: float, turn_deg: float) -> Bool[np.ndarray, "h w"]:
    """A letter of strokes of a width relative to its height, turned and cut to its box."""
    y, x = np.meshgrid(np.linspace(-0.5, 1.5, 160), np.linspace(-0.5, 1.5, 160), indexing="ij")
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    ink = np.zeros(y.shape, bool)
    for ends in strokes:
        a, b = (turn @ np.array([down, width_over_height * right]) for down, right in ends)
        along = np.clip(((y - a[0]) * (b - a)[0] + (x - a[1]) * (b - a)[1]) / ((b - a) @ (b - a)), 0, 1)
        ink |= np.hypot(y - a[0] - along * (b - a)[0], x - a[1] - along * (b - a)[1]) < width / 2
    return ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]
