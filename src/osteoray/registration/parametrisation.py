"""Six numbers for a pose that disturb each other little: what is turned stays in place, what moves in depth too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.rigid import vector_from_rotation

ROTATION_RAD_PER_UNIT = 0.01
DEPTH_MM_PER_UNIT = 10.0


@dataclass(frozen=True, eq=False)
class PoseSpace:
    """Poses near a start, in units of about equal effect on the image.

    Units 0-2: rotation vector about the centre in camera axes, 0.01 rad. Units 3-4: place of the ray through the
    centre, 1 mm at the start's depth along image columns and rows. Unit 5: logarithm of depth along that ray, 10 mm at
    the start's depth. So rotation and depth leave the projection of the centre where it is.

    Attributes:
        start: camera_from_world at zero.
        centre_mm: LPS point about which rotations turn.
    """

    start: Float[np.ndarray, "4 4"]
    centre_mm: Float[np.ndarray, "3"]

    def poses(self, units: Float[np.ndarray, "poses 6"]) -> Float[np.ndarray, "poses 4 4"]:
        """camera_from_world of each row."""
        x, y, z = apply_affine(self.start, self.centre_mm)
        depth_mm = z * np.exp(units[:, 5] * DEPTH_MM_PER_UNIT / z)
        across, down = (x + units[:, 3]) / z, (y + units[:, 4]) / z
        centre = depth_mm[:, None] * np.stack([across, down, np.ones_like(across)], axis=1)
        rotation = _rotations(units[:, :3] * ROTATION_RAD_PER_UNIT) @ self.start[:3, :3]
        poses = np.tile(np.eye(4), (len(units), 1, 1))
        poses[:, :3, :3] = rotation
        poses[:, :3, 3] = centre - rotation @ self.centre_mm
        return poses

    def units(self, camera_from_world: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "6"]:
        """Inverse of `poses` for one pose."""
        x, y, z = apply_affine(self.start, self.centre_mm)
        new_x, new_y, new_z = apply_affine(camera_from_world, self.centre_mm)
        rotation = camera_from_world[:3, :3] @ self.start[:3, :3].T
        place = [new_x / new_z * z - x, new_y / new_z * z - y, z / DEPTH_MM_PER_UNIT * np.log(new_z / z)]
        return np.concatenate([vector_from_rotation(rotation) / ROTATION_RAD_PER_UNIT, place])


def unit_ranges(rotation_deg: float, lateral_mm: float, depth_mm: float) -> Float[np.ndarray, "6"]:
    """Half widths in units of a search box."""
    rotation = np.radians(rotation_deg) / ROTATION_RAD_PER_UNIT
    return np.array([rotation] * 3 + [lateral_mm] * 2 + [depth_mm / DEPTH_MM_PER_UNIT])


def _rotations(vectors_rad: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Rodrigues' formula for many rotation vectors at once."""
    angle_rad = np.linalg.norm(vectors_rad, axis=1)
    x, y, z = (vectors_rad / np.maximum(angle_rad, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle_rad)[:, None, None], np.cos(angle_rad)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def mean_distance_mm(
    pose_a: Float[np.ndarray, "4 4"], pose_b: Float[np.ndarray, "4 4"], points_mm: Float[np.ndarray, "points 3"]
) -> float:
    """Mean distance in mm between points moved by one pose and by another (mean target registration error)."""
    difference = apply_affine(pose_a, points_mm) - apply_affine(pose_b, points_mm)
    return float(np.linalg.norm(difference, axis=1).mean())


def mean_image_distance_mm(
    pose_a: Float[np.ndarray, "4 4"], pose_b: Float[np.ndarray, "4 4"], points_mm: Float[np.ndarray, "points 3"]
) -> float:
    """Mean distance between the images of points at two poses, in mm at the bone (mean projection distance)."""
    a, b = apply_affine(pose_a, points_mm), apply_affine(pose_b, points_mm)
    difference = a[:, :2] / a[:, 2:] - b[:, :2] / b[:, 2:]
    return float(np.linalg.norm(difference, axis=1).mean() * a[:, 2].mean())
