"""A leak is a piece of another bone that hangs on a mask by a bridge, as where a femur runs into its socket or a hip
bone into the lowest vertebra."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.imaging.volume import Volume

BRIDGE_MM = 3.0
"""A bridge is at most twice as thick as this."""

LEAK_SHARE = 0.1
"""A larger piece may be a head behind a fracture, and stays."""

SPINE_MM = 20.0
"""Behind its middle no hip bone comes so near to the mid-sagittal plane (26 mm in the narrowest of 37 virtual patients,
seven of them made from label maps of two real pelves); vertebrae do."""

WING_MM = 50.0
"""What lies beyond this from the plane is hip bone."""

WORN_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""What is worn off, in turn, until no piece is both."""


def without_leaks(mask: Volume) -> Bool[np.ndarray, "k j i"]:
    """The mask without pieces that come apart from the rest when its surface is worn off.

    Pieces are what remains of the mask after an erosion; every voxel belongs to the nearest piece.

    Args:
        mask: voxels of one bone, marrow included or not.
    """
    boxes = ndimage.find_objects(mask.array.astype(np.uint8))
    if not boxes:
        return mask.array
    box = boxes[0]
    cores, _ = ndimage.label(_core(mask.array[box], mask))
    sizes = np.bincount(cores.ravel(), minlength=2)[1:]
    leaks = 1 + np.flatnonzero(sizes < LEAK_SHARE * sizes.max())
    if not leaks.size:
        return mask.array
    nearest = ndimage.distance_transform_edt(
        cores == 0, mask.grid.spacing_mm, return_distances=False, return_indices=True
    )
    kept = mask.array.copy()
    kept[box] &= ~np.isin(cores, leaks)[tuple(nearest)]
    return kept


def _core(inside: Bool[np.ndarray, "k j i"], mask: Volume) -> Bool[np.ndarray, "k j i"]:
    """What wearing off about `BRIDGE_MM` leaves; a bone that leaves the scan goes on beyond it."""
    steps = np.rint(BRIDGE_MM / mask.grid.spacing_mm).astype(int)
    # Layer by layer, as the bone itself: an open marrow cavity would wear away.
    solid = np.pad(np.stack([ndimage.binary_fill_holes(layer) for layer in inside]), ((0, 0), (1, 1), (1, 1)))
    in_plane, along = np.zeros((3, 3, 3), bool), np.zeros((3, 3, 3), bool)
    in_plane[1, 1, :] = in_plane[1, :, 1] = along[:, 1, 1] = True
    for structure, count in ((in_plane, steps[1:].max()), (along, steps[0])):
        if count:
            solid = ndimage.binary_erosion(solid, structure, iterations=int(count), border_value=1)
    return solid[:, 1:-1, 1:-1]


def without_spine(
    hip: Bool[np.ndarray, "k j i"], distance_mm: Float[np.ndarray, "k j i"], voxel_mm: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "k j i"]:
    """What is left of a hip bone without the spine that it took along.

    The surface is worn off until no piece is near the plane and far out at once. Every voxel belongs to the nearest
    piece; those near the plane go with theirs.

    Args:
        hip: the part of one hip bone's mask behind its middle.
        distance_mm: of each voxel from the mid-sagittal plane, positive on the hip bone's side.
        voxel_mm: voxel sizes along k, j and i.
    """
    near, far = distance_mm < SPINE_MM, distance_mm > WING_MM
    depth_mm = ndimage.distance_transform_edt(np.pad(hip, 1), voxel_mm)[1:-1, 1:-1, 1:-1]
    for worn_mm in WORN_MM:
        pieces, count = ndimage.label(depth_mm > worn_mm)
        is_spine, is_wing = (np.bincount(pieces[zone], minlength=count + 1) > 0 for zone in (near, far))
        is_spine[0] = is_wing[0] = False
        if not (is_spine & is_wing).any():
            break
    if not is_wing.any():
        return hip & ~near
    nearest = ndimage.distance_transform_edt(pieces == 0, voxel_mm, return_distances=False, return_indices=True)
    return hip & ~is_spine[pieces][tuple(nearest)] & ~near
