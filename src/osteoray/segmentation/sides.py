"""Left and right: the mid-sagittal plane of the pelvis splits the classes of the network into the bones of a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.bone_classes import CLASS_OF_BONE, BoneClass
from osteoray.segmentation.cleaning import MIN_PART_CM3, paint_parts
from osteoray.segmentation.leaks import SPINE_MM, without_leaks, without_spine

LEFTWARDS = np.array([1.0, 0.0, 0.0])
"""The patient's left in LPS."""
UPWARDS = np.array([0.0, 0.0, 1.0])
"""Towards the head in LPS."""
LIKE_SHARE = 0.6
"""Least volume of one hip bone, of the other's, for a plane midway between them: whole bones differ less."""


@dataclass(frozen=True, eq=False)
class SagittalPlane:
    """The plane of symmetry of the pelvis.

    Attributes:
        point_mm: a point on it.
        leftwards: unit normal that points to the patient's left.
    """

    point_mm: Float[np.ndarray, 3]
    leftwards: Float[np.ndarray, 3]

    def left_mm(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Distance of points from the plane, positive to the left."""
        return (points_mm - self.point_mm) @ self.leftwards


def sagittal_plane(classes: Volume) -> SagittalPlane:
    """Plane midway between the centroids of the left and right halves of hip bones and femurs.

    Halves and plane are updated in turn (two-means along the plane's normal) from the plane x = centre. If the halves
    end up closer than 90 mm from left to right, both are parts of one side. The plane then passes through the sacrum
    or, without one, medial of all that bone: the femur lies lateral of its hip bone. A lone bone without a sacrum is
    of the half of the scan that it lies in.

    Args:
        classes: labels of `BoneClass`.

    Raises:
        ValueError: there is neither a hip bone nor a femur.
    """
    grid = classes.grid
    paired = np.isin(classes.array, (BoneClass.HIP, BoneClass.FEMUR))
    if not paired.any():
        raise ValueError("classes: expected a hip bone or a femur, got none")
    points_mm = apply_affine(grid.world_from_index, np.argwhere(paired)[::5].astype(float))
    low, high = points_mm.min(axis=0), points_mm.max(axis=0)
    plane = SagittalPlane((low + high) / 2, LEFTWARDS)
    for _ in range(10):
        is_left = plane.left_mm(points_mm) > 0
        if is_left.all() or not is_left.any():
            return _plane_of_one_side(classes)
        left, right = points_mm[is_left].mean(axis=0), points_mm[~is_left].mean(axis=0)
        # From left to right, because half a femur is far below half a hip bone.
        if abs((left - right) @ LEFTWARDS) < 90.0:
            return _plane_of_one_side(classes)
        plane = SagittalPlane((left + right) / 2, (left - right) / np.linalg.norm(left - right))
    return plane


def _plane_of_one_side(classes: Volume) -> SagittalPlane:
    """Plane through the sacrum, else medial of all bone, which is then of the side that femur and hip bone tell."""
    points_mm = {
        bone_class: apply_affine(classes.grid.world_from_index, np.argwhere(classes.array == bone_class).astype(float))
        for bone_class in (BoneClass.SACRUM, BoneClass.HIP, BoneClass.FEMUR)
    }
    sacrum, hip, femur = points_mm.values()
    if len(sacrum):
        return SagittalPlane(sacrum.mean(axis=0), LEFTWARDS)
    bone = np.concatenate([hip, femur])
    medial = hip.mean(axis=0) if len(hip) and len(femur) else classes.grid.centre_mm
    lateral = femur.mean(axis=0) if len(hip) and len(femur) else bone.mean(axis=0)
    is_left = (lateral - medial) @ LEFTWARDS > 0
    return SagittalPlane(bone.min(axis=0) if is_left else bone.max(axis=0), LEFTWARDS)


def bones_of_classes(classes: Volume) -> UInt8[np.ndarray, "k j i"]:
    """Split classes at the sagittal plane, take leaks away from femurs and hip bones, and fill holes.

    Every part of 2 cm3 or more stays: that bones come in pieces must be seen before `cleaned` keeps the largest. A
    separate part of a paired bone belongs to the side where its centroid lies; a part that reaches 30 mm or more to
    both sides (hip bones joined at the symphysis) is cut at the plane.

    Args:
        classes: labels of `BoneClass`.

    Returns:
        Labels of `Bone`.
    """
    bones = np.zeros(classes.array.shape, np.uint8)
    if not np.isin(classes.array, (BoneClass.HIP, BoneClass.FEMUR)).any():
        return bones
    plane = sagittal_plane(classes)
    min_voxels = MIN_PART_CM3 * 1000 / classes.grid.voxel_mm3
    femurs, hips = (_split(classes, kind, plane, min_voxels) for kind in (BoneClass.FEMUR, BoneClass.HIP))
    # Femurs first: where a socket surrounds a head, the head is no hole of the hip bone.
    for half, bone in zip(femurs, (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR), strict=True):
        paint_parts(bones, _without_leaks(half, classes), bone, min_voxels)
    middle = _plane_between(*hips, classes.grid)
    for half, bone, leftwards in zip(hips, (Bone.LEFT_HIP, Bone.RIGHT_HIP), (1, -1), strict=True):
        whole = half if middle is None else _without_spine(half, classes.grid, middle, leftwards)
        paint_parts(bones, whole, bone, min_voxels)
    paint_parts(bones, classes.array == BoneClass.SACRUM, Bone.SACRUM, min_voxels)
    return bones


def taken_cm3(classes: Volume, bones: UInt8[np.ndarray, "k j i"]) -> dict[str, float]:
    """What `bones_of_classes` took away from every class (leaks, vertebrae, crumbs), by lower-case name.

    Args:
        classes: labels of `BoneClass`.
        bones: labels of `Bone` made from them.
    """
    class_of_label = np.array([BoneClass.BACKGROUND, *(CLASS_OF_BONE[bone] for bone in Bone)], np.uint8)
    lost = np.bincount(classes.array[classes.array != class_of_label[bones]], minlength=len(BoneClass))
    return {kind.name.lower(): float(lost[kind] * classes.grid.voxel_mm3 / 1000) for kind in BoneClass if kind}


def _without_leaks(mask: Bool[np.ndarray, "k j i"], classes: Volume) -> Bool[np.ndarray, "k j i"]:
    """Every part without its own leaks; a part that hangs on nothing is no leak."""
    parts, count = ndimage.label(mask)
    kept = np.zeros_like(mask)
    for number in range(1, count + 1):
        kept |= without_leaks(Volume(parts == number, classes.grid))
    return kept


def _plane_between(
    left: Bool[np.ndarray, "k j i"], right: Bool[np.ndarray, "k j i"], grid: VoxelGrid
) -> SagittalPlane | None:
    """Plane midway between the hip bones alone, if both are there: a missing femur must not tilt it."""
    smaller, larger = sorted(map(np.count_nonzero, (left, right)))
    if smaller < LIKE_SHARE * larger or not smaller:
        return None
    on_left, on_right = (apply_affine(grid.world_from_index, np.argwhere(half).mean(axis=0)) for half in (left, right))
    return SagittalPlane((on_left + on_right) / 2, (on_left - on_right) / np.linalg.norm(on_left - on_right))


def _without_spine(
    hip: Bool[np.ndarray, "k j i"], grid: VoxelGrid, plane: SagittalPlane, leftwards: int
) -> Bool[np.ndarray, "k j i"]:
    """A hip bone without the vertebra that it runs into behind its middle; the symphysis, in front, is left alone."""
    points_mm = apply_affine(grid.world_from_index, np.argwhere(hip).astype(float))
    if not len(points_mm):
        return hip
    backwards = np.cross(UPWARDS, plane.leftwards)
    middle_mm = float((points_mm @ backwards).mean())
    behind_mm = points_mm[points_mm @ backwards > middle_mm]
    if not (leftwards * plane.left_mm(behind_mm) < SPINE_MM).any():
        return hip
    box = ndimage.find_objects(hip.astype(np.uint8))[0]
    box_mm = grid.crop(tuple(axis.start for axis in box), hip[box].shape).coordinates_mm()
    part = hip[box] & (box_mm @ backwards > middle_mm)
    kept = hip.copy()
    kept[box] &= ~part | without_spine(part, leftwards * plane.left_mm(box_mm), grid.spacing_mm)
    return kept


def _split(
    classes: Volume, bone_class: BoneClass, plane: SagittalPlane, min_voxels: float
) -> tuple[Bool[np.ndarray, "k j i"], Bool[np.ndarray, "k j i"]]:
    """Left and right voxels of a class."""
    parts, _ = ndimage.label(classes.array == bone_class)
    is_left, is_right = np.zeros(parts.shape, bool), np.zeros(parts.shape, bool)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        index = np.argwhere(parts[box] == number) + [axis.start for axis in box]
        if len(index) < min_voxels:
            continue
        left_mm = plane.left_mm(apply_affine(classes.grid.world_from_index, index.astype(float)))
        if left_mm.min() < -30.0 and left_mm.max() > 30.0:
            on_left = left_mm > 0
        else:
            on_left = np.full(len(index), left_mm.mean() > 0)
        is_left[tuple(index[on_left].T)] = True
        is_right[tuple(index[~on_left].T)] = True
    return is_left, is_right
