"""Pose spaces: round trips, and units that do not disturb each other."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import ap_camera_from_world
from osteoray.geometry.rigid import angle_between_deg
from osteoray.registration.parametrisation import PoseSpace, mean_distance_mm, mean_image_distance_mm, unit_ranges

CENTRE_MM = np.array([20.0, 15.0, -30.0])
SPACE = PoseSpace(ap_camera_from_world(np.array([0.0, 0.0, 0.0]), 850.0), CENTRE_MM)


def image(pose):
    point = apply_affine(pose, CENTRE_MM)
    return point[:2] / point[2]


def test_zero_is_the_start():
    assert SPACE.poses(np.zeros((1, 6)))[0] == pytest.approx(SPACE.start)


def test_units_invert_poses():
    units = np.random.default_rng(0).uniform(-30, 30, (20, 6))
    for row, pose in zip(units, SPACE.poses(units), strict=True):
        assert SPACE.units(pose) == pytest.approx(row, abs=1e-9)


def test_rotation_and_depth_leave_the_image_of_the_centre_in_place():
    units = np.random.default_rng(0).uniform(-30, 30, (5, 6))
    units[:, 3:5] = 0
    for pose in SPACE.poses(units):
        assert image(pose) == pytest.approx(image(SPACE.start))


def test_units_have_their_sizes():
    turned, moved, deeper = SPACE.poses(np.array([[10, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0.01]]))
    assert angle_between_deg(SPACE.start[:3, :3], turned[:3, :3]) == pytest.approx(np.degrees(0.1))
    before, after = apply_affine(SPACE.start, CENTRE_MM), apply_affine(moved, CENTRE_MM)
    assert after - before == pytest.approx([1.0, 0.0, 0.0])
    assert apply_affine(deeper, CENTRE_MM)[2] - before[2] == pytest.approx(0.1, rel=1e-3)


def test_ranges_are_in_units():
    assert unit_ranges(float(np.degrees(0.1)), 20.0, 50.0) == pytest.approx([10, 10, 10, 20, 20, 5])


def test_depth_changes_the_distance_but_hardly_the_image():
    points_mm = CENTRE_MM + np.random.default_rng(0).normal(0, 30, (100, 3))
    start, deeper = SPACE.poses(np.array([[0.0] * 6, [0, 0, 0, 0, 0, 0.5]]))
    assert mean_distance_mm(start, deeper, points_mm) == pytest.approx(5.0, rel=0.1)
    assert mean_image_distance_mm(start, deeper, points_mm) < 0.6
