"""Rigid motions: rotation vectors and 4x4 matrices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine


def rotation_from_vector(rotation_rad: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix of a rotation vector (Rodrigues' formula).

    Args:
        rotation_rad: axis times angle in radians.
    """
    angle_rad = float(np.linalg.norm(rotation_rad))
    if angle_rad < 1e-12:
        return np.eye(3)
    x, y, z = np.asarray(rotation_rad, float) / angle_rad
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


def vector_from_rotation(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Rotation vector in radians of a rotation matrix, with angle in [0, pi]."""
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine, cosine = np.linalg.norm(skew) / 2, (np.trace(rotation) - 1) / 2
    angle_rad = np.arctan2(sine, cosine)
    if sine > 1e-9:
        return skew / (2 * sine) * angle_rad
    if cosine > 0:
        return skew / 2
    # Half turn: the axis is the eigenvector of eigenvalue 1.
    axis = np.linalg.svd(rotation - np.eye(3))[2][-1]
    return axis * np.pi


def invert_rigid(b_from_a: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Inverse of a rigid motion: `a_from_b`."""
    rotation = b_from_a[:3, :3].T
    return affine(rotation, -rotation @ b_from_a[:3, 3])


def rotation_about(centre_mm: Float[np.ndarray, "3"], rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4 4"]:
    """Rigid motion that rotates the world about a fixed point."""
    return affine(rotation, centre_mm - rotation @ centre_mm)


def angle_between_deg(rotation_a: Float[np.ndarray, "3 3"], rotation_b: Float[np.ndarray, "3 3"]) -> float:
    """Angle in degrees of the rotation that takes one orientation to the other."""
    return float(np.degrees(np.linalg.norm(vector_from_rotation(rotation_a.T @ rotation_b))))
