"""Trabecular bone of the proximal femur: groups of trajectories with fine streaks, and Ward's triangle between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.simulation.body import FemurTruth
from osteoray.simulation.texture import noise_at

Points = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, "n"]

_STREAK_MM = (1.5, 16.0, 5.0)
"""Lengths of change across a trajectory in the plane of neck and shaft, along it, and out of that plane."""


@dataclass(frozen=True, eq=False)
class _Plane:
    """Positions in the plane of neck and shaft: medial and up from the head's centre, and out of the plane.

    Millimetres of a femur whose head has a radius of 23.5 mm.
    """

    medial: Values
    up: Values
    out: Values


@dataclass(frozen=True, eq=False)
class _Group:
    """Share of a trabecular group at points, and streaks along its trajectories."""

    share: Values
    streaks: Values


def trabecular_mg_cm3(points_mm: Points, femur: FemurTruth, voxel_mm: float, seed: int) -> Values:
    """Density of the trabecular interior of a femur's end for a mean patient, without the shaft's marrow.

    Groups as read in radiographs: principal compressive (a fan from medial neck to the dome of the head), principal
    tensile (an arch from the lower head through the upper neck to the lateral cortex), secondary compressive (from
    the medial shaft to the greater trochanter). Between them lies Ward's triangle.

    Args:
        points_mm: LPS positions.
        femur: landmarks that carry the pattern.
        voxel_mm: edge of a voxel; streaks finer than that vanish.
        seed: of the streaks.
    """
    plane, neck = _plane_of(points_mm, femur)
    radius = np.sqrt(plane.medial**2 + plane.up**2 + plane.out**2)
    head = _step((22.0 - radius) / 12.0)
    groups = [_compressive(plane, neck, seed), _tensile(plane, neck, seed + 1), _secondary(plane, neck, seed + 2)]
    ward = np.exp(-(((plane.medial - neck[0] + 13.0) / 8.0) ** 2 + ((plane.up - neck[1] + 8.0) / 9.0) ** 2))
    dome = np.exp(-(((radius - 22.0) / 4.0) ** 2)) * _step((plane.up + 2.0) / 14.0)
    contrast = 0.55 / (1.0 + (voxel_mm / 1.4) ** 4)
    density = (50.0 + 45.0 * head) * (1.0 - 0.6 * ward) + 90.0 * dome
    for group, strength in zip(groups, (160.0, 110.0, 48.0), strict=True):
        density += strength * group.share * (1.0 + contrast * group.streaks)
    return density


def _plane_of(points_mm: Points, femur: FemurTruth) -> tuple[_Plane, tuple[float, float]]:
    """Points in the plane of neck and shaft, and the middle of the neck there."""
    size = femur.head_radius_mm / 23.5
    up = femur.shaft_axis
    medial = femur.neck_axis - (femur.neck_axis @ up) * up
    medial /= np.linalg.norm(medial)
    offset = (points_mm - femur.head_centre_mm) / size
    neck = (femur.neck_centre_mm - femur.head_centre_mm) / size
    plane = _Plane(offset @ medial, offset @ up, offset @ np.cross(medial, up))
    return plane, (float(neck @ medial), float(neck @ up))


def _compressive(plane: _Plane, neck: tuple[float, float], seed: int) -> _Group:
    """Fan from the calcar; its trajectories meet below it."""
    foot = (neck[0] + 5.0, neck[1] - 45.0)
    x, y = plane.medial - foot[0], plane.up - foot[1]
    reach, angle = np.hypot(x, y), np.arctan2(x, y)
    axis = np.arctan2(4.0 - foot[0], 22.0 - foot[1])
    share = np.exp(-(((angle - axis) / 0.24) ** 4)) * _step((reach - 16.0) / 14.0)
    streaks = noise_at(_scaled(angle * 55.0, reach, plane.out), seed)
    return _Group(share, streaks)


def _tensile(plane: _Plane, neck: tuple[float, float], seed: int) -> _Group:
    """Arch: part of a circle through lower head, upper neck and lateral cortex."""
    points = np.array([(9.0, -11.0), (neck[0] - 3.0, neck[1] + 9.0), (neck[0] - 38.0, neck[1] - 26.0)])
    equations = np.c_[2 * points, np.ones(3)]
    centre = np.linalg.solve(equations, (points**2).sum(axis=1))[:2]
    radius = float(np.hypot(*(points[0] - centre)))
    x, y = plane.medial - centre[0], plane.up - centre[1]
    reach, angle = np.hypot(x, y), np.arctan2(x, y)
    ends = [float(np.arctan2(*(point - centre))) for point in points[[2, 0]]]
    inside = _step((angle - ends[0]) * radius / 10.0 + 0.5) * _step((ends[1] - angle) * radius / 10.0 + 0.5)
    share = np.exp(-(((reach - radius) / 6.5) ** 2)) * inside
    return _Group(share, noise_at(_scaled(reach, angle * radius, plane.out), seed))


def _secondary(plane: _Plane, neck: tuple[float, float], seed: int) -> _Group:
    """Fan from the medial cortex at the lesser trochanter to the greater trochanter."""
    foot = (neck[0] + 2.0, neck[1] - 62.0)
    x, y = plane.medial - foot[0], plane.up - foot[1]
    reach, angle = np.hypot(x, y), np.arctan2(x, y)
    share = np.exp(-(((angle + 0.60) / 0.30) ** 4)) * _step((reach - 15.0) / 15.0)
    return _Group(share, noise_at(_scaled(angle * 45.0, reach, plane.out), seed))


def _scaled(across: Values, along: Values, out: Values) -> Points:
    """Coordinates of the streaks, in their lengths of change."""
    return np.stack([across / _STREAK_MM[0], along / _STREAK_MM[1], out / _STREAK_MM[2]], axis=1)


def _step(value: Values) -> Values:
    """0 below 0, 1 above 1, smooth between."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)
