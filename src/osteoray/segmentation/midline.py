"""Where the patient's middle is, as far as labelled bones tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, HIP, Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.cleaning import MIN_PART_CM3


def centroids_x_mm(bones: Volume) -> dict[Bone, float]:
    """World x of the centroid of every bone that is there; less than 2 cm3 is none.

    Args:
        bones: labels of `Bone`.
    """
    found = {}
    for bone in Bone:
        index = np.argwhere(bones.array == bone)
        if len(index) and len(index) * bones.grid.voxel_mm3 / 1000 >= MIN_PART_CM3:
            found[bone] = float(apply_affine(bones.grid.world_from_index, index.mean(axis=0))[0])
    return found


def midline_x_mm(x_mm: Mapping[Bone, float]) -> float | None:
    """World x midway between the hip bones, else between the femurs, else of the sacrum, else unknown (None).

    Args:
        x_mm: centroids of bones.
    """
    for pair in (HIP, FEMUR):
        if all(bone in x_mm for bone in pair.values()):
            return sum(x_mm[bone] for bone in pair.values()) / 2
    return x_mm.get(Bone.SACRUM)
