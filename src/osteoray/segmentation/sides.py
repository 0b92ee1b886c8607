"""Left and right: the mid-sagittal plane of the pelvis splits the classes of the network into the bones of a body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume

MIN_PART_CM3 = 2.0
"""Smaller separate parts are not bones."""


class BoneClass(IntEnum):
    """What the network tells apart; sides follow from geometry."""

    BACKGROUND = 0
    HIP = 1
    FEMUR = 2
    SACRUM = 3


CLASS_OF_BONE = {
    Bone.LEFT_HIP: BoneClass.HIP,
    Bone.RIGHT_HIP: BoneClass.HIP,
    Bone.LEFT_FEMUR: BoneClass.FEMUR,
    Bone.RIGHT_FEMUR: BoneClass.FEMUR,
    Bone.SACRUM: BoneClass.SACRUM,
}


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
    end up closer than 90 mm, both are parts of one side and the plane passes through the sacrum instead.

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
    sacrum = np.argwhere(classes.array == BoneClass.SACRUM)
    middle = apply_affine(grid.world_from_index, sacrum.mean(axis=0)) if len(sacrum) else grid.centre_mm
    fallback = SagittalPlane(middle, np.array([1.0, 0.0, 0.0]))
    low, high = points_mm[:, 0].min(), points_mm[:, 0].max()
    plane = SagittalPlane(np.array([(low + high) / 2, middle[1], middle[2]]), fallback.leftwards)
    for _ in range(10):
        is_left = plane.left_mm(points_mm) > 0
        if is_left.all() or not is_left.any():
            return fallback
        left, right = points_mm[is_left].mean(axis=0), points_mm[~is_left].mean(axis=0)
        if np.linalg.norm(left - right) < 90.0:
            return fallback
        plane = SagittalPlane((left + right) / 2, (left - right) / np.linalg.norm(left - right))
    return plane


def bones_of_classes(classes: Volume) -> UInt8[np.ndarray, "k j i"]:
    """Split classes at the sagittal plane, keep the largest part of each bone, and fill its holes.

    A separate part of a paired bone belongs to the side where its centroid lies; a part that reaches 30 mm or more
    to both sides (hip bones joined at the symphysis) is cut at the plane.

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
    # Femurs first: where a socket surrounds a head, the head is no hole of the hip bone.
    pairs = {BoneClass.FEMUR: (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR), BoneClass.HIP: (Bone.LEFT_HIP, Bone.RIGHT_HIP)}
    for bone_class, (left, right) in pairs.items():
        is_left, is_right = _split(classes, bone_class, plane, min_voxels)
        _paint(bones, is_left, left, min_voxels)
        _paint(bones, is_right, right, min_voxels)
    _paint(bones, classes.array == BoneClass.SACRUM, Bone.SACRUM, min_voxels)
    return bones


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


def _paint(bones: UInt8[np.ndarray, "k j i"], mask: Bool[np.ndarray, "k j i"], bone: Bone, min_voxels: float) -> None:
    """Write the largest part of a mask, its holes filled, into free voxels of the label volume."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < min_voxels:
        return
    box = ndimage.find_objects(parts)[int(sizes.argmax())]
    part = parts[box] == 1 + sizes.argmax()
    if bone in (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR):
        # Layer by layer, because the last layer of the scan leaves the marrow cavity open.
        part = np.stack([ndimage.binary_fill_holes(layer) for layer in part])
    else:
        # In space, because a layer closes the sacral canal and the foramina, which are no bone.
        part = ndimage.binary_fill_holes(part)
    target = bones[box]
    target[part & (target == 0)] = bone
