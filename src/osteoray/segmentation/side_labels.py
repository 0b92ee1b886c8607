"""Labels called left lie on the patient's left: a check of labels that the network's own geometry has not made."""

from __future__ import annotations

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, HIP, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.midline import centroids_x_mm, midline_x_mm


def refuse_wrong_sides(bones: Volume, name: str) -> None:
    """Refuse labels of which a left bone lies right of the patient's middle, or a right bone left of it.

    The middle is `midline_x_mm`. Absent bones, and those of less than 2 cm3, contradict nothing.

    Args:
        bones: labels of `Bone`.
        name: how messages call the labels.

    Raises:
        Withheld: ING-SIDE.
    """
    x_mm = centroids_x_mm(bones)
    middle_mm = midline_x_mm(x_mm)
    if middle_mm is None:
        return
    for side, leftwards in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
        for bone in (HIP[side], FEMUR[side]):
            if bone in x_mm and leftwards * (x_mm[bone] - middle_mm) <= 0:
                detail = f"{name}: expected {bone.name.lower()} on the patient's {side}"
                raise Withheld("ING-SIDE", f"{detail} of x = {middle_mm:.0f} mm, got x = {x_mm[bone]:.0f} mm")
