"""How much mineral bone holds at a depth below its surface: cortical shell and trabecular interior."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from osteoray.simulation.body import FemurTruth

BONE_TISSUE_HA_MG_CM3 = 1150.0
"""Hydroxyapatite per volume of fully mineralised bone tissue; the rest of it is collagen and water."""

_CORTEX_MG_CM3 = 980.0
"""Cortical bone of mean density: tissue with 15 % pores."""

Points = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, "n"]


def mineral(
    depth_mm: Values, cortex_mm: Values, trabecular_mg_cm3: Values, bmd_scale: float, voxel_mm: float
) -> Float32[np.ndarray, "n"]:
    """Hydroxyapatite in mg/cm³ of voxels near or below a bone's surface.

    Shell and interior are each weighted with the share of the voxel they fill, taken along the depth, so that the
    mass of a thin cortex does not depend on the voxel size.

    Args:
        depth_mm: depth of the voxel centres below the surface, negative outside.
        cortex_mm: thickness of the cortical shell there.
        trabecular_mg_cm3: density of the interior.
        bmd_scale: density relative to the mean patient; porosity takes a small part of it.
        voxel_mm: edge of a voxel.
    """
    bone = np.clip(depth_mm / voxel_mm + 0.5, 0.0, 1.0)
    interior = np.clip((depth_mm - cortex_mm) / voxel_mm + 0.5, 0.0, 1.0)
    cortex = min(_CORTEX_MG_CM3 * bmd_scale**0.2, BONE_TISSUE_HA_MG_CM3)
    trabecular = np.clip(trabecular_mg_cm3, 0.0, 0.8 * BONE_TISSUE_HA_MG_CM3)
    return (cortex * (bone - interior) + trabecular * interior).astype(np.float32)


def femur_fields(points_mm: Points, texture: Values, femur: FemurTruth, bmd_scale: float) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ at points of a femur.

    Thick cortex in the shaft and the calcar, thin around head and greater trochanter; compressive trabeculae from
    the top of the head to the calcar, tensile ones from head to lateral cortex, and Ward's triangle between them.

    Args:
        points_mm: LPS positions.
        texture: relative random variation of trabecular density, mean 0.
        femur: landmarks that carry the pattern.
        bmd_scale: density relative to the mean patient.
    """
    size = femur.head_radius_mm / 23.5
    up = femur.shaft_axis
    medial = femur.neck_axis - (femur.neck_axis @ up) * up
    medial /= np.linalg.norm(medial)
    height = (points_mm - femur.lesser_trochanter_mm) @ up / size
    below = _smooth_step((25.0 - height) / 60.0)
    calcar_mm = femur.neck_centre_mm + size * (6.0 * medial - 24.0 * up)
    lateral_mm = femur.neck_centre_mm - size * (38.0 * medial + 22.0 * up)
    ward_mm = femur.neck_centre_mm - size * (12.0 * medial + 8.0 * up)
    calcar = _near(points_mm, calcar_mm, calcar_mm - size * 25.0 * up, 11.0 * size)
    thickness = (1.5 + 4.6 * below + 2.4 * calcar) * bmd_scale**0.6 * size
    top_mm = femur.head_centre_mm + size * (6.0 * medial + 18.0 * up)
    compressive = _near(points_mm, top_mm, calcar_mm, 9.0 * size)
    upper_neck_mm = femur.neck_centre_mm + size * (8.0 * up - 4.0 * medial)
    tensile = np.maximum(
        _near(points_mm, femur.head_centre_mm - size * (12.0 * up - 8.0 * medial), upper_neck_mm, 6.0 * size),
        _near(points_mm, upper_neck_mm, lateral_mm, 7.0 * size),
    )
    head = _near(points_mm, femur.head_centre_mm, femur.head_centre_mm, 0.8 * femur.head_radius_mm)
    ward = _near(points_mm, ward_mm, ward_mm, 9.0 * size)
    pattern = (115.0 + 130.0 * head + 190.0 * compressive + 110.0 * tensile) * (1.0 - 0.75 * ward)
    marrow = _smooth_step((15.0 - height) / 45.0)
    density = (pattern * (1.0 - marrow) + 4.0 * marrow) * bmd_scale**1.25
    return thickness, np.maximum(density * (1.0 + 0.35 * texture), 0.0)


def hip_fields(
    points_mm: Points, texture: Values, head_centre_mm: Float[np.ndarray, "3"], socket_mm: float, bmd_scale: float
) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ at points of a hip bone.

    Subchondral bone of the acetabular roof is thick, and trabeculae are dense above it.

    Args:
        points_mm: LPS positions.
        texture: relative random variation, mean 0.
        head_centre_mm: centre of the socket.
        socket_mm: its radius.
        bmd_scale: density relative to the mean patient.
    """
    offset = points_mm - head_centre_mm
    distance = np.linalg.norm(offset, axis=-1)
    above = np.clip(offset[:, 2] / np.maximum(distance, 1.0), 0.0, 1.0)
    roof = above * np.exp(-np.maximum(distance - socket_mm, 0.0) / 12.0)
    thickness = (1.05 + 1.2 * roof) * bmd_scale**0.5
    density = (95.0 + 190.0 * roof) * bmd_scale**1.2
    return thickness, np.maximum(density * (1.0 + 0.35 * texture), 0.0)


def axial_fields(points_mm: Points, texture: Values, bmd_scale: float) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ of sacrum and vertebrae."""
    thickness = np.full(len(points_mm), 0.8 * bmd_scale**0.5)
    return thickness, np.maximum(110.0 * bmd_scale**1.3 * (1.0 + 0.3 * texture), 0.0)


def _smooth_step(value: Values) -> Values:
    """0 below 0, 1 above 1, smooth between."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)


def _near(points_mm: Points, start_mm: np.ndarray, end_mm: np.ndarray, reach_mm: float) -> Values:
    """Gaussian of the distance to a segment."""
    line = end_mm - start_mm
    length2 = max(float(line @ line), 1e-6)
    along = np.clip((points_mm - start_mm) @ line / length2, 0.0, 1.0)
    squared = ((points_mm - start_mm - along[:, None] * line) ** 2).sum(axis=1)
    return np.exp(-squared / reach_mm**2)
