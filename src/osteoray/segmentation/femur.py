"""Landmarks and axes of a femur, found on its mask (the frame of Uemura 2022, corrected for flexion)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.condyles import anteversion_deg
from osteoray.segmentation.neck import Neck, find_neck
from osteoray.segmentation.orientation import femur_orientation
from osteoray.segmentation.shaft import Axis, lower_end_mm, refine_shaft, rough_shaft
from osteoray.segmentation.sphere import ROUND_MM, Sphere, fit_head, touching
from osteoray.segmentation.surface import BoneSurface
from osteoray.segmentation.trochanter import LesserTrochanter, find_lesser_trochanter

HEAD_RADIUS_MM = (17.0, 32.0)
NECK_SHAFT_ANGLE_DEG = (105.0, 155.0)
HEAD_TO_NECK_MM = (8.0, 60.0)
MAX_HEAD_RESIDUAL_MM = 1.2
MIN_HEAD_COVERAGE = 0.6
ROUND_HEAD_COVERAGE = 0.85
"""Healthy heads are round all over but for the fovea; below this share a look at them is asked for."""

MIN_LENGTH_RADII = 4.0

PROXIMAL_MM = 220.0
"""Height of the part of a femur, from its top, in which head, neck and shaft are looked for."""

SHAFT_FROM_MM, SHAFT_TO_MM = 20.0, 80.0
"""The shaft axis is fitted between these distances below the lesser trochanter (Uemura 2022: from 20 to 50)."""

MIN_SHAFT_MM = 20.0
"""The shortest shaft that an axis is fitted to once the lesser trochanter is known."""


@dataclass(frozen=True, eq=False)
class FemurGeometry:
    """Where a femur is and how it is turned, LPS millimetres.

    Attributes:
        side: side of the patient.
        head: sphere of the head.
        neck: axis and waist of the neck.
        shaft: axis of the shaft; its point lies `LesserTrochanter.lower_edge_mm` deep.
        lesser_trochanter: the bump.
        shaft_below_mm: length of complete femur below the lesser trochanter's lower edge, as far as it is looked at.
        anteversion_deg: of the neck against the back of the condyles; None where the scan does not show them.
    """

    side: Side
    head: Sphere
    neck: Neck
    shaft: Axis
    lesser_trochanter: LesserTrochanter
    shaft_below_mm: float
    anteversion_deg: float | None

    @property
    def neck_shaft_angle_deg(self) -> float:
        """Angle between the neck (towards the head) and the shaft (towards the knee)."""
        return float(np.degrees(np.arccos(np.clip(-self.neck.axis @ self.shaft.direction, -1, 1))))

    @property
    def head_above_trochanter_mm(self) -> float:
        """Height of the head's centre over the lesser trochanter's lower edge, along the shaft."""
        ends_mm = np.stack([self.lesser_trochanter.lower_edge_mm, self.head.centre_mm])
        return float(np.diff(self.shaft.position_mm(ends_mm))[0])

    @property
    def femoral_offset_mm(self) -> float:
        """Distance of the head's centre from the shaft axis."""
        foot_mm = self.shaft.at(float(self.shaft.position_mm(self.head.centre_mm)))
        return float(np.linalg.norm(self.head.centre_mm - foot_mm))

    def findings(self) -> list[Finding]:
        """A warning if the head is hardly a sphere."""
        if self.head.coverage >= ROUND_HEAD_COVERAGE:
            return []
        detail = f"expected {ROUND_HEAD_COVERAGE:.0%} of the head within {ROUND_MM:g} mm of a sphere, "
        return [Finding("SEG-SPHERE", f"{detail}got {self.head.coverage:.0%}", side=self.side.value)]

    def facts(self) -> dict:
        """JSON values for `femur.json`."""
        medial, posterior, _ = femur_frame(self.neck.axis, self.shaft.direction, self.side)
        lies = femur_orientation(self.neck.axis, self.shaft.direction, self.side)
        return {
            "head_centre_mm": self.head.centre_mm.tolist(),
            "head_radius_mm": self.head.radius_mm,
            "head_residual_mm": self.head.residual_mm,
            "head_coverage": self.head.coverage,
            "neck_axis": self.neck.axis.tolist(),
            "neck_centre_mm": self.neck.centre_mm.tolist(),
            "neck_area_mm2": self.neck.area_mm2,
            "shaft_axis": self.shaft.direction.tolist(),
            "shaft_point_mm": self.shaft.point_mm.tolist(),
            "lesser_trochanter_mm": self.lesser_trochanter.lower_edge_mm.tolist(),
            "lesser_trochanter_tip_mm": self.lesser_trochanter.tip_mm.tolist(),
            "lesser_trochanter_height_mm": self.lesser_trochanter.height_mm,
            "shaft_below_mm": self.shaft_below_mm,
            "medial_axis": medial.tolist(),
            "posterior_axis": posterior.tolist(),
            "neck_shaft_angle_deg": self.neck_shaft_angle_deg,
            "femoral_offset_mm": self.femoral_offset_mm,
            "head_above_trochanter_mm": self.head_above_trochanter_mm,
            "anteversion_deg": self.anteversion_deg,
            "flexion_deg": lies.flexion,
            "abduction_deg": lies.abduction,
            "rotation_deg": lies.rotation,
        }


