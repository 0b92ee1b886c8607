"""A virtual DXA of the hip: areal density of total hip and femoral neck, true and as the scanner reports it.

The femur is placed as the technologist aims at: turned inwards until the neck lies in the plane of the image, shaft
straight. A dual-energy scan separates mineral from soft tissue, so it reads the true hydroxyapatite of the whole
femur, marrow fat or not; pelvis and ischium are taken as excluded by the operator. What repositioning and noise do is
the precision error, a coefficient of variation (ISCD's limit for the total hip: 1.8 %, Lewiecki 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.imaging.bones import Side
from osteoray.simulation.body import Body, FemurTruth
from osteoray.simulation.parts import FEMUR_CHANNELS, BodyParts, Part
from osteoray.simulation.raycast import cast
from osteoray.simulation.regions import HipLandmarks, HipRegions, hip_regions
from osteoray.simulation.truth import PIXEL_MM, neutral_camera

DXA_PIXEL_MM = 1.0
"""Size of an image pixel, of about that of Hologic scanners; every pixel averages the rays inside it."""


@dataclass(frozen=True, eq=False)
class HipScan:
    """One hip in the scanner, without its precision error.

    Attributes:
        areal_g_cm2: mineral of the femur, 1 mm pixels, patient's left on the right.
        regions: masks on that image.
        internal_rotation_deg: how far the femur is turned inwards from the pose of the CT.
    """

    areal_g_cm2: Float[np.ndarray, "rows columns"]
    regions: HipRegions
    internal_rotation_deg: float

    @property
    def total_g_cm2(self) -> float:
        """Areal density of the total hip: mineral over area."""
        return float(self.areal_g_cm2[self.regions.total].mean())

    @property
    def neck_g_cm2(self) -> float:
        """Areal density of the femoral neck."""
        return float(self.areal_g_cm2[self.regions.neck].mean())


def scan_hip(femur: FemurTruth, side: Side, bone: Part) -> HipScan:
    """Scan one hip.

    Args:
        femur: its landmarks.
        side: which hip.
        bone: the femur as `BodyParts.femur` holds it.
    """
    fine = neutral_camera(femur)
    binning = round(DXA_PIXEL_MM / PIXEL_MM)
    rows, columns = (n // binning for n in fine.shape)
    mineral = FEMUR_CHANNELS.index("hydroxyapatite")
    g_cm3_mm = cast(bone.channels[..., mineral : mineral + 1], bone.grid, fine)[..., 0]
    areal_g_cm2 = g_cm3_mm.reshape(rows, binning, columns, binning).mean(axis=(1, 3)) / 10.0
    camera = fine.resized((rows, columns))
    head, neck, trochanter = (
        camera.project(point) * DXA_PIXEL_MM
        for point in (femur.head_centre_mm, femur.neck_centre_mm, femur.lesser_trochanter_mm)
    )
    landmarks = HipLandmarks(head, femur.head_radius_mm, neck, trochanter)
    return HipScan(areal_g_cm2, hip_regions(areal_g_cm2, DXA_PIXEL_MM, landmarks), internal_rotation_deg(femur, side))


def internal_rotation_deg(femur: FemurTruth, side: Side) -> float:
    """Turn about the shaft, inwards positive, that brings the neck from the pose of the CT into the coronal plane."""
    across = femur.neck_axis - (femur.neck_axis @ femur.shaft_axis) * femur.shaft_axis
    medial = -across[0] if side == Side.LEFT else across[0]
    return float(np.degrees(np.arctan2(-across[1], medial)))


def dxa_facts(body: Body, parts: BodyParts, cv_percent: float, rng: np.random.Generator) -> dict[str, dict]:
    """What DXA reports of both hips, as JSON values.

    Args:
        body: the patient.
        parts: the body taken apart.
        cv_percent: precision error; every site and side has a draw of its own.
        rng: its source.
    """
    facts = {}
    for side in Side:
        scan = scan_hip(body.femurs[side], side, parts.femur[side])
        total_error, neck_error = (1.0 + cv_percent / 100.0 * rng.standard_normal(2)).tolist()
        pixel_cm2 = (DXA_PIXEL_MM / 10.0) ** 2
        facts[str(side)] = {
            "total_hip_g_cm2": scan.total_g_cm2 * total_error,
            "neck_g_cm2": scan.neck_g_cm2 * neck_error,
            "total_hip_true_g_cm2": scan.total_g_cm2,
            "neck_true_g_cm2": scan.neck_g_cm2,
            "total_hip_area_cm2": float(scan.regions.total.sum()) * pixel_cm2,
            "neck_area_cm2": float(scan.regions.neck.sum()) * pixel_cm2,
            "neck_box_mm": scan.regions.box_mm,
            "internal_rotation_deg": scan.internal_rotation_deg,
        }
    return facts
