"""The lead marker is read from letters that were drawn by fonts, never by the reader's own strokes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from osteoray.ingest.xray_marker import find_marker, without_marker

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
UPRIGHT = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")
FOREIGN = ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSans-BoldOblique.ttf")


def letter_image(text: str, font: str, height_mm: float, pitch_mm: float, turn_deg: float) -> np.ndarray:
    """Ink from 0 to 1 in a field of 120 mm."""
    pixels = int(120 / pitch_mm)
    image = Image.new("L", (pixels, pixels))
    face = ImageFont.truetype(str(FONTS / font), int(height_mm / pitch_mm / 0.72))
    ImageDraw.Draw(image).text((pixels // 3, pixels // 3), text, font=face, fill=255)
    turned = image.rotate(turn_deg, resample=Image.Resampling.BILINEAR, center=(pixels // 2.5, pixels // 2.5))
    return np.asarray(turned, float) / 255


def radiograph(ink: np.ndarray, pitch_mm: float, lead_nepers: float, rng: np.random.Generator) -> np.ndarray:
    """Lead over something that varies like anatomy."""
    y, x = np.meshgrid(*(np.arange(n) * pitch_mm for n in ink.shape), indexing="ij")
    anatomy = 1.5 * np.sin(y / 60 + rng.uniform(0, 6)) + x / 80
    return (anatomy + lead_nepers * ink + 0.03 * rng.standard_normal(ink.shape)).astype(np.float32)


def readings(fonts: tuple[str, ...]) -> Counter:
    rng, counted = np.random.default_rng(0), Counter()
    for font in fonts:
        for text in "LRLRLRLR":
            pitch_mm = float(rng.choice([0.2, 0.4, 0.75]))
            ink = letter_image(text, font, rng.uniform(10, 28), pitch_mm, rng.uniform(-8, 8))
            is_mirrored = bool(rng.random() < 0.5)
            image = radiograph(ink[:, :: -1 if is_mirrored else 1], pitch_mm, rng.uniform(0.6, 3), rng)
            marker, _ = find_marker(image, (pitch_mm, pitch_mm))
            is_right = marker is not None and (marker.letter, marker.is_mirrored) == (text, is_mirrored)
            counted["none" if marker is None else "right" if is_right else "wrong"] += 1
    return counted


def test_block_letters_are_read_with_their_side_up_and_mirrored():
    counted = readings(UPRIGHT)
    assert counted["wrong"] == 0 and counted["right"] >= 0.9 * counted.total(), counted


def test_other_letters_are_rather_not_read_than_read_wrong():
    assert readings(FOREIGN)["wrong"] == 0


@pytest.mark.parametrize("text", ["E", "8", "X", "STANDING", ""])
def test_what_is_no_side_marker_is_not_read_as_one(text):
    rng = np.random.default_rng(3)
    image = radiograph(letter_image(text, UPRIGHT[1], 18, 0.3, 3), 0.3, 1.5, rng)
    marker, covered = find_marker(image, (0.3, 0.3))
    assert marker is None and not covered.any()


def test_place_and_height_are_told_and_what_it_covers_is_filled():
    ink = letter_image("R", UPRIGHT[1], 20, 0.3, 0)
    clean, marked = (radiograph(n * ink, 0.3, 2.0, np.random.default_rng(4)) for n in (0, 1))
    marker, covered = find_marker(marked, (0.3, 0.3))
    rows, columns = np.nonzero(ink > 0.5)
    assert marker.row == pytest.approx((rows.min() + rows.max()) / 2, abs=3)
    assert marker.column == pytest.approx((columns.min() + columns.max()) / 2, abs=3)
    assert marker.height_mm == pytest.approx(20, abs=1.5)
    assert covered[ink > 0.05].all() and covered.mean() < 0.1
    filled = without_marker(marked, covered)
    assert np.abs(filled - clean)[covered].max() < 0.4 < np.abs(marked - clean).max()
    assert (filled[~covered] == marked[~covered]).all()


def test_pixels_too_coarse_to_read_letters_give_none():
    image = np.zeros((60, 60), np.float32)
    assert find_marker(image, (3.0, 3.0))[0] is None
