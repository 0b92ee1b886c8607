"""Fractures of a femur: a narrow band around the bone in which its cortex is missing, or a bone in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.spatial import cKDTree

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume
from osteoray.segmentation.shaft import Axis, rough_shaft
from osteoray.segmentation.surface import BoneSurface, perpendicular_axes

BRIDGED_MM = 4.0
"""Labels that a crack up to twice this wide has parted are joined."""
TONGUE_MM = 2.5
"""Labels of soft tissue up to twice this thick are no bone: bridged, a tongue between head and trochanter would be a
wall without a cortex."""
DEPTHS_MM = np.arange(-3.5, 5.01, 0.5)
"""Where the cortex is sampled below the surface: far enough to find it beside the surface of a poor mask."""
DENSEST = 4
"""The mean of so many of the densest samples counts; they span about the thickness of a thin cortex."""
EVENED = 0.33
"""Standard deviation of the Gaussian that the CT is smoothed with, in slices (or pixels, if they are larger)."""
POINTS_MM = 1.5
"""Distance of the surface points, about."""
VALLEY_MM = 5.0
"""A valley of the cortex up to twice this wide is narrow."""
SOFT_TISSUE_HU = 50.0
MIN_CORTEX_HU = 150.0
"""A thinner cortex (above soft tissue) shows no gap."""
MIN_DROP = 0.4
"""In a gap, the cortex has lost at least this share of what is beside it."""
JOINT_MM = 9.0
"""Surface nearer to the hip bone than this faces the joint and is left out: no fracture shows there alone."""
END_MM = 6.0
"""So is the end of the scan."""
SLAB_MM = 2.5
"""A crack deviates from a plane by up to this much."""
CONE_DEG = 45.0
"""Planes are tried whose normal is within this angle of the neck or the shaft."""
SECTORS = 36
MIN_POINTS = 40
"""A plane that meets fewer surface points cuts off a corner only."""
MIN_PART_CM3 = 3.0
MIN_PART_SHARE = 0.05
FRAGMENT_MM = 30.0
"""A separate part of at least this volume and share of the femur, and nearer than this to its largest part, is a
fragment; other parts are errors of the labels and are left out."""
NECK_SHARE = 0.33
"""A gap farther medial of the shaft's axis than this share of the head's offset is in the neck."""
TROCHANTERS_MM = 80.0
"""The trochanters end about this far below the head's top."""


@dataclass(frozen=True, eq=False)
class CorticalGap:
    """The plane around a femur in which most of the cortex is missing.

    Attributes:
        at: `neck`, `trochanteric` or `shaft`.
        share: of the circumference there that is missing, 0 to 1.
        length_mm: the same as a length along the surface.
        centre_mm: middle of the cross-section, LPS.
        loose_cm3: volume of the largest fragment beside the bone's largest part; 0 if there is none.
    """

    at: str
    share: float
    length_mm: float
    centre_mm: Float[np.ndarray, "3"]
    loose_cm3: float

    def is_fracture(self, min_share: float) -> bool:
        """Whether it is one: enough of a circumference is missing, or a part is loose."""
        return self.share >= min_share or self.loose_cm3 > 0

    def facts(self) -> dict:
        """JSON values."""
        return {
            "at": self.at,
            "gap_share": self.share,
            "gap_mm": self.length_mm,
            "gap_centre_mm": self.centre_mm.tolist(),
            "loose_cm3": self.loose_cm3,
        }


class _Ring(NamedTuple):
    share: float
    length_mm: float
    centre_mm: Float[np.ndarray, "3"]


def largest_gap(ct_hu: Volume, femur: Bool[np.ndarray, "k j i"], hip: Bool[np.ndarray, "k j i"]) -> CorticalGap:
    """The plane through a femur with the largest cortical gap; its share is small in a sound bone.

    Landmarks are not needed: a broken femur may have none.

    Args:
        ct_hu: CT in Hounsfield units.
        femur: mask of one femur on the same grid, in one or several parts.
        hip: mask of the hip bone of that side.

    Raises:
        ValueError: the femur is empty.
    """
    mask = Volume(femur, ct_hu.grid)
    window = mask.window(femur, 3 * BRIDGED_MM)
    even_hu = _evened(ct_hu.cut(window))
    whole, loose_cm3 = _with_fragments(bridged(without_tongues(mask.cut(window), even_hu), BRIDGED_MM))
    surface = BoneSurface.of(whole)
    points_mm, normals = _surface_points(surface)
    cortex_hu = _cortex_hu(even_hu, points_mm, normals)
    drop = cortical_drop(points_mm, cortex_hu)
    hip_mm = apply_affine(ct_hu.grid.world_from_index, np.argwhere(hip)[::3].astype(float))
    at_joint = _near(points_mm, hip_mm)
    voxels_mm = surface.voxels()
    drop[at_joint | (points_mm[:, 2] < voxels_mm[:, 2].min() + END_MM)] = 0.0
    shaft = rough_shaft(voxels_mm)
    head_mm = points_mm[at_joint].mean(axis=0) if at_joint.any() else voxels_mm[voxels_mm[:, 2].argmax()]
    neck = _neck_direction(shaft, head_mm)
    rings = [_most_broken(points_mm, drop, normal) for normal in _normals(neck, shaft.direction)]
    ring = max(rings, key=lambda ring: ring.share)
    at = _place(ring.centre_mm, shaft, head_mm)
    return CorticalGap(at, ring.share, ring.length_mm, ring.centre_mm, loose_cm3)


