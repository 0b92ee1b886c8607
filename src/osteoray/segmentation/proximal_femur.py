"""The proximal femur: the femur without its head, down to a cut below the lesser trochanter (Uemura 2022)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import FemurGeometry


def proximal_femur(
    mask: Volume, femur: FemurGeometry, distal_cut_mm: float, head_cut_radii: float
) -> Bool[np.ndarray, "k j i"]:
    """Voxels of the femur between the head-neck cut and the distal cut.

    The head-neck cut is the plane orthogonal to the neck axis, `head_cut_radii` head radii from the head's centre
    towards the neck: where a neck two thirds as wide as the head meets the sphere. It stands for Uemura's plane through
    four points of the ring where the neck leaves the head, which is not plane and less reproducible. The distal cut is
    the plane orthogonal to the shaft axis, `distal_cut_mm` below the lesser trochanter's lower edge.

    Args:
        mask: voxels of the femur, best cropped to them.
        femur: its geometry.
        distal_cut_mm: length of shaft that belongs to the region.
        head_cut_radii: position of the head-neck cut.
    """
    index = np.argwhere(mask.array)
    points_mm = apply_affine(mask.grid.world_from_index, index.astype(float))
    along_neck_mm = (femur.head.centre_mm - points_mm) @ femur.neck.axis
    edge_mm = femur.shaft.position_mm(femur.lesser_trochanter.lower_edge_mm)
    along_shaft_mm = femur.shaft.position_mm(points_mm) - edge_mm
    kept = (along_neck_mm >= head_cut_radii * femur.head.radius_mm) & (along_shaft_mm >= -distal_cut_mm)
    region = np.zeros(mask.array.shape, bool)
    region[tuple(index[kept].T)] = True
    return largest_part(region)


def largest_part(mask: Bool[np.ndarray, "k j i"]) -> Bool[np.ndarray, "k j i"]:
    """The largest connected part of a mask."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
