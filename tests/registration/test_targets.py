"""Gradient correlation: closed forms, invariances, and the fused kernel against its plain twin."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography.shear_warp import gradient_correlations, render, rendered_gradients
from osteoray.registration.targets import (
    NothingShown,
    XrayLevel,
    central_differences,
    gradient_correlation,
    gradient_target,
    shown_pixels,
    xray_level,
)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)


def test_an_image_correlates_perfectly_with_itself(image):
    assert gradient_correlation(image, image, np.ones_like(image)) == pytest.approx(1.0, abs=1e-6)


def test_the_negative_anticorrelates(image):
    assert gradient_correlation(image, -image, np.ones_like(image)) == pytest.approx(-1.0, abs=1e-6)


def test_scale_and_offset_do_not_matter(image):
    weights = np.random.default_rng(1).uniform(0.2, 1, image.shape).astype(np.float32)
    assert gradient_correlation(image, 3 * image + 7, weights) == pytest.approx(1.0, abs=1e-5)


def test_unrelated_images_do_not_correlate(image):
    other = np.random.default_rng(2).normal(size=image.shape).astype(np.float32)
    assert abs(gradient_correlation(image, other, np.ones_like(image))) < 0.1


def test_a_constant_image_correlates_with_nothing(image):
    assert gradient_correlation(image, np.ones_like(image), np.ones_like(image)) == 0.0


def test_central_differences_of_a_ramp():
    ramp = np.add.outer(2.0 * np.arange(5), 3.0 * np.arange(6))
    rows, columns = central_differences(ramp)
    assert np.all(rows[1:-1, 1:-1] == 4.0) and np.all(columns[1:-1, 1:-1] == 6.0)
    assert rows[0].sum() == 0 and columns[:, -1].sum() == 0


def test_weights_are_small_where_contrast_is_high(phantom, xray):
    metal = xray.array.copy()
    metal[60:90, 40:60] += 5
    level = xray_level(Radiograph(metal, xray.spacing_mm), phantom.camera, 1.8, 1.5)
    assert level.weights[58:62, 45:55].max() < 0.25 * np.median(level.weights)


def test_the_fused_kernel_equals_render_then_correlate(phantom, models, xray, true_poses):
    level = xray_level(xray, phantom.camera, 3.4, 2.8)
    background = np.random.default_rng(0).uniform(0, 0.2, level.image.shape).astype(np.float32)
    target = gradient_target(level, None, background)
    bone = models["pelvis"].levels[0]
    poses = np.stack([true_poses["pelvis"], phantom.camera.camera_from_world])
    fused = gradient_correlations(bone, target, poses)
    images = render(bone, level.camera.K, poses, level.camera.shape) + background
    plain = [gradient_correlation(image, level.image, level.weights) for image in images]
    assert fused == pytest.approx(plain, abs=1e-4)
    fields = rendered_gradients(bone, target, poses)
    assert (fields * target.gradients).sum(axis=(1, 2, 3)) / 2 == pytest.approx(plain, abs=1e-4)


def test_a_region_is_cropped_without_changing_the_geometry(phantom, models, xray, true_poses):
    level = xray_level(xray, phantom.camera, 3.4, 2.8)
    region = np.zeros(level.image.shape, bool)
    region[20:70, 40:90] = True
    target = gradient_target(level, region)
    whole = gradient_target(XrayLevel(level.image, np.where(region, level.weights, 0), level.camera))
    bone, pose = models["pelvis"].levels[0], true_poses["pelvis"][None]
    assert target.weights.shape < level.image.shape
    assert gradient_correlations(bone, target, pose) == pytest.approx(
        gradient_correlations(bone, whole, pose), abs=0.01
    )


def test_an_empty_region_is_refused(phantom, xray):
    level = xray_level(xray, phantom.camera, 3.4, 2.8)
    with pytest.raises(ValueError, match="region"):
        gradient_target(level, np.zeros(level.image.shape, bool))


def test_shown_are_the_exposed_pixels_without_the_boxes():
    shown = shown_pixels((6, 8), (1, 5, 2, 7), ((0, 3, 4, 6), (4, 9, 6, 12)))
    expected = np.zeros((6, 8), bool)
    expected[1:5, 2:7] = True
    expected[0:3, 4:6] = False
    expected[4:, 6:] = False
    np.testing.assert_array_equal(shown, expected)
    assert shown_pixels((6, 8)).all()


def test_what_is_not_shown_weighs_nothing_and_changes_nothing(phantom, xray):
    box = (slice(60, 100), slice(150, 190))
    shown = np.ones(xray.array.shape, bool)
    shown[box] = False
    metal = xray.array.copy()
    metal[box] = metal.max() + 3
    plain, hidden = (
        xray_level(Radiograph(image, xray.spacing_mm), phantom.camera, 1.8, 1.5, shown) for image in (xray.array, metal)
    )
    assert (plain.weights[box] == 0).all() and (plain.weights[58, 150:190] == 0).all()
    assert (plain.weights[:50] > 0).all()
    np.testing.assert_array_equal(plain.weights > 0, hidden.weights > 0)
    for one, other in zip(gradient_target(plain).gradients, gradient_target(hidden).gradients, strict=True):
        assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


def test_an_xray_without_a_shown_pixel_is_refused(phantom, xray):
    with pytest.raises(NothingShown):
        xray_level(xray, phantom.camera, 1.8, 1.5, np.zeros(xray.array.shape, bool))
