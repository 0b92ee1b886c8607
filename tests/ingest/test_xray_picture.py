"""What the picture itself says: metal, and whether its values rise with attenuation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from osteoray.ingest.xray_metal import find_metal
from osteoray.ingest.xray_polarity import is_inverted, middle_over_sides

PITCH_MM = (0.8, 0.8)
SHAPE = (440, 540)
STEM_COLUMN = 380


def round_profile(relative: np.ndarray) -> np.ndarray:
    """Path through a rod or a ball at a relative distance from its axis."""
    return np.sqrt(np.clip(1 - relative**2, 0, 1))


def pelvis(*, metal: bool = False, wide: bool = False, contrast: float = 1.0) -> np.ndarray:
    """A body with legs apart, two femurs and a pelvic ring, in nepers."""
    y, x = np.meshgrid(np.arange(SHAPE[0]) * 0.8, (np.arange(SHAPE[1]) - 270) * 0.8, indexing="ij")
    half_width = 225 if wide else 170
    image = 3.0 * np.sqrt(np.clip(1 - (x / half_width) ** 2, 0, 1))
    image[(np.abs(x) < 25) & (y > 220)] = 0.2
    for side in (-1, 1):
        image += 0.5 * round_profile((x - side * 85) / 14) * (y > 160)
        image += 0.6 * round_profile(np.hypot(x - side * 75, y - 150) / 24)
    image += 0.5 * round_profile((np.hypot(x, y - 110) - 60) / 8)
    image = gaussian_filter(image, 1.5)
    if metal:
        stem = (np.abs(x - 88) < 7) & (y > 165) & (y < 300)
        head = np.hypot(x - 75, y - 150) < 16
        image += 1.2 * gaussian_filter((stem | head).astype(float), 0.4)
    image *= contrast
    return (image + 0.02 * np.random.default_rng(2).standard_normal(SHAPE)).astype(np.float32)


@pytest.mark.parametrize("contrast", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("wide", [False, True])
def test_a_stem_is_metal_and_bones_are_not(wide, contrast):
    assert find_metal(pelvis(wide=wide, contrast=contrast), PITCH_MM) == []
    (metal,) = find_metal(pelvis(metal=True, wide=wide, contrast=contrast), PITCH_MM)
    assert metal.column == pytest.approx(STEM_COLUMN, abs=12)
    true_cm2 = (14 * 135 + np.pi * 16**2) / 100
    assert metal.area_cm2 == pytest.approx(true_cm2, rel=0.35)
    rows, columns = np.array(metal.box[:2]) * 0.8, (np.array(metal.box[2:]) - 270) * 0.8
    assert 105 < rows[0] < 136 and 298 < rows[1] < 330
    assert 40 < columns[0] < 61 and 93 < columns[1] < 120


def test_clips_and_markers_are_too_small_to_be_told():
    image = pelvis()
    image[100:110, 300:312] += 1.5
    assert find_metal(image, PITCH_MM) == []


def test_outside_the_collimated_field_nothing_is_told():
    image, field = pelvis(), np.zeros(SHAPE, bool)
    field[20:-20, 30:-30] = True
    image[~field] += 3.0
    assert find_metal(image, PITCH_MM, field) == []


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("metal", [False, True])
def test_the_middle_of_a_pelvis_attenuates_most(wide, metal):
    image = pelvis(wide=wide, metal=metal)
    assert middle_over_sides(image) > 0.1 and not is_inverted(image)
    assert is_inverted(-image)


def test_a_bright_border_outside_the_field_does_not_decide():
    image, field = pelvis(), np.zeros(SHAPE, bool)
    field[20:-20, 30:-30] = True
    image[~field] = 9.0
    assert not is_inverted(image, field) and is_inverted(image)
