"""Metal at a hip: implants, which streak, take bone away, and would be counted as bone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import cKDTree

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.midline import centroids_x_mm, midline_x_mm
from osteoray.segmentation.quality import MIN_CM3

REACH_MM = 20.0
"""Metal farther from the femur than this does not concern it."""
MIDLINE_MM = 40.0
"""A piece whose middle is nearer to the mid-sagittal plane is no hip implant, but for instance a full bladder.

Without both hip bones, both femurs or the sacrum that plane is unknown, and every piece counts."""
DEEP_HU = 2000.0
DEEP_MM = 6.0
"""Thin titanium reads 2000 HU and more, which cortex does not; this deep below the surface there is no cortex at all,
and a bone island reads less."""


@dataclass(frozen=True, eq=False)
class Metal:
    """Metal at one hip.

    Attributes:
        volume_mm3: of the voxels that count as metal.
        centre_mm: their centroid, LPS; NaN without metal.
    """

    volume_mm3: float
    centre_mm: Float[np.ndarray, "3"]

    def facts(self) -> dict:
        """JSON values."""
        return {"volume_mm3": self.volume_mm3, "centre_mm": self.centre_mm.tolist()}


def metal_at_hips(ct_hu: Volume, bones: UInt8[np.ndarray, "k j i"], metal_hu: float) -> dict[Side, Metal]:
    """Metal of every side that has any.

    It belongs to a side if it is within 20 mm of the femur. Where that femur was not found, perhaps because the implant
    has taken its place, all metal of this half of the body does; in a scan of one side alone, all metal.

    Args:
        ct_hu: CT in Hounsfield units.
        bones: labels of `Bone` on the same grid.
        metal_hu: HU above which a voxel is metal; scanners without extended range clip at about 3071.
    """
    x_mm = centroids_x_mm(Volume(bones, ct_hu.grid))
    midline = midline_x_mm(x_mm)
    voxels = np.argwhere(_is_metal(ct_hu, bones, metal_hu, midline))
    if len(voxels) == 0:
        return {}
    points_mm = apply_affine(ct_hu.grid.world_from_index, voxels.astype(float))
    seen = {side for side in Side if x_mm.keys() & {HIP[side], FEMUR[side]}}
    found = {}
    for side in Side:
        femur = np.argwhere(bones == FEMUR[side])
        if len(femur) * ct_hu.grid.voxel_mm3 / 1000 < MIN_CM3[FEMUR[side]]:
            if midline is None and len(seen) == 1:
                here = np.full(len(points_mm), side in seen)
            else:
                middle_mm = ct_hu.grid.centre_mm[0] if midline is None else midline
                here = (points_mm[:, 0] > middle_mm) == (side is Side.LEFT)
        else:
            here = _near(points_mm, apply_affine(ct_hu.grid.world_from_index, femur.astype(float)))
        if here.any():
            found[side] = Metal(float(here.sum() * ct_hu.grid.voxel_mm3), points_mm[here].mean(axis=0))
    return found


def _is_metal(
    ct_hu: Volume, bones: UInt8[np.ndarray, "k j i"], metal_hu: float, midline: float | None
) -> Bool[np.ndarray, "k j i"]:
    """Voxels above the limit, or of thin metal deep in a femur, in pieces aside of the mid-sagittal plane."""
    metal = ct_hu.array > metal_hu
    for label in FEMUR.values():
        bright = (ct_hu.array > DEEP_HU) & (bones == label) & ~metal
        if bright.sum() * ct_hu.grid.voxel_mm3 > 1.0:
            metal |= bright & _is_deep(Volume(bones == label, ct_hu.grid))
    return metal if midline is None or not metal.any() else _aside(Volume(metal, ct_hu.grid), midline)


def _aside(metal: Volume, midline_x_mm: float) -> Bool[np.ndarray, "k j i"]:
    """The pieces whose centroid is far from the mid-sagittal plane."""
    window = metal.window(metal.array)
    box = metal.cut(window)
    pieces, count = ndimage.label(box.array)
    middles = np.array(ndimage.center_of_mass(box.array, pieces, np.arange(1, count + 1)))
    aside_mm = apply_affine(box.grid.world_from_index, middles)[:, 0] - midline_x_mm
    kept = np.zeros_like(metal.array)
    kept[window] = np.append(False, np.abs(aside_mm) > MIDLINE_MM)[pieces]
    return kept


def _is_deep(femur: Volume) -> Bool[np.ndarray, "k j i"]:
    """Voxels of a femur, its holes filled layer by layer, that lie far below its surface."""
    full = np.stack([ndimage.binary_fill_holes(layer) for layer in femur.array])
    # The scan's end is no surface.
    padded = np.pad(full, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return ndimage.distance_transform_edt(padded, femur.grid.spacing_mm)[1:-1] > DEEP_MM


def _near(points_mm: Float[np.ndarray, "n 3"], femur_mm: Float[np.ndarray, "m 3"]) -> Bool[np.ndarray, "n"]:
    # Every 20th voxel of the femur suffices: their neighbours are millimetres apart, the reach is 20.
    return np.isfinite(cKDTree(femur_mm[::20]).query(points_mm, distance_upper_bound=REACH_MM)[0])
