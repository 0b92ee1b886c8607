"""What is true of a virtual patient's femur in a neutral view: areal and volumetric density, area and mineral mass.

The neutral view looks along the normal of the plane of neck and shaft (Uemura 2022), almost in parallel rays.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

import numpy as np
from jaxtyping import Bool, Float, Shaped

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.camera import AP_CAMERA_FROM_WORLD_ROTATION, Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import PROXIMAL_FEMUR, Side
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import Body, FemurTruth
from osteoray.simulation.parts import BodyParts, Part
from osteoray.simulation.raycast import cast
from osteoray.simulation.scanner import CtScan
from osteoray.simulation.truth_maps import shadow

SOURCE_MM = 10_000.0
"""Distance at which rays count as parallel (Uemura 2022)."""
PIXEL_MM = 0.5
FIELD_MM = 200.0
MIN_PATH_MM = 1.0
"""A pixel belongs to the region if its ray stays this long inside the label."""
CORTICAL_MG_CM3 = 500.0
"""A voxel with more mineral than this counts as cortical bone."""


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
        it, and `area_cm2`. `bmc_g` is areal density times area.
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


def mineral_split(proximal: Part) -> dict[str, float]:
    """Where the mineral of a proximal femur lies.

    Returns:
        `mineral_g`: all of it, summed over voxels; `cortical_share`: the part of it in voxels above `CORTICAL_MG_CM3`;
        `trabecular_vbmd_mg_cm3`: mean density of the others.
    """
    density, inside = proximal.channels[..., 0], proximal.channels[..., 2] > 0
    cortical = inside & (density > CORTICAL_MG_CM3)
    total = float(density[inside].sum(dtype=float))
    return {
        "mineral_g": total * proximal.grid.voxel_mm3 * 1e-6,
        "cortical_share": float(density[cortical].sum(dtype=float)) / total,
        "trabecular_vbmd_mg_cm3": float(density[inside & ~cortical].mean(dtype=float)),
    }


def part_of_ct(
    ha_mg_cm3: Shaped[np.ndarray, "k j i"],
    qct_mg_cm3: Shaped[np.ndarray, "k j i"],
    region: Bool[np.ndarray, "k j i"],
    grid: VoxelGrid,
) -> Part:
    """A region of a noise-free CT with the channels that `neutral_density` reads.

    Args:
        ha_mg_cm3: true density at the CT's resolution.
        qct_mg_cm3: what an ideal calibrated CT of that resolution reads.
        region: its true label.
        grid: of the CT.
    """
    label = Volume(region.astype(np.float32), grid).crop_to(region, margin_mm=float(grid.spacing_mm.max()))
    start = np.rint(np.linalg.solve(grid.world_from_index, label.grid.world_from_index[:, 3]))[:3].astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(start, label.array.shape, strict=True))
    inside = label.array
    channels = np.stack([ha_mg_cm3[window] * inside, qct_mg_cm3[window] * inside, inside], axis=-1)
    return Part(channels.astype(np.float32), label.grid)


def density_facts(
    body: Body, parts: BodyParts, ct: CtScan, disturbed: Collection[Side] = ()
) -> dict[str, dict[str, float]]:
    """Densities of both proximal femurs as JSON values.

    `abmd_g_cm2_ct` is what the pipeline can reach at best: the ideal QCT at the resolution and inside the label of the
    CT, without noise. It is absent where the CT does not show the whole region as it is.

    Args:
        body: the patient, undisturbed.
        parts: the same, taken apart.
        ct: the scan.
        disturbed: sides that the CT shows changed, by motion or an implant.
    """
    facts = {}
    for side, femur in body.femurs.items():
        proximal = parts.proximal_density[side]
        facts[str(side)] = neutral_density(femur, proximal) | mineral_split(proximal)
        region = ct.proximal_femur == PROXIMAL_FEMUR[side]
        if side not in disturbed and region.any() and _covers(ct.grid, body, side):
            at_ct = neutral_density(femur, part_of_ct(ct.ha_mg_cm3, ct.qct_ideal_mg_cm3, region, ct.grid))
            facts[str(side)]["abmd_g_cm2_ct"] = at_ct["abmd_g_cm2_qct"]
    return facts


def _covers(grid: VoxelGrid, body: Body, side: Side) -> bool:
    """Whether every voxel of a proximal femur has its centre inside a scan, tilted or not."""
    voxels = np.argwhere(body.proximal_femur == PROXIMAL_FEMUR[side]).astype(float)
    index = apply_affine(grid.index_from_world @ body.grid.world_from_index, voxels)
    return bool(np.all((index >= -0.5) & (index <= np.array(grid.shape) - 0.5)))


def shadow_facts(maps_g_cm2: dict[str, Float[np.ndarray, "rows columns"]]) -> dict[str, dict[str, float]]:
    """Areal density of both proximal femurs as the X-ray shows them: in its pose, over its shadow."""
    facts = {}
    for side in Side:
        true = maps_g_cm2[f"proximal_femur_{side}"]
        inside = shadow(true)
        if inside.any():
            reading = maps_g_cm2[f"proximal_femur_{side}_qct"]
            facts[str(side)] = {
                "abmd_g_cm2": float(true[inside].mean(dtype=float)),
                "abmd_g_cm2_qct": float(reading[inside].mean(dtype=float)),
                "pixels": int(inside.sum()),
            }
    return facts


def femur_facts(femur: FemurTruth) -> dict:
    """Landmarks of a femur as JSON values."""
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
