import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.rigid import (
    angle_between_deg,
    invert_rigid,
    rotation_about,
    rotation_from_vector,
    vector_from_rotation,
)

components = st.floats(-3, 3, allow_nan=False)
vectors = st.tuples(components, components, components).map(np.array)


@given(vectors)
def test_rotation_from_vector_equals_scipy(vector):
    np.testing.assert_allclose(rotation_from_vector(vector), Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@given(vectors.filter(lambda v: np.linalg.norm(v) < 3.1))
def test_vector_and_rotation_are_inverse(vector):
    np.testing.assert_allclose(vector_from_rotation(rotation_from_vector(vector)), vector, atol=1e-7)


def test_half_turn_has_angle_pi():
    vector = vector_from_rotation(np.diag([1.0, -1.0, -1.0]))
    np.testing.assert_allclose(np.abs(vector), [np.pi, 0, 0], atol=1e-9)


def test_inverse_undoes_a_rigid_motion():
    motion = affine(rotation_from_vector(np.array([0.3, -0.2, 0.9])), np.array([5.0, -3.0, 2.0]))
    np.testing.assert_allclose(invert_rigid(motion) @ motion, np.eye(4), atol=1e-12)


def test_rotation_about_a_point_leaves_it_where_it_is():
    centre_mm = np.array([10.0, -20.0, 30.0])
    motion = rotation_about(centre_mm, rotation_from_vector(np.array([0.0, 0.4, 0.1])))
    np.testing.assert_allclose(apply_affine(motion, centre_mm), centre_mm, atol=1e-12)


@pytest.mark.parametrize("angle_deg", [0.0, 0.01, 37.0, 180.0])
def test_angle_between_rotations(angle_deg):
    rotation = rotation_from_vector(np.radians([0.0, angle_deg, 0.0]))
    assert angle_between_deg(np.eye(3), rotation) == pytest.approx(angle_deg, abs=1e-6)
