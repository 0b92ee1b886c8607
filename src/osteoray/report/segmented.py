"""What is drawn of a segmented patient: volumes, landmarks, outlines, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.volume import Volume

COLOURS = {
    Bone.LEFT_HIP: "#56b4e9",
    Bone.RIGHT_HIP: "#56b4e9",
    Bone.LEFT_FEMUR: "#ff961e",
    Bone.RIGHT_FEMUR: "#5ae646",
    Bone.SACRUM: "#e79fd0",
}
REGION = "#ffe94d"
Z = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class Outlined:
    """A mask whose contour is drawn.

    Attributes:
        mask: 0 and 1, cropped.
        colour: of the line.
        width: of the line in points.
    """

    mask: Volume
    colour: str
    width: float


@dataclass(frozen=True, eq=False)
class Segmented:
    """What is drawn of a patient.

    Attributes:
        ct_hu: CT in Hounsfield units.
        bones: labels of `Bone`.
        region: labels of `PROXIMAL_FEMUR`.
        uncertainty: predictive variance; None where the bones were provided.
        femurs: landmarks of `femur.json` by side.
    """

    ct_hu: Volume
    bones: Volume
    region: Volume
    uncertainty: Volume | None
    femurs: Mapping[str, Mapping]

    @cached_property
    def outlined(self) -> list[Outlined]:
        """Every bone and region with its contour's style."""
        return _outlined(self)

    @property
    def top_mm(self) -> float:
        """How high the CT reaches."""
        last = np.array(self.ct_hu.array.shape) - 1
        return float(apply_affine(self.ct_hu.grid.world_from_index, np.array([np.zeros(3), last]))[:, 2].max())


def focus(seen: Segmented) -> dict[Side, Float[np.ndarray, "2 3"]]:
    """Head centre and lesser trochanter of each femur that can be seen; guessed from its mask without landmarks."""
    places = {}
    for side in Side:
        if side.value in seen.femurs:
            femur = seen.femurs[side.value]
            places[side] = np.array([femur["head_centre_mm"], femur["lesser_trochanter_tip_mm"]])
            continue
        index = np.argwhere(seen.bones.array == FEMUR[side])
        if len(index):
            points_mm = apply_affine(seen.bones.grid.world_from_index, index[::7].astype(float))
            upper = points_mm[points_mm[:, 2] > points_mm[:, 2].max() - 45.0].mean(axis=0)
            places[side] = np.array([upper, upper - 65.0 * Z])
    if not places:
        middle = seen.bones.grid.centre_mm
        places = {Side.LEFT: np.array([middle, middle - 65.0 * Z])}
    return places


def _outlined(seen: Segmented) -> list[Outlined]:
    """What gets a contour; bones over regions, so that of a region its cuts are seen."""
    regions = dict.fromkeys(PROXIMAL_FEMUR.values(), (REGION, 0.9))
    bones = {int(bone): (COLOURS[bone], 1.1) for bone in Bone}
    found = []
    for volume, styles in ((seen.region, regions), (seen.bones, bones)):
        for label, box in enumerate(ndimage.find_objects(volume.array), start=1):
            if box is not None and label in styles:
                mask = np.pad((volume.array[box] == label).astype(np.float32), 1)
                start = tuple(axis.start - 1 for axis in box)
                found.append(Outlined(Volume(mask, volume.grid.crop(start, mask.shape)), *styles[label]))
    return found
