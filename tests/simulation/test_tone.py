"""A vendor's picture keeps the order of brightness and shows the patient."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.simulation.tone import LOOKS, _expanded, _reduced, automatic_window, multi_scale, picture, tone


def patient(shape=(256, 320)) -> tuple[np.ndarray, np.ndarray]:
    """Open beam, a body with a bone, and a collimated border."""
    rows, columns = np.indices(shape)
    nepers = np.full(shape, -4.0)
    body = np.abs(columns - 160) < 110
    nepers[body] = -0.8 + 1.2 * (1 - (columns[body] - 160) ** 2 / 110**2)
    nepers[100:180, 140:160] += 0.5
    field = (rows > 12) & (rows < 244)
    nepers[~field] = 3.0
    return nepers.astype(np.float32), field


@pytest.mark.parametrize("vendor", sorted(LOOKS))
def test_tone_curves_rise_from_black_to_white(vendor):
    curve = tone(np.linspace(0, 1, 1001, dtype=np.float32)[None], LOOKS[vendor])[0]
    assert np.all(np.diff(curve) > 0)
    assert curve[0] == pytest.approx(0, abs=1e-6) and curve[-1] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("vendor", sorted(LOOKS))
def test_bone_is_brighter_than_its_surroundings_and_air_is_black(vendor):
    nepers, field = patient()
    shown = picture(nepers, field, LOOKS[vendor])
    assert shown.min() >= 0 and shown.max() <= 1
    assert shown[140, 150] > shown[140, 120] + 0.05
    assert np.all(shown[20:240, :40] < 0.06)
    assert LOOKS[vendor].shutter == bool(np.all(shown[~field] == 0))


def test_the_window_spans_the_patient_and_neither_air_nor_blades():
    nepers, field = patient()
    low, high, _ = automatic_window(nepers, field, LOOKS["a"])
    assert -0.9 < low < -0.3 and 0.4 < high < 1.0


def test_the_pyramid_without_change_gives_the_image_back():
    image = np.random.default_rng(0).random((101, 90)).astype(np.float32)
    smaller = _reduced(image)
    assert smaller.shape == (51, 45)
    detail = image - _expanded(smaller, image.shape)
    np.testing.assert_allclose(_expanded(smaller, image.shape) + detail, image, atol=1e-6)
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
    np.testing.assert_allclose(_expanded(_reduced(ramp), ramp.shape)[4:-4], ramp[4:-4], atol=1e-3)


def test_multi_scale_contrast_raises_faint_detail_and_flattens_coarse_differences():
    columns = np.arange(512, dtype=np.float32)[None] * np.ones((512, 1), np.float32)
    coarse = 0.3 + 0.4 * columns / 511
    fine = 0.05 * np.sin(columns / 3.0)
    enhanced = multi_scale((coarse + fine).astype(np.float32), LOOKS["c"])
    middle = enhanced[200:300, 64:448]
    ripple = (middle - np.mean([np.roll(middle, n, axis=1) for n in range(-9, 10)], axis=0))[:, 20:-20]
    assert ripple.std() > 1.15 * 0.05 / np.sqrt(2)
    assert np.ptp(middle.mean(axis=0)[::19]) < 0.9 * np.ptp(coarse[0, 64:448])


def test_presentation_does_not_ring_at_the_open_beam():
    nepers, field = patient((512, 640))
    shown = picture(nepers, field, LOOKS["a"])
    inside_skin = shown[300, 160:300]
    assert np.all(np.diff(inside_skin[60:100]) > -0.02)
