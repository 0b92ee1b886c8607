"""Labels that hold every class of bone: what is left out would be learned as background."""

from __future__ import annotations

import numpy as np

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, HIP, Bone, Side
from osteoray.imaging.volume import Volume

LEAST_CM3 = 1.0
"""Less is a stray stroke; the lower end of a sacrum may be all that a scan of the hips holds of it."""


def refuse_incomplete(bones: Volume) -> None:
    """Refuse labels without hip bone and femur of the same side, or without sacrum.

    Args:
        bones: labels of `Bone`.

    Raises:
        Withheld: SEG-LABELS.
    """
    counts = np.bincount(bones.array.ravel(), minlength=len(Bone) + 1)
    labelled = {bone for bone in Bone if counts[bone] * bones.grid.voxel_mm3 >= LEAST_CM3 * 1000}
    if Bone.SACRUM in labelled and any({HIP[side], FEMUR[side]} <= labelled for side in Side):
        return
    found = ", ".join(bone.name.lower() for bone in Bone if bone in labelled) or "no bone"
    raise Withheld("SEG-LABELS", f"bone_labels: expected sacrum, hip bone and femur of a side, got {found}")
