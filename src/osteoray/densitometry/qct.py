"""Areal density of regions of a femur in its QCT, seen along the normal of the neck-shaft plane (Uemura 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from scipy import ndimage

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.partial_volume import bone_density, nearest_part
from osteoray.imaging.resampling import resample
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume

CUT_SMOOTHING_VOXELS = 2.0
"""Gaussian that takes the steps off the cut faces of a region; they are flat, so that it may be wide."""
LEAST_MM3 = 2000.0
"""A smaller region is all edge and has no density; the smallest of a hip, the neck, measures 5 to 20 cm³."""


@dataclass(frozen=True)
class QctMeasurement:
    """Densities of one region.

    Attributes:
        abmd_g_cm2: mean areal density over the region's silhouette.
        vbmd_mg_cm3: content over the region's volume.
        area_cm2: area of the silhouette.
        bmc_g: mineral content, areal density times area.
    """

    abmd_g_cm2: float
    vbmd_mg_cm3: float
    area_cm2: float
    bmc_g: float


def measure_regions(
    qct_mg_cm3: Volume,
    bones: Shaped[np.ndarray, "k j i"],
    femur: Bool[np.ndarray, "k j i"],
    regions: Mapping[str, Bool[np.ndarray, "k j i"]],
    neck_axis: Float[np.ndarray, 3],
    shaft_axis: Float[np.ndarray, 3],
    *,
    voxel_mm: float,
    focus_mm: float | None = None,
) -> dict[str, QctMeasurement]:
    """Areal and volumetric density of regions of one femur in the standard view.

    Bone, rim and surface are those of `bone_density`; what lies outside the femur's mask belongs to the region of the
    nearest voxel of the femur. Nothing is clipped at 0: fatty marrow counts as it was calibrated.

    Args:
        qct_mg_cm3: calibrated density, mg/cm³ HA.
        bones: labels of all bones on the same grid, 0 elsewhere.
        femur: all voxels of the femur.
        regions: masks of parts of the femur by name; those under 2 cm³ are left out. They may overlap.
        neck_axis: unit vector from neck to head.
        shaft_axis: unit vector along the shaft, proximal.
        voxel_mm: voxel and pixel size of the view.
        focus_mm: distance of the focus from the middle of each region, in a cone beam; None for parallel rays.

    Raises:
        ValueError: no voxel is in any region, or neck and shaft are parallel.
    """
    bone = bone_density(qct_mg_cm3, bones, femur, np.logical_or.reduce(list(regions.values())))
    inside = Volume(femur[bone.window], bone.density_mg_cm3.grid)
    found = {}
    for name, region in regions.items():
        part = region[bone.window]
        if np.count_nonzero(part) * inside.grid.voxel_mm3 >= LEAST_MM3:
            owned = nearest_part(inside, part)
            mass = Volume(np.where(owned, bone.density_mg_cm3.array, np.float32(0)), inside.grid)
            depth_mm = Volume(np.minimum(bone.depth_mm, _behind_cuts_mm(owned, inside.grid)), inside.grid)
            view = standard_view(Volume(part, inside.grid), neck_axis, shaft_axis, voxel_mm)
            volume_mm3 = float(bone.share[owned].sum(dtype=float)) * inside.grid.voxel_mm3
            found[name] = _measured(mass, depth_mm, volume_mm3, view, focus_mm)
    return found


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
    # Twice a voxel: the bone may be larger than its mask, and has a rim.
    margin_mm = 2 * float(region.grid.spacing_mm.max()) + 3.0
    low, high = points_mm.min(axis=0) - margin_mm, points_mm.max(axis=0) + margin_mm
    size = np.ceil((high - low) / voxel_mm).astype(int) + 1
    return VoxelGrid(
        (int(size[0]), int(size[1]), int(size[2])), affine(world_from_view * voxel_mm, world_from_view @ low)
    )


def _behind_cuts_mm(owned: Bool[np.ndarray, "k j i"], grid: VoxelGrid) -> Float32[np.ndarray, "k j i"]:
    """Distance from the cut faces of a region, negative beyond them: the slope of a smoothed step is known."""
    smooth = ndimage.gaussian_filter(owned.astype(np.float32), CUT_SMOOTHING_VOXELS)
    width_mm = np.sqrt(2 * np.pi) * CUT_SMOOTHING_VOXELS * float(grid.spacing_mm.mean())
    return (smooth - np.float32(0.5)) * np.float32(width_mm)


def _measured(
    mass_mg_cm3: Volume, depth_mm: Volume, volume_mm3: float, view: VoxelGrid, focus_mm: float | None
) -> QctMeasurement:
    """Content over the silhouette's area, which is the mean line integral over it.

    In parallel rays the content is summed over the CT's own voxels, without interpolation.
    """
    pixel_mm2 = float(view.spacing_mm[0]) ** 2
    content = float(mass_mg_cm3.array.sum(dtype=float)) * mass_mg_cm3.grid.voxel_mm3
    area_mm2 = float(silhouette(depth_mm, view, focus_mm).sum()) * pixel_mm2
    seen = content if focus_mm is None else float(line_integrals(mass_mg_cm3, view, focus_mm).sum()) * pixel_mm2
    abmd_g_cm2 = seen / area_mm2 * AREAL_G_CM2_FROM_MG_CM3_MM
    return QctMeasurement(abmd_g_cm2, content / volume_mm3, area_mm2 / 100, abmd_g_cm2 * area_mm2 / 100)


def silhouette(depth_mm: Volume, view: VoxelGrid, focus_mm: float | None = None) -> Float[np.ndarray, "k i"]:
    """Share of each pixel of a view along its j axis that something covers.

    Args:
        depth_mm: distance below its surface, negative outside; a pixel's share follows from its deepest point.
        view: from `standard_view`.
        focus_mm: of a cone beam; None for parallel rays.
    """
    deepest_mm = _seen(depth_mm, view, focus_mm, -10.0).max(axis=1).astype(float)
    return np.clip(deepest_mm / float(view.spacing_mm[0]) + 0.5, 0.0, 1.0)


def line_integrals(mg_cm3: Volume, view: VoxelGrid, focus_mm: float) -> Float[np.ndarray, "k i"]:
    """Integrals in mg/cm³·mm along the rays of a cone beam, on pixels in the plane of the view's middle."""
    across_mm, beside_mm = (
        (np.arange(view.shape[axis]) - (view.shape[axis] - 1) / 2) * view.spacing_mm[axis] for axis in (0, 2)
    )
    slant = np.sqrt(1 + (across_mm[:, None] / focus_mm) ** 2 + (beside_mm / focus_mm) ** 2)
    return _seen(mg_cm3, view, focus_mm, 0.0).sum(axis=1, dtype=float) * float(view.spacing_mm[1]) * slant


def _seen(volume: Volume, view: VoxelGrid, focus_mm: float | None, outside: float) -> Float32[np.ndarray, "k j i"]:
    """Values at the voxels of a view; in a cone beam each layer is wider or narrower by its distance from the focus."""
    if focus_mm is None:
        return resample(volume, view, outside=outside).array
    layers = []
    middle = (np.array(view.shape) - 1) / 2
    for j in range(view.shape[1]):
        scale = 1 + (j - middle[1]) * float(view.spacing_mm[1]) / focus_mm
        linear = view.world_from_index[:3, :3] * [scale, 1.0, scale]
        first_mm = apply_affine(view.world_from_index, np.array([middle[0] * (1 - scale), j, middle[2] * (1 - scale)]))
        layer = VoxelGrid((view.shape[0], 1, view.shape[2]), affine(linear, first_mm))
        layers.append(resample(volume, layer, outside=outside).array)
    return np.concatenate(layers, axis=1)
