"""A leak is a small piece of a mask that hangs on the bone by a bridge, as where a femur runs into its socket."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from osteoray.imaging.volume import Volume

BRIDGE_MM = 3.0
"""A bridge is at most twice as thick as this."""

LEAK_SHARE = 0.1
"""A larger piece may be a head behind a fracture, and stays."""


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
