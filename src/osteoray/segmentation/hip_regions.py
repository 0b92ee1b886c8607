"""The regions of a hip DXA in 3-D: femoral neck, trochanteric and intertrochanteric region; together the total hip.

They are drawn in the plane of neck and shaft, as on a DXA image with the leg turned inwards, and extruded along its
normal. A line from the middle of the neck box's far edge, next to Ward's area, to the base of the greater trochanter
splits trochanteric from intertrochanteric bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import HIP_REGION, HipRegion
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import FemurGeometry
from osteoray.segmentation.greater_trochanter import greater_trochanter_base
from osteoray.segmentation.neck_box import NeckBox, place_neck_box
from osteoray.segmentation.proximal_femur import largest_part
from osteoray.segmentation.silhouette import NeckShaftPlane, Silhouette


@dataclass(frozen=True, eq=False)
class HipRegions:
    """Regions of one femur.

    Attributes:
        labels: `HIP_REGION` on the grid of the femur's mask.
        box: the neck box.
        trochanter_base_mm: base of the greater trochanter on the lateral cortex, LPS.
        trochanter_height_mm: how far the greater trochanter stands out of the shaft laterally.
        volumes_cm3: of every region.
    """

    labels: UInt8[np.ndarray, "k j i"]
    box: NeckBox
    trochanter_base_mm: Float[np.ndarray, 3]
    trochanter_height_mm: float
    volumes_cm3: dict[HipRegion, float]

    def facts(self) -> dict:
        """JSON values for the manifest."""
        return {
            "neck_box_start_mm": self.box.near_mm,
            "neck_box_length_mm": self.box.length_mm,
            "neck_box_touches_trochanter": self.box.touches_trochanter,
            "greater_trochanter_base_mm": self.trochanter_base_mm.tolist(),
            "greater_trochanter_height_mm": self.trochanter_height_mm,
            "volumes_cm3": {region.value: volume for region, volume in self.volumes_cm3.items()},
        }


def hip_regions(mask: Volume, femur: FemurGeometry, total_hip_cut_mm: float, head_cut_radii: float) -> HipRegions:
    """Divide the total hip, from the neck box's near edge to a cut below the lesser trochanter.

    Args:
        mask: voxels of the femur, best cropped to them.
        femur: its geometry.
        total_hip_cut_mm: length of shaft below the lesser trochanter's lower edge that belongs to the total hip.
        head_cut_radii: head radii from the head's centre to the head-neck cut, which the neck box does not cross.

    Raises:
        ValueError: the greater trochanter does not stand out of the lateral cortex.
    """
    silhouette = Silhouette.of(mask, femur)
    plane = silhouette.plane
    waist_mm = float(plane.along_neck(plane.project(femur.neck.centre_mm)))
    box = place_neck_box(silhouette, waist_mm, head_cut_radii * femur.head.radius_mm)
    base, height_mm = greater_trochanter_base(silhouette, femur.lesser_trochanter.lower_edge_mm)
    index = np.argwhere(mask.array)
    points = plane.project(apply_affine(mask.grid.world_from_index, index.astype(float)))
    lowest_mm = plane.project(femur.lesser_trochanter.lower_edge_mm)[1] - total_hip_cut_mm
    is_total = (plane.along_neck(points) >= box.near_mm) & (points[:, 1] >= lowest_mm)
    labels = np.zeros(mask.array.shape, np.uint8)
    inside = tuple(index[is_total].T)
    region = region_of(points[is_total], plane, box, base)
    labels[inside] = np.array([HIP_REGION[femur.side, name] for name in HipRegion], np.uint8)[region]
    labels *= largest_part(labels > 0)
    counts = np.bincount(labels.ravel(), minlength=len(HIP_REGION) + 1) * mask.grid.voxel_mm3 / 1000
    volumes_cm3 = {name: float(counts[HIP_REGION[femur.side, name]]) for name in HipRegion}
    return HipRegions(labels, box, plane.lift(base), height_mm, volumes_cm3)


def region_of(
    points: Float[np.ndarray, "n 2"], plane: NeckShaftPlane, box: NeckBox, base: Float[np.ndarray, 2]
) -> np.ndarray:
    """Which region points of the total hip belong to, as positions in `HipRegion`.

    Args:
        points: (medial, proximal) mm.
        plane: what they lie in.
        box: the neck box.
        base: base of the greater trochanter, likewise.
    """
    along_mm, across_mm = plane.along_neck(points), plane.across_neck(points)
    is_beyond = along_mm >= box.far_mm
    is_neck = ~is_beyond & (np.abs(across_mm) <= box.length_mm / 2)
    ward = -box.far_mm * plane.neck
    to_base = base - ward
    # The base lies lateral of Ward's area, so that proximal of the line is where this product is negative.
    offset = points - ward
    is_proximal = to_base[0] * offset[:, 1] - to_base[1] * offset[:, 0] < 0
    is_upper = np.where(is_beyond, is_proximal, across_mm > 0)
    names = list(HipRegion)
    region = np.where(is_upper, names.index(HipRegion.TROCHANTERIC), names.index(HipRegion.INTERTROCHANTERIC))
    return np.where(is_neck, names.index(HipRegion.NECK), region)