def femur_frame(
    neck_axis: Float[np.ndarray, 3], shaft_axis: Float[np.ndarray, 3], side: Side
) -> Float[np.ndarray, "3 3"]:
    """Orthonormal rows: medial, posterior (normal of the neck-shaft plane), proximal."""
    medial = neck_axis - (neck_axis @ shaft_axis) * shaft_axis
    medial /= np.linalg.norm(medial)
    posterior = np.cross(shaft_axis, medial) * (1.0 if side is Side.RIGHT else -1.0)
    return np.stack([medial, posterior, shaft_axis])


def locate_femur(mask: Volume, side: Side, distal_cut_mm: float, hip: Volume | None = None) -> FemurGeometry:
    """Find head, neck, shaft and lesser trochanter of one femur.

    Args:
        mask: the voxels of one femur, with or without the part below the lesser trochanter.
        side: side of the patient.
        distal_cut_mm: how much femur below the lesser trochanter must be in the scan.
        hip: mask of the hip bone of the same side, if known; where it touches the head, the head is not looked for.

    Raises:
        Withheld: SEG-LANDMARK if a landmark is undefined or implausible, SEG-CROPPED if the femur ends too early.
    """
    try:
        return _checked(_locate(mask, side, hip), distal_cut_mm)
    except ValueError as error:
        raise Withheld("SEG-LANDMARK", str(error), side=side.value) from error


def locate_head(mask: Volume, side: Side, hip: Volume | None = None) -> Sphere:
    """Find the head of one femur alone; the rest of it may lack landmarks.

    Args:
        mask: the voxels of one femur.
        side: side of the patient.
        hip: mask of the hip bone of the same side, if known.

    Raises:
        Withheld: SEG-LANDMARK if there is no plausible head.
    """
    try:
        surface = BoneSurface.of(_proximal_part(mask))
        head = _head(surface, rough_shaft(surface.voxels()), side, hip)
        _refuse_implausible(*_of_head(head))
    except ValueError as error:
        raise Withheld("SEG-LANDMARK", str(error), side=side.value) from error
    return head


def _head(surface: BoneSurface, shaft: Axis, side: Side, hip: Volume | None) -> Sphere:
    start_mm, start_radius_mm = _deepest_medial_point(surface, shaft, side)
    meeting_mm = shaft.at(float(shaft.position_mm(start_mm)) - 30.0)
    points_mm = surface.points()
    is_touching = None if hip is None else touching(points_mm, hip, start_mm, start_radius_mm)
    return fit_head(points_mm, start_mm, start_radius_mm, meeting_mm, is_touching)


def _locate(mask: Volume, side: Side, hip: Volume | None) -> FemurGeometry:
    proximal = _proximal_part(mask)
    surface = BoneSurface.of(proximal)
    shaft = rough_shaft(surface.voxels())
    head = _head(surface, shaft, side, hip)
    head_at_mm = float(shaft.position_mm(head.centre_mm))
    low_mm = lower_end_mm(surface, shaft)
    shaft = refine_shaft(surface, shaft, low_mm, max(head_at_mm - 3.6 * head.radius_mm, low_mm + 25.0))
    neck = find_neck(surface, head, _where_neck_meets(shaft, head))
    trochanter, low_mm = _lesser_trochanter(surface, shaft, head, neck, side)
    # With the trochanter known, the shaft is fitted again from 2 cm below it, and the trochanter is found again.
    edge_mm = float(shaft.position_mm(trochanter.lower_edge_mm))
    if edge_mm - SHAFT_FROM_MM - low_mm > MIN_SHAFT_MM:
        shaft = refine_shaft(surface, shaft, max(low_mm, edge_mm - SHAFT_TO_MM), edge_mm - SHAFT_FROM_MM)
        trochanter, low_mm = _lesser_trochanter(surface, shaft, head, neck, side)
        edge_mm = float(shaft.position_mm(trochanter.lower_edge_mm))
    shaft = Axis(shaft.at(edge_mm), shaft.direction)
    anteversion = None
    if proximal is not mask:
        _, posterior, _ = femur_frame(neck.axis, shaft.direction, side)
        anteversion = anteversion_deg(mask, head.centre_mm, neck.axis, posterior, shaft)
    return FemurGeometry(side, head, neck, shaft, trochanter, edge_mm - low_mm, anteversion)