def bridged(mask: Volume, reach_mm: float) -> Volume:
    """The mask closed over a distance (dilated, then eroded by a ball), so that parts beside a crack are one."""
    spacing_mm = mask.grid.spacing_mm
    pad = [(int(np.ceil(reach_mm / step)) + 1,) * 2 for step in spacing_mm]
    inside = np.pad(mask.array.astype(bool), pad)
    grown = ndimage.distance_transform_edt(~inside, spacing_mm) <= reach_mm
    closed = inside | (ndimage.distance_transform_edt(grown, spacing_mm) > reach_mm)
    return Volume(closed[tuple(slice(before, -after) for before, after in pad)], mask.grid)


def without_tongues(mask: Volume, ct_hu: Volume) -> Volume:
    """The mask without what an opening by a ball of `TONGUE_MM` takes away, as far as it is soft tissue.

    Args:
        mask: of one bone.
        ct_hu: CT in Hounsfield units on the same grid.
    """
    pad = [(int(np.ceil(TONGUE_MM / step)) + 1,) * 2 for step in mask.grid.spacing_mm]
    inside = np.pad(mask.array.astype(bool), pad, mode="edge")
    core = ndimage.distance_transform_edt(inside, mask.grid.spacing_mm) > TONGUE_MM
    opened = ndimage.distance_transform_edt(~core, mask.grid.spacing_mm) <= TONGUE_MM
    opened = opened[tuple(slice(before, -after) for before, after in pad)]
    return Volume(mask.array & (opened | (ct_hu.array >= MIN_CORTEX_HU)), mask.grid)


def cortical_drop(points_mm: Float[np.ndarray, "n 3"], cortex_hu: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Share of the cortex that a surface point lacks against its surroundings on both sides, 0 to 1.

    The surroundings are the grey-value closing over `VALLEY_MM`: it fills narrow valleys, and leaves wide thin regions
    and the edges between thick and thin as they are.
    """
    near = cKDTree(points_mm).query(points_mm, k=80, distance_upper_bound=VALLEY_MM)[1]

    def highest(values: np.ndarray) -> np.ndarray:
        return np.append(values, -np.inf)[near].max(axis=1)

    beside_hu = -highest(-highest(cortex_hu)) - SOFT_TISSUE_HU
    drop = 1.0 - (cortex_hu - SOFT_TISSUE_HU) / np.maximum(beside_hu, 1.0)
    return np.where(beside_hu > MIN_CORTEX_HU, np.clip(drop, 0.0, 1.0), 0.0)


def _surface_points(surface: BoneSurface) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Points of the surface, thinned out, and unit normals inwards."""
    points_mm = surface.points()
    _, first = np.unique(np.floor(points_mm / POINTS_MM).astype(int), axis=0, return_index=True)
    points_mm = points_mm[first]
    slopes = [surface.sample(points_mm + step) - surface.sample(points_mm - step) for step in 0.75 * np.eye(3)]
    inwards = np.stack(slopes, axis=-1)
    return points_mm, inwards / np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-6)


def _evened(ct_hu: Volume) -> Volume:
    """CT as blurred in the slice as across slices: a thin plate that crosses thick slices shows steps otherwise."""
    sigma = EVENED * ct_hu.grid.spacing_mm.max() / ct_hu.grid.spacing_mm
    return Volume(ndimage.gaussian_filter(ct_hu.array, sigma, output=np.float32), ct_hu.grid)


