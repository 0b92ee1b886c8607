"""Lead letters on the detector: the side marker in an upper corner, and the pose if the technologist adds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageDraw, ImageFont

LEAD_TRANSMISSION = 7e-3
"""About a millimetre of lead alloy behind a filtered beam."""
OVERSAMPLING = 3
POSE_TEXT = {
    "standing": "STANDING",
    "supine": "SUPINE",
    "rest": "REST",
    "abduction": "ABD",
    "adduction": "ADD",
}


@dataclass(frozen=True)
class Marker:
    """What lies on the detector.

    Attributes:
        letter: "L" or "R".
        text: the pose in letters half as high below it; may be empty.
        height_mm: of the letter.
        turn_deg: counter-clockwise.
        down_mm, aside_mm: of its outer corner from the upper corner of the field on that side.
    """

    letter: str
    text: str
    height_mm: float
    turn_deg: float
    down_mm: float
    aside_mm: float


def draw_marker(pose: str, has_text: bool, rng: np.random.Generator) -> Marker:
    """Draw a marker.

    Args:
        pose: key of `POSE_TEXT`.
        has_text: whether the pose is added.
        rng: source of randomness.
    """
    return Marker(
        letter="R" if rng.random() < 0.7 else "L",
        text=POSE_TEXT[pose] if has_text else "",
        height_mm=float(rng.uniform(13, 22)),
        turn_deg=float(np.clip(rng.normal(0, 4), -12, 12)),
        down_mm=float(rng.uniform(8, 40)),
        aside_mm=float(rng.uniform(8, 22)),
    )


def marker_transmission(
    shape: tuple[int, int], pitch_mm: float, marker: Marker, field: tuple[float, float, float, float]
) -> Float32[np.ndarray, "rows columns"]:
    """Share of the radiation that passes the lead: `LEAD_TRANSMISSION` to 1.

    Args:
        shape: rows and columns of the detector.
        pitch_mm: pixel size.
        marker: what lies there.
        field: first and end row, first and end column of the exposed field.
    """
    stencil = _letters(marker, pitch_mm)
    rows, columns = stencil.shape
    top, _, left, right = field
    first_row = int(top + marker.down_mm / pitch_mm)
    aside = marker.aside_mm / pitch_mm
    # AP: the patient's left is on the image's right.
    first_column = int(right - aside - columns if marker.letter == "L" else left + aside)
    covered = np.zeros(shape, np.float32)
    rows, columns = min(rows, shape[0] - first_row), min(columns, shape[1] - first_column)
    if rows > 0 and columns > 0 and first_column >= 0:
        covered[first_row : first_row + rows, first_column : first_column + columns] = stencil[:rows, :columns]
    return 1.0 - (1.0 - LEAD_TRANSMISSION) * covered


def _letters(marker: Marker, pitch_mm: float) -> Float32[np.ndarray, "rows columns"]:
    """Share of every pixel that the letters cover."""
    # Capitals fill about 0.72 of the font's size.
    size = marker.height_mm / pitch_mm * OVERSAMPLING / 0.72
    lines = [(marker.letter, size)] + ([(marker.text, size / 2)] if marker.text else [])
    fonts = [ImageFont.load_default(max(size, 4.0)) for _, size in lines]
    boxes = [font.getbbox(text, anchor="lt") for (text, _), font in zip(lines, fonts, strict=True)]
    gap = size / 5
    width = max(box[2] for box in boxes)
    height = sum(box[3] for box in boxes) + gap * (len(boxes) - 1)
    image = Image.new("L", (int(width) + 2, int(height) + 2), 0)
    draw, y = ImageDraw.Draw(image), 0.0
    for (text, size), font, box in zip(lines, fonts, boxes, strict=True):
        draw.text(
            (0 if marker.letter == "R" else width - box[2], y), text, 255, font, anchor="lt", stroke_width=size / 30
        )
        y += box[3] + gap
    turned = image.rotate(marker.turn_deg, Image.Resampling.BILINEAR, expand=True)
    few = (max(1, turned.width // OVERSAMPLING), max(1, turned.height // OVERSAMPLING))
    return np.asarray(turned.resize(few, Image.Resampling.BOX), np.float32) / 255.0
