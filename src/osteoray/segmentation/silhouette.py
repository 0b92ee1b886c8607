"""The silhouette of a femur: its outline along the normal of the neck-shaft plane, the standard view of DXA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import FemurGeometry, femur_frame
from osteoray.segmentation.surface import OUTSIDE_MM, BoneSurface

PIXEL_MM = 1.0
RAY_STEP_MM = 1.5
"""Rays are sampled this densely: the depth under a surface changes by no more than the step."""
SHAFT_MM = 25.0
"""So much shaft below the lesser trochanter is seen."""


@dataclass(frozen=True, eq=False)
class NeckShaftPlane:
    """The plane of neck and shaft; points are (medial, proximal) millimetres from the head's centre.

    Attributes:
        origin_mm: the head's centre, LPS.
        medial: unit vector orthogonal to the shaft, towards the head.
        posterior: normal of the plane.
        proximal: unit vector along the shaft.
        neck: unit vector (medial, proximal) from the neck to the head.
    """

    origin_mm: Float[np.ndarray, 3]
    medial: Float[np.ndarray, 3]
    posterior: Float[np.ndarray, 3]
    proximal: Float[np.ndarray, 3]
    neck: Float[np.ndarray, 2]

    @classmethod
    def of(cls, femur: FemurGeometry) -> NeckShaftPlane:
        """The plane of a femur."""
        medial, posterior, proximal = femur_frame(femur.neck.axis, femur.shaft.direction, femur.side)
        neck = np.array([femur.neck.axis @ medial, femur.neck.axis @ proximal])
        return cls(femur.head.centre_mm, medial, posterior, proximal, neck)

    def project(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 2"]:
        """(medial, proximal) of LPS points."""
        return (points_mm - self.origin_mm) @ np.stack([self.medial, self.proximal], axis=1)

    def lift(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 3"]:
        """LPS points of the plane from (medial, proximal)."""
        return self.origin_mm + points @ np.stack([self.medial, self.proximal])

    def along_neck(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """Distance from the head's centre along the neck, towards the shaft positive."""
        return -points @ self.neck

    def across_neck(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """Distance from the neck axis, towards the greater trochanter's tip positive."""
        return points @ np.array([-self.neck[1], self.neck[0]])

    def from_neck(self, along_mm: Float[np.ndarray, "*n"], across_mm: Float[np.ndarray, "*n"]) -> np.ndarray:
        """(medial, proximal) of points given along and across the neck."""
        up = np.array([-self.neck[1], self.neck[0]])
        return -np.asarray(along_mm)[..., None] * self.neck + np.asarray(across_mm)[..., None] * up


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A femur seen along the normal of its neck-shaft plane.

    Attributes:
        depth_mm: how deep the ray through a pixel goes under the surface; negative outside of the outline.
        low_mm: (medial, proximal) of the first pixel's centre; rows run proximally, columns medially.
        plane: what the pixels lie in.
    """

    depth_mm: Float[np.ndarray, "rows columns"]
    low_mm: Float[np.ndarray, 2]
    plane: NeckShaftPlane

    @classmethod
    def of(cls, mask: Volume, femur: FemurGeometry) -> Silhouette:
        """Silhouette of a femur from the head's centre to `SHAFT_MM` below the lesser trochanter.

        The medial half of the head is left out: it hides nothing, and costs a third of the time.

        Args:
            mask: voxels of the femur, best cropped to them.
            femur: its geometry.
        """
        plane = NeckShaftPlane.of(femur)
        index = np.argwhere(mask.array)
        points_mm = apply_affine(mask.grid.world_from_index, index.astype(float))
        is_seen = (points_mm - femur.lesser_trochanter.lower_edge_mm) @ plane.proximal >= -SHAFT_MM
        is_seen &= (femur.head.centre_mm - points_mm) @ femur.neck.axis >= 0
        index, points_mm = index[is_seen], points_mm[is_seen]
        part = np.zeros(mask.array.shape, bool)
        part[tuple(index.T)] = True
        surface = BoneSurface.of(Volume(part, mask.grid))
        spans = []
        for axis, step_mm in ((plane.proximal, PIXEL_MM), (plane.posterior, RAY_STEP_MM), (plane.medial, PIXEL_MM)):
            position_mm = (points_mm - plane.origin_mm) @ axis
            span_mm = np.arange(position_mm.min() - 5.0, position_mm.max() + 5.0, step_mm)
            spans.append(span_mm[:, None] * axis)
        rows, rays, columns = spans
        points = plane.origin_mm + rows[:, None, None] + rays[None, :, None] + columns[None, None]
        low_mm = np.array([columns[0] @ plane.medial, rows[0] @ plane.proximal])
        return cls(surface.sample(points).max(axis=1), low_mm, plane)

    def sample(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """Depth in mm at (medial, proximal) points."""
        index = np.moveaxis((points - self.low_mm) / PIXEL_MM, -1, 0)[::-1]
        return ndimage.map_coordinates(self.depth_mm, index, order=1, mode="constant", cval=OUTSIDE_MM)

    def first_bone(
        self, points: Float[np.ndarray, "lines steps 2"]
    ) -> tuple[Float[np.ndarray, "lines"], Bool[np.ndarray, "lines"]]:
        """Where lines of points enter the outline.

        Returns:
            The step, a fraction, at which every line enters; NaN if it does not or begins inside. Whether it begins
            inside.
        """
        depth_mm = self.sample(points)
        inside = depth_mm > 0
        step = inside.argmax(axis=1)
        rows = np.arange(len(points))
        after, before = depth_mm[rows, step], depth_mm[rows, step - 1]
        enters = inside.any(axis=1) & (step > 0)
        fraction = np.where(enters, before / np.where(enters, before - after, 1.0), np.nan)
        return step - 1 + fraction, inside[:, 0]
