"""The axis of the femoral shaft: the line through the centroids of its cross-sections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.segmentation.surface import BoneSurface, cross_sections


@dataclass(frozen=True, eq=False)
class Axis:
    """A line in the world.

    Attributes:
        point_mm: a point on it, where the position along it is 0.
        direction: unit vector; for the shaft it points proximally.
    """

    point_mm: Float[np.ndarray, 3]
    direction: Float[np.ndarray, 3]

    def position_mm(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Position along the line of the feet of points."""
        return (points_mm - self.point_mm) @ self.direction

    def at(self, position_mm: float) -> Float[np.ndarray, 3]:
        """The point of the line at a position."""
        return self.point_mm + position_mm * self.direction


def fit_line(points_mm: Float[np.ndarray, "n 3"]) -> Axis:
    """Line of least squared distance, pointing superiorly (+z).

    Raises:
        ValueError: fewer than two points.
    """
    if len(points_mm) < 2:
        raise ValueError(f"points_mm: expected two or more cross-sections of a shaft, got {len(points_mm)}")
    mean = points_mm.mean(axis=0)
    direction = np.linalg.svd(points_mm - mean, full_matrices=False)[2][0]
    return Axis(mean, direction * (1.0 if direction[2] >= 0 else -1.0))


def rough_shaft(voxels_mm: Float[np.ndarray, "n 3"], length_mm: float = 40.0) -> Axis:
    """Line through the centroids of 5 mm layers of the lowest part of a femur, by world z."""
    height = voxels_mm[:, 2] - voxels_mm[:, 2].min()
    layers = [voxels_mm[(height >= low) & (height < low + 5)] for low in np.arange(0, length_mm, 5.0)]
    return fit_line(np.array([layer.mean(axis=0) for layer in layers if len(layer)]))


def lower_end_mm(surface: BoneSurface, axis: Axis) -> float:
    """Position of the lowest complete cross-section, where the scan or the femur ends.

    A plane tilted against the scan's last slice cuts an incomplete section; its area is small.

    Raises:
        ValueError: the axis misses the bone.
    """
    lowest = float(axis.position_mm(surface.voxels()).min())
    positions_mm = np.arange(lowest - 5.0, lowest + 40.0, 1.0)
    area_mm2 = cross_sections(surface, axis.point_mm, axis.direction, positions_mm, step_mm=2.0).area_mm2
    if not area_mm2.any():
        raise ValueError("axis: expected it to run through the bone's lower end, got no cross-section")
    whole = np.flatnonzero(area_mm2 > 0.9 * np.median(area_mm2[area_mm2 > 0]))
    return float(positions_mm[whole[0]])


def refine_shaft(surface: BoneSurface, axis: Axis, low_mm: float, high_mm: float) -> Axis:
    """Fit the axis to cross-sections orthogonal to itself, three times.

    Args:
        surface: the femur.
        axis: first guess.
        low_mm: lowest position along it to use.
        high_mm: highest.
    """
    low_point, high_point = axis.at(low_mm), axis.at(high_mm)
    for _ in range(3):
        first_mm, last_mm = (float(axis.position_mm(point)) for point in (low_point, high_point))
        positions_mm = np.arange(first_mm, last_mm + 0.5, 1.0)
        sections = cross_sections(surface, axis.point_mm, axis.direction, positions_mm, half_width_mm=30.0)
        axis = fit_line(sections.centroid_mm[sections.area_mm2 > 0])
    return axis
