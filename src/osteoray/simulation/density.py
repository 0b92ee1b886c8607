"""How much mineral bone holds at a depth below its surface: cortical shell and trabecular interior."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import apply_affine
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.spine import Vertebra
from osteoray.simulation.texture import noise_at
from osteoray.simulation.trabeculae import trabecular_mg_cm3

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


def femur_fields(
    points_mm: Points, texture: Values, femur: FemurTruth, bmd_scale: float, voxel_mm: float, seed: int
) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ at points of a femur.

    Thick cortex in the shaft and the calcar, thin around head and greater trochanter; trabecular groups above, fatty
    marrow in the shaft.

    Args:
        points_mm: LPS positions.
        texture: relative random variation of trabecular density, mean 0.
        femur: landmarks that carry the pattern.
        bmd_scale: density relative to the mean patient.
        voxel_mm: edge of a voxel; trabecular streaks finer than that vanish.
        seed: of the streaks.
    """
    size = femur.head_radius_mm / 23.5
    up = femur.shaft_axis
    medial = femur.neck_axis - (femur.neck_axis @ up) * up
    medial /= np.linalg.norm(medial)
    height = (points_mm - femur.lesser_trochanter_mm) @ up / size
    below = _smooth_step((35.0 - height) / 60.0)
    calcar_mm = femur.neck_centre_mm + size * (6.0 * medial - 24.0 * up)
    calcar = _near(points_mm, calcar_mm, calcar_mm - size * 25.0 * up, 11.0 * size)
    thickness = (1.35 + 5.2 * below + 2.6 * calcar) * bmd_scale**0.6 * size
    pattern = trabecular_mg_cm3(points_mm, femur, voxel_mm, seed)
    marrow = _smooth_step((15.0 - height) / 45.0)
    density = (pattern * (1.0 - marrow) + 4.0 * marrow) * bmd_scale**1.25
    return thickness, np.maximum(density * (1.0 + 0.25 * texture), 0.0)


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
    beyond = np.maximum(distance - socket_mm, 0.0)
    above = np.clip(offset[:, 2] / np.maximum(distance, 1.0), 0.0, 1.0)
    roof = above * np.exp(-beyond / 12.0)
    # The lunate surface covers all of the socket but the fossa at its bottom.
    lunate = np.exp(-((beyond / 3.5) ** 2)) * _smooth_step((offset[:, 2] / socket_mm + 0.75) / 0.5)
    thickness = (1.05 + 1.0 * roof + 0.45 * lunate) * bmd_scale**0.5
    density = (90.0 + 190.0 * roof) * bmd_scale**1.2
    return thickness, np.maximum(density * (1.0 + 0.45 * texture), 0.0)


def sacrum_fields(
    points_mm: Points,
    texture: Values,
    fusions_mm: Float[np.ndarray, "4 3"],
    down: Float[np.ndarray, "4 3"],
    size: float,
    bmd_scale: float,
) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ at points of a sacrum.

    The alae hold less bone than the bodies, and the fused discs leave dense plates.

    Args:
        points_mm: LPS positions.
        texture: relative random variation, mean 0.
        fusions_mm: middle of the fused discs.
        down: unit vectors across them.
        size: linear size relative to the template.
        bmd_scale: density relative to the mean patient.
    """
    density = np.full(len(points_mm), 62.0) + 60.0 * np.exp(-((points_mm[:, 0] / (22.0 * size)) ** 4))
    for place, normal in zip(fusions_mm, down, strict=True):
        offset = points_mm - place
        across = offset @ normal
        radius2 = (offset**2).sum(axis=1) - across**2
        density += 210.0 * np.exp(-((across / (1.6 * size)) ** 2) - radius2 / (13.0 * size) ** 2)
    thickness = np.full(len(points_mm), 0.85 * bmd_scale**0.5)
    return thickness, np.maximum(density * bmd_scale**1.3 * (1.0 + 0.45 * texture), 0.0)


def vertebra_fields(
    points_mm: Points, texture: Values, vertebra: Vertebra, bmd_scale: float, voxel_mm: float, seed: int
) -> tuple[Values, Values]:
    """Cortical thickness in mm and trabecular density in mg/cm³ at points of a vertebra.

    Endplates and pedicles are thicker than the wall of the body; trabeculae stand upright in the body, and they are
    denser towards the endplates.

    Args:
        points_mm: LPS positions.
        texture: relative random variation, mean 0.
        vertebra: its frame and size.
        bmd_scale: density relative to the mean patient.
        voxel_mm: edge of a voxel; streaks finer than that vanish.
        seed: of the streaks.
    """
    local = apply_affine(np.linalg.inv(vertebra.world_from_vertebra), points_mm) / vertebra.scale
    level = vertebra.level
    behind = _smooth_step((local[:, 1] - 0.75 * level.half_depth_mm) / 4.0)
    end = np.exp(-(((np.abs(local[:, 2]) - level.half_height_mm) / 2.5) ** 2)) * (1.0 - behind)
    thickness = (0.55 + 0.45 * end + 0.55 * behind) * bmd_scale**0.5
    density = 112.0 * (1.0 + 0.35 * end - 0.2 * behind + _upright(local, voxel_mm, seed))
    return thickness, np.maximum(density * bmd_scale**1.3 * (1.0 + 0.3 * texture), 0.0)


def axial_fields(
    points_mm: Points, texture: Values, bmd_scale: float, voxel_mm: float, seed: int
) -> tuple[Values, Values]:
    """The same for sacrum and vertebrae of unknown frame, upright in the world."""
    thickness = np.full(len(points_mm), 0.75 * bmd_scale**0.5)
    density = 105.0 * bmd_scale**1.3 * (1.0 + _upright(points_mm, voxel_mm, seed))
    return thickness, np.maximum(density * (1.0 + 0.3 * texture), 0.0)


def _upright(points_mm: Points, voxel_mm: float, seed: int) -> Values:
    """Relative variation in upright streaks, which vanish where voxels are coarser than they."""
    return noise_at(points_mm / np.array([1.5, 4.0, 14.0]), seed) * 0.4 / (1.0 + (voxel_mm / 1.4) ** 4)


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
