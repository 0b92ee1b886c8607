"""The X-ray system as a pinhole camera at the focus.

Camera frame: origin at the focus, +z towards the detector, +x along the columns (image right), +y along the
rows (image down), millimetres. In an AP view image right is patient left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.rigid import invert_rigid

AP_CAMERA_FROM_WORLD_ROTATION = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Orientation of an AP view: image right = patient left, image down = inferior, beam = posterior."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole at the X-ray focus with its detector.

    Attributes:
        K: intrinsic matrix in pixels; `K @ (x, y, z)` is `(column, row, 1) * z`.
        camera_from_world: rigid, LPS millimetres to the camera frame.
        shape: rows and columns of the detector.
        pitch_mm: detector pixel size along rows and columns, at the detector plane.
    """

    K: Float[np.ndarray, "3 3"]
    camera_from_world: Float[np.ndarray, "4 4"]
    shape: tuple[int, int]
    pitch_mm: tuple[float, float]

    @classmethod
    def from_geometry(
        cls,
        sid_mm: float,
        pitch_mm: tuple[float, float],
        principal_point: tuple[float, float],
        shape: tuple[int, int],
        camera_from_world: Float[np.ndarray, "4 4"],
    ) -> Camera:
        """Camera of a detector at a source-to-image distance.

        Args:
            sid_mm: source to image distance.
            pitch_mm: pixel size along rows and columns, at the detector.
            principal_point: (row, column) of the foot of the perpendicular from the focus.
            shape: rows and columns.
            camera_from_world: rigid pose.
        """
        row, column = principal_point
        K = np.array([[sid_mm / pitch_mm[1], 0.0, column], [0.0, sid_mm / pitch_mm[0], row], [0.0, 0.0, 1.0]])
        return cls(K, camera_from_world, shape, pitch_mm)

    @property
    def sid_mm(self) -> float:
        """Source to image distance."""
        return float(self.K[0, 0] * self.pitch_mm[1])

    @property
    def focus_mm(self) -> Float[np.ndarray, "3"]:
        """LPS position of the focus."""
        return invert_rigid(self.camera_from_world)[:3, 3]

    def at(self, camera_from_world: Float[np.ndarray, "4 4"]) -> Camera:
        """The same system at another pose."""
        return Camera(self.K, camera_from_world, self.shape, self.pitch_mm)

    def resized(self, shape: tuple[int, ...]) -> Camera:
        """The same detector area binned into another number of pixels."""
        scale_row, scale_column = shape[0] / self.shape[0], shape[1] / self.shape[1]
        K = self.K.copy()
        K[0] *= scale_column
        K[1] *= scale_row
        K[0, 2] = (self.K[0, 2] + 0.5) * scale_column - 0.5
        K[1, 2] = (self.K[1, 2] + 0.5) * scale_row - 0.5
        pitch_mm = (self.pitch_mm[0] / scale_row, self.pitch_mm[1] / scale_column)
        return Camera(K, self.camera_from_world, (shape[0], shape[1]), pitch_mm)

    def project(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 2"]:
        """Image position `(row, column)` in pixels of world points in LPS millimetres."""
        x, y, z = np.moveaxis(apply_affine(self.camera_from_world, points_mm), -1, 0)
        column = self.K[0, 0] * x / z + self.K[0, 2]
        row = self.K[1, 1] * y / z + self.K[1, 2]
        return np.stack([row, column], axis=-1)

    def rays(self) -> Float[np.ndarray, "rows columns 3"]:
        """Unit directions in the world, from the focus to each pixel centre."""
        rows, columns = np.meshgrid(np.arange(self.shape[0]), np.arange(self.shape[1]), indexing="ij")
        x = (columns - self.K[0, 2]) / self.K[0, 0]
        y = (rows - self.K[1, 2]) / self.K[1, 1]
        directions = np.stack([x, y, np.ones_like(x)], axis=-1) @ self.camera_from_world[:3, :3]
        return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def ap_camera_from_world(isocentre_mm: Float[np.ndarray, "3"], source_isocentre_mm: float) -> Float[np.ndarray, "4 4"]:
    """Pose of an AP view whose central ray passes through a world point.

    Args:
        isocentre_mm: LPS position on the central ray.
        source_isocentre_mm: distance from the focus to it.
    """
    rotation = AP_CAMERA_FROM_WORLD_ROTATION
    return affine(rotation, np.array([0.0, 0.0, source_isocentre_mm]) - rotation @ isocentre_mm)
