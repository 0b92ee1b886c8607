"""Areal density of a proximal femur in its QCT, projected along the normal of the neck-shaft plane (Uemura 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.resampling import resample
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume

SMOOTHING_VOXELS = 0.8
"""Gaussian of the mask before it is turned: the steps of a cut face, seen edge-on, would widen its silhouette."""


@dataclass(frozen=True)
class QctMeasurement:
    """Densities of one region.

    Attributes:
        abmd_g_cm2: mean areal density over the region's silhouette.
        vbmd_mg_cm3: mean density of the region's voxels.
        area_cm2: area of the silhouette.
        bmc_g: mineral content, areal density times area.
    """

    abmd_g_cm2: float
    vbmd_mg_cm3: float
    area_cm2: float
    bmc_g: float


def standard_view(
    region: Volume, neck_axis: Float[np.ndarray, 3], shaft_axis: Float[np.ndarray, 3], voxel_mm: float
) -> VoxelGrid:
    """Grid around a region whose j axis is the normal of the neck-shaft plane and whose k axis is the shaft.

    This undoes flexion, abduction and rotation of the femur in the scanner. The normal is taken the way that points
    posteriorly, so that the view is from the front on either side.

    Args:
        region: mask.
        neck_axis: unit vector from neck to head.
        shaft_axis: unit vector along the shaft, proximal.
        voxel_mm: voxel size of the grid.

    Raises:
        ValueError: the region is empty, or neck and shaft are parallel.
    """
    normal = np.cross(shaft_axis, neck_axis)
    length = np.linalg.norm(normal)
    if length < 0.1:
        raise ValueError(f"neck_axis: expected an angle of 6 degrees or more to the shaft, got sine {length:.3f}")
    normal = normal / length * (1.0 if normal[1] >= 0 else -1.0)
    world_from_view = np.stack([shaft_axis, normal, np.cross(normal, shaft_axis)], axis=1)
    index = np.argwhere(region.array)
    if len(index) == 0:
        raise ValueError("region: expected at least one voxel, got none")
    points_mm = apply_affine(region.grid.world_from_index, index.astype(float)) @ world_from_view
    margin_mm = float(region.grid.spacing_mm.max()) + voxel_mm
    low, high = points_mm.min(axis=0) - margin_mm, points_mm.max(axis=0) + margin_mm
    size = np.ceil((high - low) / voxel_mm).astype(int) + 1
    return VoxelGrid(
        (int(size[0]), int(size[1]), int(size[2])), affine(world_from_view * voxel_mm, world_from_view @ low)
    )


def silhouette(region: Volume, view: VoxelGrid) -> Float[np.ndarray, "k i"]:
    """Share of each pixel of a view, in parallel projection along its j axis, that the region covers.

    The share at the rim follows from the slope of the smoothed mask, so that the area does not jump by whole rows.

    Args:
        region: mask.
        view: from `standard_view`.
    """
    smooth = ndimage.gaussian_filter(region.array.astype(np.float32), SMOOTHING_VOXELS)
    highest = resample(Volume(smooth, region.grid), view).array.max(axis=1).astype(float)
    slope = np.maximum(np.hypot(*np.gradient(highest)), 1e-3)
    return np.clip((highest - 0.5) / slope + 0.5, 0.0, 1.0)


def measure_region(
    qct_mg_cm3: Volume,
    region: Volume,
    neck_axis: Float[np.ndarray, 3],
    shaft_axis: Float[np.ndarray, 3],
    voxel_mm: float,
) -> QctMeasurement:
    """Areal and volumetric density of a region in the standard view.

    The mean line integral over the silhouette equals the mineral content over the silhouette's area. The content is
    summed over the CT's own voxels, so that no interpolation mixes soft tissue into the cortex. Nothing is clipped
    at 0: fatty marrow counts as it was calibrated.

    Args:
        qct_mg_cm3: calibrated density, mg/cm³ HA.
        region: mask on the same grid.
        neck_axis: unit vector from neck to head.
        shaft_axis: unit vector along the shaft, proximal.
        voxel_mm: voxel and pixel size of the view.

    Raises:
        ValueError: the region is empty, or neck and shaft are parallel.
    """
    # The box spares the resampling the rest of the body; the margin keeps its rim inside.
    box = region.crop_to(region.array, margin_mm=5.0)
    start = np.rint(apply_affine(region.grid.index_from_world, box.grid.world_from_index[:3, 3])).astype(int)
    crop = tuple(slice(first, first + size) for first, size in zip(start, box.array.shape, strict=True))
    density = Volume(qct_mg_cm3.array[crop], box.grid)
    view = standard_view(box, neck_axis, shaft_axis, voxel_mm)
    area_cm2 = float(silhouette(box, view).sum() * (voxel_mm / 10) ** 2)
    inside = box.array.astype(bool)
    content_mg_cm3_mm3 = float(density.array[inside].sum(dtype=np.float64)) * box.grid.voxel_mm3
    abmd_g_cm2 = content_mg_cm3_mm3 / (100 * area_cm2) * AREAL_G_CM2_FROM_MG_CM3_MM
    vbmd_mg_cm3 = float(density.array[inside].mean(dtype=np.float64))
    return QctMeasurement(abmd_g_cm2, vbmd_mg_cm3, area_cm2, abmd_g_cm2 * area_cm2)
