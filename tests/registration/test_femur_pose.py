"""Angles of the femur: zero in the neutral position, and signs as clinicians use them."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.camera import ap_camera_from_world
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.registration.femur_pose import femur_pose

CAMERA = ap_camera_from_world(np.zeros(3), 900.0)
SHAFT = np.array([0.0, 0.0, 1.0])


def angles(side, rotation_deg=(0.0, 0.0, 0.0)):
    """Turn a neutral femur about its head by a rotation vector in LPS degrees."""
    lateral = 1.0 if side is Side.LEFT else -1.0
    head_mm = np.array([lateral * 85.0, 0.0, 0.0])
    neck_mm = head_mm + np.array([lateral * 25.0, 0.0, -25.0])
    turn = rotation_about(head_mm, rotation_from_vector(np.radians(rotation_deg)))
    return femur_pose(CAMERA @ turn, SHAFT, head_mm, neck_mm, side)


@pytest.mark.parametrize("side", list(Side))
def test_neutral_is_zero(side):
    assert vars(angles(side)) == pytest.approx({"flexion": 0, "abduction": 0, "rotation": 0}, abs=1e-9)


@pytest.mark.parametrize("side", list(Side))
def test_knee_forward_is_flexion(side):
    # The knee lies below the head; turning it from -z to -y (anterior) is a negative turn about +x.
    assert angles(side, (-20.0, 0, 0)).flexion == pytest.approx(20.0)


@pytest.mark.parametrize(("side", "turn_deg"), [(Side.LEFT, -15.0), (Side.RIGHT, 15.0)])
def test_knee_outward_is_abduction(side, turn_deg):
    assert angles(side, (0, turn_deg, 0)).abduction == pytest.approx(15.0)


@pytest.mark.parametrize(("side", "turn_deg"), [(Side.LEFT, -15.0), (Side.RIGHT, 15.0)])
def test_toes_inward_is_internal_rotation(side, turn_deg):
    # Toes point anteriorly (-y); a left foot's toes go medially (-x) by a negative turn about +z.
    assert angles(side, (0, 0, turn_deg)).rotation == pytest.approx(15.0)
