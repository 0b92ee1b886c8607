"""The X-ray in a mirror: where a symmetrical body would lie, and that only the body's own X-ray is fitted better."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.registration.mirroring import mirrored_pose

CENTRE_MM = np.array([4.0, -12.0, 30.0])


@pytest.fixture
def camera():
    turn = rotation_about(CENTRE_MM, rotation_from_vector(np.radians([6.0, -9.0, 4.0])))
    pose = ap_camera_from_world(np.array([20.0, 5.0, -8.0]), 850.0) @ turn
    return Camera.from_geometry(1000.0, (1.0, 1.0), (199.5, 239.5), (400, 480), pose)


def test_a_symmetrical_body_makes_the_mirrored_picture(camera):
    points_mm = CENTRE_MM + np.random.default_rng(0).uniform(-100, 100, (50, 3))
    reflected_mm = CENTRE_MM + (points_mm - CENTRE_MM) * [-1, 1, 1]
    found = camera.at(mirrored_pose(camera.camera_from_world, CENTRE_MM)).project(reflected_mm)
    expected = camera.project(points_mm)
    expected[:, 1] = 479 - expected[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_mirrored_pose_is_rigid_and_mirrors_back(camera):
    pose = mirrored_pose(camera.camera_from_world, CENTRE_MM)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(mirrored_pose(pose, CENTRE_MM), camera.camera_from_world, atol=1e-9)
