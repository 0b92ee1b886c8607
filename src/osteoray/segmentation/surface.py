"""The surface of a bone as a smooth signed distance, sampled at any point in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume

OUTSIDE_MM = -20.0
"""Signed distance beyond the volume."""


@dataclass(frozen=True, eq=False)
class BoneSurface:
    """A closed surface where the signed distance to a mask's boundary is zero.

    Attributes:
        distance_mm: float32, positive inside the bone.
        mask: the voxels it was made from.
    """

    distance_mm: Volume
    mask: Volume

    @classmethod
    def of(cls, mask: Volume, margin_mm: float = 6.0) -> BoneSurface:
        """Surface of the set voxels of a mask.

        The signed distance interpolates shape between thick slices; a Gaussian of 1 mm (half a voxel if that is
        larger) removes the staircase of the voxels.

        Raises:
            ValueError: the mask is empty.
        """
        box = mask.crop_to(mask.array, margin_mm)
        inside = box.array.astype(bool)
        spacing_mm = box.grid.spacing_mm
        # Zero-padding closes the surface where the bone leaves the scan.
        padded = np.pad(inside, 1)
        distance_mm = ndimage.distance_transform_edt(padded, spacing_mm) - ndimage.distance_transform_edt(
            ~padded, spacing_mm
        )
        sigma = np.maximum(1.0, spacing_mm / 2) / spacing_mm
        smooth = ndimage.gaussian_filter(distance_mm.astype(np.float32), sigma)
        grid = box.grid.crop((-1, -1, -1), smooth.shape)
        return cls(Volume(smooth, grid), Volume(inside, box.grid))

    def sample(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Signed distance in mm, positive inside, at world points."""
        index = apply_affine(self.distance_mm.grid.index_from_world, points_mm)
        return ndimage.map_coordinates(
            self.distance_mm.array, np.moveaxis(index, -1, 0), order=1, mode="constant", cval=OUTSIDE_MM
        )

    def points(self) -> Float[np.ndarray, "n 3"]:
        """World points of the surface, one per voxel edge that crosses it."""
        value = self.distance_mm.array
        crossings = []
        for axis in range(3):
            before, after = np.moveaxis(value, axis, 0)[:-1], np.moveaxis(value, axis, 0)[1:]
            index = np.argwhere((before > 0) != (after > 0)).astype(float)
            pairs = tuple(index.astype(int).T)
            index[:, 0] += before[pairs] / (before[pairs] - after[pairs])
            order = [axis, *(a for a in range(3) if a != axis)]
            crossings.append(index[:, np.argsort(order)])
        return apply_affine(self.distance_mm.grid.world_from_index, np.concatenate(crossings))

    def voxels(self) -> Float[np.ndarray, "n 3"]:
        """World positions of the mask's voxels."""
        return apply_affine(self.mask.grid.world_from_index, np.argwhere(self.mask.array).astype(float))


@dataclass(frozen=True, eq=False)
class Sections:
    """Plane cross-sections of a bone, one per position along an axis.

    Attributes:
        area_mm2: area of the part that the axis passes through (or nearest to it); 0 where there is none.
        centroid_mm: its centroid in the world; NaN where there is none.
    """

    area_mm2: Float[np.ndarray, "n"]
    centroid_mm: Float[np.ndarray, "n 3"]


def perpendicular_axes(axis: Float[np.ndarray, 3]) -> tuple[Float[np.ndarray, 3], Float[np.ndarray, 3]]:
    """Two unit vectors that complete a unit vector to an orthonormal frame."""
    seed = np.eye(3)[np.argmin(np.abs(axis))]
    first = np.cross(axis, seed)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def cross_sections(
    surface: BoneSurface,
    origin_mm: Float[np.ndarray, 3],
    axis: Float[np.ndarray, 3],
    positions_mm: Float[np.ndarray, "n"],
    half_width_mm: float = 40.0,
    step_mm: float = 1.0,
) -> Sections:
    """Cross-sections by planes orthogonal to an axis.

    Args:
        surface: the bone.
        origin_mm: a point on the axis, where the position is 0.
        axis: unit vector.
        positions_mm: where along the axis.
        half_width_mm: half the side of the square that is searched around the axis.
        step_mm: sampling distance in the plane.
    """
    u, v = perpendicular_axes(axis)
    offsets = np.arange(-half_width_mm, half_width_mm + step_mm / 2, step_mm)
    in_plane = offsets[:, None, None] * u + offsets[None, :, None] * v
    centres = origin_mm + positions_mm[:, None] * axis
    distance = surface.sample(centres[:, None, None, :] + in_plane[None])
    radius = np.hypot(offsets[:, None], offsets[None, :])
    area_mm2 = np.zeros(len(positions_mm))
    centroid_mm = np.full((len(positions_mm), 3), np.nan)
    for n, plane in enumerate(distance):
        part = _part_at_axis(plane > 0, radius)
        # The signed distance at the rim gives sub-pixel coverage: a pixel is full half a pixel inside.
        weight = np.clip(plane / step_mm + 0.5, 0, 1) * ndimage.binary_dilation(part)
        if part.any():
            area_mm2[n] = weight.sum() * step_mm**2
            centroid_mm[n] = centres[n] + np.einsum("ij,ijc->c", weight, in_plane) / weight.sum()
    return Sections(area_mm2, centroid_mm)


def _part_at_axis(inside: Bool[np.ndarray, "u v"], radius_mm: Float[np.ndarray, "u v"]) -> Bool[np.ndarray, "u v"]:
    """The connected part of a cross-section that is nearest to the axis."""
    if not inside.any():
        return inside
    parts, _ = ndimage.label(inside)
    nearest = np.argmin(np.where(inside, radius_mm, np.inf))
    return parts == parts.flat[nearest]