def _proximal_part(mask: Volume) -> Volume:
    """The mask itself, or its upper part if there is more of it: a knee would be taken for the shaft."""
    layers = np.flatnonzero(mask.array.any(axis=(1, 2)))
    if layers.size == 0:
        raise ValueError("mask: expected a femur, got no voxel")
    upwards = mask.grid.world_from_index[2, 0]
    height_mm = np.abs(upwards) * ((layers[-1] - layers) if upwards > 0 else (layers - layers[0]))
    if height_mm.max() <= PROXIMAL_MM:
        return mask
    kept = layers[height_mm <= PROXIMAL_MM]
    start, stop = int(kept[0]), int(kept[-1]) + 1
    array = mask.array[start:stop]
    return Volume(array, mask.grid.crop((start, 0, 0), array.shape))


def _deepest_medial_point(surface: BoneSurface, shaft: Axis, side: Side) -> tuple[Float[np.ndarray, 3], float]:
    """Centre and radius of the largest ball inside the femur medial of the shaft: about the head."""
    index = np.argwhere(surface.distance_mm.array > 8.0)
    points_mm = apply_affine(surface.distance_mm.grid.world_from_index, index.astype(float))
    offset_mm = points_mm - shaft.point_mm
    across_mm = offset_mm[:, 0] - (offset_mm @ shaft.direction) * shaft.direction[0]
    is_medial = across_mm * (1.0 if side is Side.RIGHT else -1.0) > 15.0
    if not is_medial.any():
        raise ValueError(f"mask: expected a head of radius {HEAD_RADIUS_MM} mm medial of the shaft, got none")
    depth_mm = np.where(is_medial, surface.distance_mm.array[tuple(index.T)], 0.0)
    deepest = int(np.argmax(depth_mm))
    return points_mm[deepest], float(depth_mm[deepest])


def _where_neck_meets(shaft: Axis, head: Sphere) -> Float[np.ndarray, 3]:
    """Where a neck at the average neck-shaft angle of 127 degrees would meet the shaft axis."""
    position_mm = float(shaft.position_mm(head.centre_mm))
    offset_mm = np.linalg.norm(head.centre_mm - shaft.at(position_mm))
    return shaft.at(position_mm - offset_mm / np.tan(np.radians(180 - 127)))


def _lesser_trochanter(
    surface: BoneSurface, shaft: Axis, head: Sphere, neck: Neck, side: Side
) -> tuple[LesserTrochanter, float]:
    """The lesser trochanter, and the position on the shaft of the femur's lower end."""
    medial, posterior, _ = femur_frame(neck.axis, shaft.direction, side)
    head_at_mm = float(shaft.position_mm(head.centre_mm))
    low_mm = lower_end_mm(surface, shaft)
    high_mm = head_at_mm - 1.3 * head.radius_mm
    try:
        return find_lesser_trochanter(surface, shaft, medial, posterior, low_mm, high_mm), low_mm
    except ValueError as error:
        # The trochanter begins about 3 head radii below the head's centre: a short femur lacks it, or shaft below it.
        if head_at_mm - low_mm < MIN_LENGTH_RADII * head.radius_mm:
            detail = (
                f"femur ends {head_at_mm - low_mm:.0f} mm below the head's centre, before the lesser trochanter does"
            )
            raise Withheld("SEG-CROPPED", detail, side=side.value) from error
        raise


Limited = tuple[str, float, float, float]
"""Name, value, lowest and highest plausible value."""


def _of_head(head: Sphere) -> tuple[Limited, ...]:
    return (
        ("head radius (mm)", head.radius_mm, *HEAD_RADIUS_MM),
        ("head residual (mm)", head.residual_mm, 0.0, MAX_HEAD_RESIDUAL_MM),
        ("head coverage", head.coverage, MIN_HEAD_COVERAGE, 1.0),
    )


def _refuse_implausible(*limited: Limited) -> None:
    for name, value, low, high in limited:
        if not low <= value <= high:
            raise ValueError(f"{name}: expected {low:g} to {high:g}, got {value:.3g}")


def _checked(femur: FemurGeometry, distal_cut_mm: float) -> FemurGeometry:
    """The femur itself if it is plausible (domain limits: Uemura 2022 and radiological norms, widened)."""
    neck_mm = float(np.linalg.norm(femur.head.centre_mm - femur.neck.centre_mm))
    _refuse_implausible(
        *_of_head(femur.head),
        ("neck-shaft angle (deg)", femur.neck_shaft_angle_deg, *NECK_SHAFT_ANGLE_DEG),
        ("head to neck (mm)", neck_mm, *HEAD_TO_NECK_MM),
    )
    if not femur.neck.has_waist:
        raise ValueError("neck: expected a waist between head and trochanters, got none")
    if femur.shaft_below_mm < distal_cut_mm:
        detail = f"femur ends {femur.shaft_below_mm:.0f} mm below the lesser trochanter, {distal_cut_mm:g} mm needed"
        raise Withheld("SEG-CROPPED", detail, side=femur.side.value)
    return femur
