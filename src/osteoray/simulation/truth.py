"""What is true of a virtual patient's femur in a neutral view: areal and volumetric density, area and mineral mass.

The neutral view looks along the normal of the plane of neck and shaft (Uemura 2022), almost in parallel rays.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import AP_CAMERA_FROM_WORLD_ROTATION, Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.parts import Part
from osteoray.simulation.raycast import cast

SOURCE_MM = 10_000.0
"""Distance at which rays count as parallel (Uemura 2022)."""
PIXEL_MM = 0.5
FIELD_MM = 200.0
MIN_PATH_MM = 1.0
"""A pixel belongs to the region if its ray stays this long inside the label."""


def neutral_camera(femur: FemurTruth) -> Camera:
    """Camera on the normal of the neck-shaft plane, with the shaft upright."""
    up = femur.shaft_axis
    normal = np.cross(femur.neck_axis, up)
    normal = normal / np.linalg.norm(normal)
    # The beam goes from anterior to posterior on both sides.
    beam = normal if normal[1] > 0 else -normal
    world_from_femur = np.stack([np.cross(beam, up), beam, up], axis=1)
    rotation = AP_CAMERA_FROM_WORLD_ROTATION @ world_from_femur.T
    middle_mm = femur.neck_centre_mm - 20.0 * up
    pixels = int(FIELD_MM / PIXEL_MM)
    centre = (pixels - 1) / 2
    # Pixels of 0.5 mm in the plane of the femur, where the magnification is 1.
    return Camera.from_geometry(
        SOURCE_MM,
        (PIXEL_MM, PIXEL_MM),
        (centre, centre),
        (pixels, pixels),
        affine(rotation, np.array([0, 0, SOURCE_MM]) - rotation @ middle_mm),
    )


def neutral_density(femur: FemurTruth, proximal: Part) -> dict[str, float]:
    """Densities of a proximal femur.

    Args:
        femur: its landmarks.
        proximal: true density, ideally measured density, and labelled volume.

    Returns:
        `abmd_g_cm2`, `vbmd_mg_cm3`, `bmc_g` of the true mineral, the same with `_qct` as an ideal calibrated CT reads
        it, and `area_cm2`.
    """
    image = cast(proximal.channels, proximal.grid, neutral_camera(femur))
    inside = image[..., 2] >= MIN_PATH_MM
    area_cm2 = float(inside.sum()) * (PIXEL_MM / 10) ** 2
    values = {"area_cm2": area_cm2}
    volume = float(proximal.channels[..., 2].sum())
    for channel, suffix in ((0, ""), (1, "_qct")):
        abmd_g_cm2 = float(image[..., channel][inside].mean()) * AREAL_G_CM2_FROM_MG_CM3_MM
        values[f"abmd_g_cm2{suffix}"] = abmd_g_cm2
        values[f"vbmd_mg_cm3{suffix}"] = float(proximal.channels[..., channel].sum()) / volume
        values[f"bmc_g{suffix}"] = abmd_g_cm2 * area_cm2
    return values


def femur_facts(femur: FemurTruth) -> dict:
    """Landmarks as JSON values."""
    return {
        name: np.asarray(value).round(4).tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(femur).items()
    }


def camera_facts(camera: Camera, poses: dict[str, Float[np.ndarray, "4 4"]]) -> dict:
    """A camera as JSON values, with one `camera_from_world` per bone."""
    return {
        "K": camera.K.tolist(),
        "shape": list(camera.shape),
        "pitch_mm": list(camera.pitch_mm),
        "camera_from_world": {bone: pose.tolist() for bone, pose in poses.items()},
    }


def grid_facts(grid: VoxelGrid) -> dict:
    """A grid as JSON values."""
    return {"shape": list(grid.shape), "world_from_index": grid.world_from_index.tolist()}
