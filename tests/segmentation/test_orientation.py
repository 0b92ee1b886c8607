"""Angles of a femur in the CT: known turns, both sides, and the same convention as in the X-ray."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import AP_CAMERA_FROM_WORLD_ROTATION
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.registration.femur_pose import femur_pose
from osteoray.segmentation.orientation import femur_orientation

LATERAL = {Side.LEFT: 1.0, Side.RIGHT: -1.0}


def neutral(side: Side) -> tuple[np.ndarray, np.ndarray]:
    return np.array([-0.8 * LATERAL[side], 0.0, 0.6]), np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize("side", list(Side))
def test_a_shaft_along_z_with_its_neck_in_the_coronal_plane_is_zero(side):
    found = femur_orientation(*neutral(side), side)
    np.testing.assert_allclose([found.flexion, found.abduction, found.rotation], 0.0, atol=1e-9)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(("name", "axis"), [("flexion", 0), ("abduction", 1), ("rotation", 2)])
def test_one_turn_of_20_degrees_is_told(side, name, axis):
    # The knee goes forward, outward; the toes go inward.
    turn = np.zeros(3)
    turn[axis] = -np.radians(20.0) * (1.0 if name == "flexion" else LATERAL[side])
    rotation = rotation_from_vector(turn)
    neck, shaft = neutral(side)
    found = vars(femur_orientation(rotation @ neck, rotation @ shaft, side))
    expected = dict.fromkeys(found, 0.0) | {name: 20.0}
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("side", list(Side))
def test_an_x_ray_along_the_patient_reads_the_same_angles(side):
    rotation = rotation_from_vector(np.array([0.3, -0.2, 0.25]))
    neck, shaft = (rotation @ axis for axis in neutral(side))
    camera_from_world = affine(AP_CAMERA_FROM_WORLD_ROTATION, np.zeros(3))
    seen = femur_pose(camera_from_world, shaft, 30.0 * neck, np.zeros(3), side)
    assert vars(femur_orientation(neck, shaft, side)) == pytest.approx(vars(seen), abs=1e-6)
