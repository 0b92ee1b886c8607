"""Anteversion of the neck against the condyles, where a scan holds the whole femur (Murphy et al. 1987)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull

from osteoray.imaging.volume import Volume
from osteoray.segmentation.shaft import Axis
from osteoray.segmentation.surface import BoneSurface, perpendicular_axes

MIN_LENGTH_MM = 280.0
"""A femur that ends less than this below its head's centre ends in the shaft."""

CONDYLES_MM = 40.0
"""Length of the femur's lower end that holds the back of both condyles."""

BRIDGE_MM = (25.0, 80.0)
"""Length of the retrocondylar line between the points where it touches the condyles."""

WIDER_THAN_SHAFT = 1.5
"""Condyles are at least this many times as wide as the shaft 14 cm above the end."""

MAX_LAST_LAYER = 0.6
"""The lowest layer of a whole femur has at most this share of the condyles' largest section."""


def anteversion_deg(
    mask: Volume,
    head_centre_mm: Float[np.ndarray, 3],
    neck_axis: Float[np.ndarray, 3],
    posterior: Float[np.ndarray, 3],
    shaft: Axis,
) -> float | None:
    """Angle between the neck and the back of the condyles, seen along the femur; None where no condyles are seen.

    The femur is looked at along the line from the middle of its condyles to its shaft at the lesser trochanter. The
    line that touches both condyles from behind (table-top line) is the edge of the outline's convex hull that
    bridges the notch.

    Args:
        mask: the whole femur.
        head_centre_mm: centre of the head.
        neck_axis: unit vector towards the head.
        posterior: normal of the neck-shaft plane.
        shaft: axis of the proximal shaft; its point lies as deep as the lesser trochanter.

    Returns:
        Degrees, positive if the neck points anteriorly of the table-top line.
    """
    points_mm = BoneSurface.of(mask).points()
    below_mm = shaft.position_mm(head_centre_mm) - shaft.position_mm(points_mm)
    above_end_mm = below_mm.max() - below_mm
    if below_mm.max() < MIN_LENGTH_MM or _is_cut(mask):
        return None
    if _width_mm(points_mm[above_end_mm < 30]) < WIDER_THAN_SHAFT * _width_mm(points_mm[abs(above_end_mm - 140) < 5]):
        return None
    condyles_mm = points_mm[above_end_mm < CONDYLES_MM]
    along = shaft.point_mm - condyles_mm.mean(axis=0)
    plane = np.stack(perpendicular_axes(along / np.linalg.norm(along)))
    line = _table_top(condyles_mm @ plane.T, plane @ posterior)
    if line is None:
        return None
    # The line towards the head, and its normal to the back.
    neck = plane @ neck_axis
    line = line if line @ neck > 0 else -line
    back = np.array([-line[1], line[0]])
    back = back if back @ (plane @ posterior) > 0 else -back
    return float(np.degrees(np.arctan2(-(neck @ back), neck @ line)))


def _is_cut(mask: Volume) -> bool:
    """Whether the lower end is a flat cut, as by the scan's last slice, and not rounded off."""
    area_mm2 = mask.array.sum(axis=(1, 2)).astype(float)
    area_mm2 = area_mm2 if mask.grid.world_from_index[2, 0] > 0 else area_mm2[::-1]
    area_mm2 = area_mm2[np.flatnonzero(area_mm2)[0] :]
    end = area_mm2[: int(np.ceil(60.0 / mask.grid.spacing_mm[0]))]
    return bool(end[0] > MAX_LAST_LAYER * end.max())


def _width_mm(points_mm: Float[np.ndarray, "n 3"]) -> float:
    """Largest standard deviation of points over all directions."""
    return float(np.sqrt(np.linalg.eigvalsh(np.cov(points_mm.T))[-1]))


def _table_top(outline_mm: Float[np.ndarray, "n 2"], posterior: Float[np.ndarray, 2]) -> Float[np.ndarray, 2] | None:
    """Direction of the longest edge of the convex hull that faces backwards; None if it bridges no notch."""
    corners = outline_mm[ConvexHull(outline_mm).vertices]
    edges = np.roll(corners, -1, axis=0) - corners
    # The hull's corners run counter-clockwise, so that the outward normal is the edge turned clockwise.
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    lengths = np.linalg.norm(edges, axis=1)
    faces_back = outward @ posterior > 0.5 * lengths * np.linalg.norm(posterior)
    longest = int(np.argmax(np.where(faces_back, lengths, 0.0)))
    if not BRIDGE_MM[0] <= lengths[longest] <= BRIDGE_MM[1]:
        return None
    return edges[longest] / lengths[longest]
