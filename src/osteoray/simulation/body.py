"""A virtual body: what every voxel is made of, which bone it belongs to, and the true landmarks of both femurs."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float, Float32, UInt8

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side

ADIPOSE_G_CM3 = 0.92
"""Mass density of fat: subcutaneous and yellow marrow (lipid 0.92; with its water ICRU Report 44 gives 0.95)."""

LEAN_G_CM3 = 1.05
"""Mass density of pure lean tissue: muscle, organs, skin, red marrow, bone collagen (ICRU Report 44)."""

HYDROXYAPATITE_G_CM3 = 3.16
"""Mass density of pure hydroxyapatite."""

DISTAL_CUT_MM = 20.0
"""The proximal femur ends this far below the lower edge of the lesser trochanter, along the shaft axis."""


@dataclass(frozen=True, eq=False)
class FemurTruth:
    """True landmarks of one femur in the pose of the CT, LPS millimetres.

    Attributes:
        head_centre_mm: centre of the femoral head sphere.
        head_radius_mm: radius of the bony head.
        neck_axis: unit vector from neck to head.
        neck_centre_mm: centre of the neck's waist; the head-neck cut passes between it and the head.
        shaft_axis: unit vector along the shaft that points proximally.
        shaft_point_mm: a point on the shaft axis, below the lesser trochanter.
        lesser_trochanter_mm: lower edge of the lesser trochanter.
        neck_shaft_angle_deg: angle between the neck axis and the distal shaft direction.
        anteversion_deg: anatomical anteversion of the neck; None where the condyles are unknown.
        femoral_offset_mm: distance of the head's centre from the shaft axis.
        neck_length_mm: from the head's centre along the neck axis to the point nearest to the shaft axis.
    """

    head_centre_mm: Float[np.ndarray, "3"]
    head_radius_mm: float
    neck_axis: Float[np.ndarray, "3"]
    neck_centre_mm: Float[np.ndarray, "3"]
    shaft_axis: Float[np.ndarray, "3"]
    shaft_point_mm: Float[np.ndarray, "3"]
    lesser_trochanter_mm: Float[np.ndarray, "3"]
    neck_shaft_angle_deg: float
    anteversion_deg: float | None
    femoral_offset_mm: float = nan
    neck_length_mm: float = nan

    def __post_init__(self) -> None:
        """Derive the lengths from the landmarks, whatever was given."""
        to_head = self.head_centre_mm - self.shaft_point_mm
        along_shaft, along_neck = float(to_head @ self.shaft_axis), float(to_head @ self.neck_axis)
        cosine = float(self.neck_axis @ self.shaft_axis)
        lateral = to_head - along_shaft * self.shaft_axis
        object.__setattr__(self, "femoral_offset_mm", float(np.linalg.norm(lateral)))
        # Nearest points of two lines (Ericson 2005, section 5.1.8).
        length = (along_neck - cosine * along_shaft) / max(1.0 - cosine**2, 1e-6)
        object.__setattr__(self, "neck_length_mm", length)


@dataclass(frozen=True, eq=False)
class Body:
    """Composition, bones and landmarks of a virtual patient, supine, on an axial LPS grid.

    Adipose, lean and mineral volumes (mass over pure density) fill every voxel inside the body; air is all zero.

    Attributes:
        grid: the voxels of every array.
        bones: labels of `osteoray.imaging.bones.Bone`; vertebrae are 0.
        ha_mg_cm3: true hydroxyapatite mass per volume, with partial volume at bone surfaces.
        adipose_g_cm3: mass of adipose tissue per volume.
        lean_g_cm3: mass of lean tissue per volume.
        femurs: true landmarks per side.
        proximal_femur: 1 left, 2 right (`PROXIMAL_FEMUR`): femur between the head-neck cut and the distal cut.
        description: drawn parameters by name, units in the names.
    """

    grid: VoxelGrid
    bones: UInt8[np.ndarray, "k j i"]
    ha_mg_cm3: Float32[np.ndarray, "k j i"]
    adipose_g_cm3: Float32[np.ndarray, "k j i"]
    lean_g_cm3: Float32[np.ndarray, "k j i"]
    femurs: dict[Side, FemurTruth]
    proximal_femur: UInt8[np.ndarray, "k j i"]
    description: dict[str, float | str]
