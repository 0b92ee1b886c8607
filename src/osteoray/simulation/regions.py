"""Regions of a hip DXA in the image plane: total hip and femoral neck by the field's definition (Hologic).

The neck box is 49 mm across the neck and 15 mm along it and touches the greater trochanter; the total hip is all bone
between the box's edge towards the head and a line 10 mm below the lesser trochanter (ISCD DXA atlas: 49 x 15 and 10
pixels of about 1 mm). Trochanter and intertrochanter are what the total hip holds beside the neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

NECK_BOX_MM = (49.0, 15.0)
"""Neck box across and along the neck."""
SHORTEST_BOX_MM = 26.0
"""At a short neck the box is shortened across the neck, as operators do, but never below this."""
HEAD_RADII = 0.75
"""The box stays this many head radii away from the head's centre: there the neck is as wide as what is left of it."""
BELOW_TROCHANTER_MM = 10.0
"""The total hip ends this far below the lower edge of the lesser trochanter."""
BONE_G_CM2 = 0.2
"""A pixel shows bone from this areal density on."""


@dataclass(frozen=True)
class HipLandmarks:
    """Landmarks in the image plane, as (row, column) in mm; rows run down the shaft.

    Attributes:
        head_mm: centre of the head.
        head_radius_mm: its radius.
        neck_mm: centre of the neck's waist.
        trochanter_mm: lower edge of the lesser trochanter.
    """

    head_mm: Float[np.ndarray, "2"]
    head_radius_mm: float
    neck_mm: Float[np.ndarray, "2"]
    trochanter_mm: Float[np.ndarray, "2"]


@dataclass(frozen=True, eq=False)
class HipRegions:
    """Masks of the bone in the regions.

    Attributes:
        total: neck, trochanter and intertrochanter.
        neck: bone in the neck box.
        box_mm: length of the neck box across the neck.
    """

    total: Bool[np.ndarray, "rows columns"]
    neck: Bool[np.ndarray, "rows columns"]
    box_mm: float


def hip_regions(areal_g_cm2: Float[np.ndarray, "rows columns"], pixel_mm: float, landmarks: HipLandmarks) -> HipRegions:
    """Regions on an areal density image of one femur with its shaft upright.

    Args:
        areal_g_cm2: mineral of the femur alone.
        pixel_mm: pixel size; the pixel (0, 0) has its centre at (0, 0) mm.
        landmarks: in that plane.
    """
    bone = bone_mask(areal_g_cm2)
    rows, columns = np.indices(bone.shape) * pixel_mm
    along_mm, across_mm = _neck_coordinates(rows, columns, landmarks)
    near_mm, box_mm = _neck_box(bone, along_mm, across_mm, pixel_mm, landmarks)
    past_head = bone & (along_mm >= near_mm)
    in_box = (along_mm < near_mm + NECK_BOX_MM[1]) & (np.abs(across_mm) <= box_mm / 2)
    above = rows <= landmarks.trochanter_mm[0] + BELOW_TROCHANTER_MM
    return HipRegions(past_head & above, past_head & in_box, box_mm)


def bone_mask(areal_g_cm2: Float[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """The largest patch of pixels that show bone, holes filled.

    Raises:
        ValueError: no pixel shows bone.
    """
    labels, count = ndimage.label(areal_g_cm2 >= BONE_G_CM2)
    if not count:
        raise ValueError(f"areal_g_cm2: expected pixels of at least {BONE_G_CM2}, got {areal_g_cm2.max():.3f} at most")
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return ndimage.binary_fill_holes(labels == largest)


def _neck_coordinates(
    rows_mm: Float[np.ndarray, "rows columns"], columns_mm: Float[np.ndarray, "rows columns"], landmarks: HipLandmarks
) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]]:
    """Distance from the head's centre along the neck axis, and across it, upwards positive."""
    axis = landmarks.neck_mm - landmarks.head_mm
    axis = axis / np.linalg.norm(axis)
    up = np.array([-abs(axis[1]), np.sign(axis[1]) * axis[0]])
    row, column = rows_mm - landmarks.head_mm[0], columns_mm - landmarks.head_mm[1]
    return row * axis[0] + column * axis[1], row * up[0] + column * up[1]


def _neck_box(
    bone: Bool[np.ndarray, "rows columns"],
    along_mm: Float[np.ndarray, "rows columns"],
    across_mm: Float[np.ndarray, "rows columns"],
    pixel_mm: float,
    landmarks: HipLandmarks,
) -> tuple[float, float]:
    """Where the box begins along the neck, and its length across: the longest that fits between head and trochanter."""
    full_mm, depth_mm = NECK_BOX_MM
    behind_head_mm = HEAD_RADII * landmarks.head_radius_mm
    beyond_waist = bone & (along_mm > np.linalg.norm(landmarks.neck_mm - landmarks.head_mm))
    for box_mm in np.arange(full_mm, SHORTEST_BOX_MM, -pixel_mm):
        end = (across_mm <= box_mm / 2) & (across_mm > box_mm / 2 - pixel_mm)
        touched_mm = along_mm[beyond_waist & end].min(initial=np.inf)
        if behind_head_mm + depth_mm <= touched_mm < np.inf:
            return float(touched_mm - depth_mm), float(box_mm)
    return behind_head_mm, full_mm