def _cortex_hu(
    ct_hu: Volume, points_mm: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n"]:
    """Mean of the densest samples around every surface point."""
    along_mm = points_mm[:, None] + DEPTHS_MM[:, None] * normals[:, None]
    index = np.moveaxis(apply_affine(ct_hu.grid.index_from_world, along_mm), -1, 0)
    samples = ndimage.map_coordinates(ct_hu.array, index, order=1, mode="nearest")
    return np.sort(samples, axis=1)[:, -DENSEST:].mean(axis=1)


def _near(points_mm: Float[np.ndarray, "n 3"], others_mm: Float[np.ndarray, "m 3"]) -> Bool[np.ndarray, "n"]:
    if len(others_mm) == 0:
        return np.zeros(len(points_mm), bool)
    return cKDTree(others_mm).query(points_mm, distance_upper_bound=JOINT_MM)[0] < JOINT_MM


def _neck_direction(shaft: Axis, head_mm: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Direction of a neck at the average neck-shaft angle of 127 degrees towards the head."""
    aside = head_mm - shaft.at(float(shaft.position_mm(head_mm)))
    return 0.8 * aside / max(float(np.linalg.norm(aside)), 1e-6) + 0.6 * shaft.direction


def _normals(*axes: Float[np.ndarray, "3"]) -> Float[np.ndarray, "n 3"]:
    """Unit vectors of a half sphere, about 7 degrees apart (golden spiral), within a cone around one of the axes."""
    count = 400
    step = np.arange(count) + 0.5
    z, turn = 1 - step / count, np.pi * (1 + np.sqrt(5)) * step
    half = np.stack([np.cos(turn) * np.sqrt(1 - z**2), np.sin(turn) * np.sqrt(1 - z**2), z], axis=1)
    return half[np.abs(half @ np.stack(axes, axis=1)).max(axis=1) > np.cos(np.radians(CONE_DEG))]


def _most_broken(
    points_mm: Float[np.ndarray, "n 3"], drop: Float[np.ndarray, "n"], normal: Float[np.ndarray, "3"]
) -> _Ring:
    """Of the planes with one normal, 1 mm apart, the one with the largest share of broken circumference.

    The surface points within `SLAB_MM` of a plane are counted by their sector around their centroid; a sector with a
    point that lacks its cortex is broken, and counts as much as it has points.
    """
    u, v = perpendicular_axes(normal)
    height_mm = points_mm @ normal
    lowest_mm = height_mm.min()
    layer = np.floor(height_mm - lowest_mm).astype(int)
    layers, reach = int(layer.max()) + 1, int(SLAB_MM)
    plane = layer + np.arange(-reach, reach + 1)[:, None]
    inside = (plane >= 0) & (plane < layers)
    plane, member = plane[inside], np.broadcast_to(np.arange(len(drop)), plane.shape)[inside]
    count = np.bincount(plane, minlength=layers)
    across = np.stack([points_mm @ u, points_mm @ v], axis=1)
    middle = np.stack([_mean_by(plane, across[member, axis], layers) for axis in range(2)], axis=1)
    offset = across[member] - middle[plane]
    sector = plane * SECTORS + _sector(offset)
    counts = np.bincount(sector, minlength=layers * SECTORS).reshape(layers, SECTORS)
    broken = np.zeros(layers * SECTORS, bool)
    broken[sector[drop[member] > MIN_DROP]] = True
    share = (counts * broken.reshape(counts.shape)).sum(axis=1) / np.maximum(count, 1) * (count >= MIN_POINTS)
    best = int(np.argmax(share))
    here = plane == best
    centre_mm = middle[best] @ np.stack([u, v]) + (lowest_mm + best + 0.5) * normal
    return _Ring(float(share[best]), float(share[best]) * _perimeter_mm(offset[here]), centre_mm)


def _mean_by(group: Int[np.ndarray, "m"], values: Float[np.ndarray, "m"], groups: int) -> Float[np.ndarray, "g"]:
    return np.bincount(group, values, groups) / np.maximum(np.bincount(group, minlength=groups), 1)


def _sector(offset_mm: Float[np.ndarray, "m 2"]) -> Int[np.ndarray, "m"]:
    turn = np.arctan2(offset_mm[:, 1], offset_mm[:, 0]) / (2 * np.pi) + 0.5
    return (turn * SECTORS).astype(int) % SECTORS


def _perimeter_mm(offset_mm: Float[np.ndarray, "m 2"]) -> float:
    """Perimeter of the polygon through the mean points of the sectors."""
    sector = _sector(offset_mm)
    corners = np.stack([_mean_by(sector, offset_mm[:, axis], SECTORS) for axis in range(2)], axis=1)
    corners = corners[np.bincount(sector, minlength=SECTORS) > 0]
    return float(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).sum())


def _place(centre_mm: Float[np.ndarray, "3"], shaft: Axis, head_mm: Float[np.ndarray, "3"]) -> str:
    """Neck, trochanteric or shaft."""
    aside = head_mm - shaft.at(float(shaft.position_mm(head_mm)))
    if (centre_mm - shaft.point_mm) @ aside > NECK_SHARE * (aside @ aside):
        return "neck"
    below_mm = float(shaft.position_mm(head_mm) - shaft.position_mm(centre_mm))
    return "trochanteric" if below_mm < TROCHANTERS_MM else "shaft"


def _with_fragments(bone: Volume) -> tuple[Volume, float]:
    """The largest part and the fragments beside it, and the volume of the largest fragment in cm3."""
    parts, count = ndimage.label(bone.array)
    if count == 1:
        return bone, 0.0
    cm3 = np.bincount(parts.ravel())[1:] * bone.grid.voxel_mm3 / 1000
    is_main = np.arange(count) == cm3.argmax()
    from_main_mm = ndimage.distance_transform_edt(parts != 1 + cm3.argmax(), bone.grid.spacing_mm)
    away_mm = np.array(ndimage.minimum(from_main_mm, parts, np.arange(1, count + 1)))
    is_fragment = (cm3 >= max(MIN_PART_CM3, MIN_PART_SHARE * cm3.sum())) & (away_mm < FRAGMENT_MM) & ~is_main
    kept = np.append(False, is_main | is_fragment)[parts]
    return Volume(kept, bone.grid), float(cm3[is_fragment].max(initial=0.0))
