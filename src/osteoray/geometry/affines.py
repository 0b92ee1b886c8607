"""Affine maps of points, as 4x4 matrices named `A_from_B`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def apply_affine(matrix: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Map points of frame B to frame A by `A_from_B`."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def affine(linear: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """Assemble a 4x4 matrix from its linear part and its translation."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = translation
    return matrix
