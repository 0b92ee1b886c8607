"""Gates on a CT series: refuse, from headers alone, whatever would give a wrong geometry or wrong numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.ingest.ct_series import Series
from osteoray.ingest.ct_slices import CtSlice

ROUNDING_MM = 0.011
"""Positions are written as decimal text, often with two decimals; that much is never a fault."""
SAME_THICKNESS = 0.01
"""Share by which nominal thicknesses of one series may differ: rounding."""
MAX_TILT_DEG = 0.2
MAX_TILT_DIFFERENCE_DEG = 1.0
"""Between the gantry's tilt as recorded and the slices' own."""


def ordered_grid(
    series: Series, *, spacing_tolerance: float, axial_tolerance_deg: float, max_thickness_mm: float
) -> tuple[list[CtSlice], VoxelGrid]:
    """The slices in order along the normal, and where their voxels lie.

    Raises:
        Withheld: slices are missing, doubled, unevenly spaced, tilted, oblique, too thick, of mixed thickness or not
            in HU.
    """
    depths = np.array([float(series.normal @ item.position_mm) for item in series.slices])
    order = np.argsort(depths, kind="stable")
    slices, depths = [series.slices[i] for i in order], depths[order]
    step_mm = check_spacing(depths, [item.name for item in slices], spacing_tolerance)
    check_tilt(np.array([item.position_mm for item in slices]), series.normal, step_mm)
    check_recorded_tilt(slices, series.obliqueness_deg)
    if series.obliqueness_deg > axial_tolerance_deg:
        raise Withheld(
            "ING-SERIES",
            f"slice normal: expected within {axial_tolerance_deg:g} degrees of the long axis, "
            f"got {series.obliqueness_deg:.1f}",
        )
    check_thickness(series.thickness_mm, step_mm, max_thickness_mm)
    check_same_thickness(slices)
    check_rescale(slices)
    first = slices[0]
    along_i, along_j = first.orientation
    linear = np.stack([series.normal * step_mm, along_j * first.spacing_mm[0], along_i * first.spacing_mm[1]], axis=1)
    return slices, VoxelGrid((len(slices), *first.shape), affine(linear, first.position_mm))


def check_spacing(depths_mm: Float[np.ndarray, " n"], names: list[str], tolerance: float) -> float:
    """Mean distance of sorted slices that are evenly spaced.

    Raises:
        Withheld: two slices at one position, gaps of whole slices, or uneven distances.
    """
    steps = np.diff(depths_mm)
    usual_mm = float(np.median(steps[steps > ROUNDING_MM])) if (steps > ROUNDING_MM).any() else 0.0
    if (same := np.flatnonzero(steps <= max(ROUNDING_MM, 0.01 * usual_mm))).size:
        first = int(same[0])
        raise Withheld(
            "ING-DUPLICATE", f"{same.size} position(s) hold two slices, first {names[first]} and {names[first + 1]}"
        )
    allowed_mm = max(tolerance * usual_mm, 2 * ROUNDING_MM)
    uneven = np.flatnonzero(np.abs(steps - usual_mm) > allowed_mm)
    if uneven.size:
        first = int(uneven[0])
        multiples = steps[uneven] / usual_mm
        whole = np.round(multiples) >= 2
        if whole.all() and np.abs(multiples - np.round(multiples)).max() < 0.05 and uneven.size <= 0.2 * steps.size:
            lost = int((np.round(multiples) - 1).sum())
            raise Withheld(
                "ING-MISSING", f"{lost} slice(s) missing, first between {names[first]} and {names[first + 1]}"
            )
        raise Withheld(
            "ING-SPACING",
            f"slice distance: expected {usual_mm:.3f} mm within {allowed_mm:.3f}, "
            f"got {steps[first]:.3f} after {names[first]}",
        )
    return float((depths_mm[-1] - depths_mm[0]) / steps.size)


def check_tilt(positions_mm: Float[np.ndarray, "n 3"], normal: Float[np.ndarray, 3], step_mm: float) -> None:
    """Refuse slices that shift sideways as they advance (gantry tilt), or that jump.

    Raises:
        Withheld: the line of first pixels is not along the normal.
    """
    offsets = positions_mm - positions_mm[0]
    sideways = offsets - np.outer(offsets @ normal, normal)
    tilt_deg = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), step_mm * (len(positions_mm) - 1))))
    if tilt_deg > MAX_TILT_DEG:
        raise Withheld(
            "ING-TILT", f"slices advance {tilt_deg:.1f} degrees off their normal, at most {MAX_TILT_DEG:g} allowed"
        )
    straight = np.outer(np.linspace(0.0, 1.0, len(positions_mm)), sideways[-1])
    jump_mm = float(np.linalg.norm(sideways - straight, axis=1).max())
    if jump_mm > 0.1:
        raise Withheld(
            "ING-SPACING", f"a slice lies {jump_mm:.2f} mm beside the line of the others, at most 0.1 allowed"
        )


def check_recorded_tilt(slices: list[CtSlice], obliqueness_deg: float) -> None:
    """Refuse a recorded gantry tilt that positions and orientations do not show: one of them is wrong.

    Raises:
        Withheld: the two differ.
    """
    for item in slices:
        tilt_deg = abs(item.tilt_deg or 0.0)
        if tilt_deg > MAX_TILT_DEG and abs(tilt_deg - obliqueness_deg) > MAX_TILT_DIFFERENCE_DEG:
            raise Withheld(
                "ING-TILT",
                f"{item.name}: GantryDetectorTilt (0018,1120): expected the {obliqueness_deg:.1f} degrees of the "
                f"slices, got {tilt_deg:g}",
            )


def check_thickness(thickness_mm: float, step_mm: float, limit_mm: float) -> None:
    """Refuse slices whose thickness or distance averages the cortex away.

    Raises:
        Withheld: thicker or further apart than the limit.
    """
    got = max(thickness_mm, step_mm)
    if got > limit_mm * 1.001:
        raise Withheld(
            "ING-THICK",
            f"slices: expected at most {limit_mm:g} mm, got {thickness_mm:g} mm thick, {step_mm:.2f} mm apart",
        )


def check_same_thickness(slices: list[CtSlice]) -> None:
    """Refuse slices of several thicknesses: noise and the blur of the cortex change along the bone.

    Raises:
        Withheld: the recorded thicknesses differ by more than rounding.
    """
    recorded = [item.thickness_mm for item in slices if item.thickness_mm is not None]
    if recorded and max(recorded) > min(recorded) * (1 + SAME_THICKNESS):
        raise Withheld(
            "ING-SPACING",
            f"SliceThickness (0018,0050): expected one thickness in all slices, got {min(recorded):g} to "
            f"{max(recorded):g} mm",
        )


def check_rescale(slices: list[CtSlice]) -> None:
    """Refuse values that do not become Hounsfield units.

    Raises:
        Withheld: slope or intercept absent, slope not positive, or another unit named.
    """
    for item in slices:
        if item.slope is None or item.intercept is None or item.slope <= 0:
            raise Withheld(
                "ING-RESCALE",
                f"{item.name}: RescaleSlope, RescaleIntercept: expected a positive slope and an intercept, "
                f"got {item.slope}, {item.intercept}",
            )
        if item.rescale_type not in ("", "HU"):
            raise Withheld(
                "ING-RESCALE", f"{item.name}: RescaleType (0028,1054): expected HU, got {item.rescale_type[:16]!r}"
            )
