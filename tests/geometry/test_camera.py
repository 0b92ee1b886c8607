import numpy as np
import pytest

from osteoray.geometry.camera import Camera, ap_camera_from_world

CENTRE_MM = np.array([3.0, -150.0, 40.0])


@pytest.fixture
def camera():
    pose = ap_camera_from_world(CENTRE_MM, 900.0)
    return Camera.from_geometry(1200.0, (0.8, 0.5), (149.5, 249.5), (300, 500), pose)


def test_central_ray_hits_the_principal_point(camera):
    np.testing.assert_allclose(camera.project(CENTRE_MM), [149.5, 249.5])


def test_patient_left_is_image_right_and_superior_is_up(camera):
    row, column = camera.project(CENTRE_MM + np.array([10.0, 0.0, 20.0]))
    magnification = 1200 / 900
    assert column == pytest.approx(249.5 + 10 * magnification / 0.5)
    assert row == pytest.approx(149.5 - 20 * magnification / 0.8)


def test_anterior_is_nearer_to_the_focus_and_larger(camera):
    anterior = camera.project(CENTRE_MM + np.array([10.0, -100.0, 0.0]))[1]
    posterior = camera.project(CENTRE_MM + np.array([10.0, 100.0, 0.0]))[1]
    assert anterior > posterior


def test_rays_pass_through_the_points_they_project(camera):
    point_mm = CENTRE_MM + np.array([31.0, 22.0, -17.0])
    row, column = camera.project(point_mm)
    direction = (point_mm - camera.focus_mm) / np.linalg.norm(point_mm - camera.focus_mm)
    rays = camera.rays()
    nearest = rays[round(row), round(column)]
    assert np.degrees(np.arccos(nearest @ direction)) < np.degrees(0.5 * 0.8 / 1200) * 1.5


def test_binning_keeps_positions_on_the_detector(camera):
    point_mm = CENTRE_MM + np.array([31.0, 22.0, -17.0])
    row, column = camera.project(point_mm)
    binned = camera.resized((150, 125))
    np.testing.assert_allclose(binned.project(point_mm), [(row + 0.5) / 2 - 0.5, (column + 0.5) / 4 - 0.5])
    assert binned.sid_mm == pytest.approx(camera.sid_mm)
    assert binned.pitch_mm == (1.6, 2.0)
