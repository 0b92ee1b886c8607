"""Gates on a calibration: whether its line may be used, with a reason code for each doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.calibration.field import Field
from osteoray.calibration.line import Drift, Line
from osteoray.errors.verdict import Finding

DISTINCT_HU = 25.0
"""Levels whose expected HU differ by less may come in either order."""


@dataclass(frozen=True)
class Gates:
    """Limits; meaning and units as in the configuration section of the same names."""

    min_r2: float
    max_residual_mg_cm3: float
    review_r2: float
    review_residual_mg_cm3: float
    review_leave_one_out: float
    slope_range_mg_cm3_per_hu: tuple[float, float]
    usual_slope_range_mg_cm3_per_hu: tuple[float, float]
    max_intercept_mg_cm3: float
    max_slope_drift: float
    max_offset_drift_mg_cm3: float
    max_field_tilt_hu: float


def order_finding(
    hu: Float[np.ndarray, " levels"], expected_hu: Float[np.ndarray, " levels"], is_turned: bool
) -> Finding | None:
    """CAL-ORDER unless the phantom lies as it should and HU rise with what its rods should read.

    The order of the rods is not its own mirror, so a phantom turned round or an image flipped shows here.

    Args:
        hu: of the usable levels: rods from patient right to left if the phantom lies as it should, then the slab.
        expected_hu: what they should about read.
        is_turned: the pattern was found the other way round.
    """
    seen = " ".join(f"{value:.0f}" for value in hu)
    if is_turned:
        return Finding("CAL-ORDER", f"rods from patient left to right, then the slab: {seen} HU: reversed")
    rise, due = hu[:, None] - hu, expected_hu[:, None] - expected_hu
    if (rise[due > DISTINCT_HU] > 0).all():
        return None
    expected = " ".join(f"{value:.0f}" for value in expected_hu)
    return Finding(
        "CAL-ORDER", f"rods from patient right to left, then the slab: expected about {expected} HU, got {seen}"
    )


def line_findings(
    line: Line, leave_one_out_slopes: Float[np.ndarray, " levels"], gates: Gates, kvp_factor: float
) -> list[Finding]:
    """What is wrong or doubtful about a line.

    Args:
        line: in the phantom's own unit.
        leave_one_out_slopes: without each level in turn.
        gates: limits.
        kvp_factor: slope that physics expects at the scan's tube voltage over that at 120 kV.
    """
    residual = float(np.abs(line.residuals_mg_cm3).max())
    pull = float(np.abs(leave_one_out_slopes / line.slope_mg_cm3_per_hu - 1).max())
    shown = f"r2 {line.r2:.5f}, largest residual {residual:.1f} mg/cm3"
    if line.r2 < gates.min_r2 or residual > gates.max_residual_mg_cm3:
        # The slope of a line that does not fit means nothing.
        limits = f"expected at least {gates.min_r2}, at most {gates.max_residual_mg_cm3:g}"
        return [Finding("CAL-R2", f"{shown}: {limits}")]
    findings = _slope_findings(line, gates, kvp_factor)
    least_r2, most, most_pull = gates.review_r2, gates.review_residual_mg_cm3, gates.review_leave_one_out
    if line.r2 < least_r2 or residual > most or pull > most_pull:
        pulls = f"one level pulls the slope by {100 * pull:.1f} %, at most {100 * most_pull:g}"
        findings.append(Finding("CAL-RESIDUAL", f"{shown}: expected at least {least_r2}, at most {most:g}; {pulls}"))
    return findings


def _slope_findings(line: Line, gates: Gates, kvp_factor: float) -> list[Finding]:
    slope, intercept = line.slope_mg_cm3_per_hu, line.intercept_mg_cm3
    low, high = gates.slope_range_mg_cm3_per_hu
    shown = f"slope {slope:.3f} mg/cm3 per HU"
    if not low < slope < high or abs(intercept) > gates.max_intercept_mg_cm3:
        limits = f"expected {low:g} to {high:g}, within ±{gates.max_intercept_mg_cm3:g}"
        return [Finding("CAL-SLOPE", f"{shown}, intercept {intercept:.1f} mg/cm3: {limits}")]
    low, high = (kvp_factor * value for value in gates.usual_slope_range_mg_cm3_per_hu)
    if not low <= slope <= high:
        return [Finding("CAL-UNUSUAL", f"{shown}: expected {low:.2f} to {high:.2f} at this tube voltage")]
    return []


def drift_findings(drift: Drift, gates: Gates) -> list[Finding]:
    """CAL-DRIFT where the line changes along the phantom.

    A change must exceed its limit and also four times its own error: short phantoms are noisy, and the largest of
    three changes exceeds 3.6 errors once in a thousand.
    """
    slope_limit = max(gates.max_slope_drift, 4 * drift.slope_error_fraction)
    offset_limit = max(gates.max_offset_drift_mg_cm3, 4 * drift.offset_error_mg_cm3)
    if drift.slope_fraction <= slope_limit and drift.offset_mg_cm3 <= offset_limit:
        return []
    return [
        Finding(
            "CAL-DRIFT",
            f"slope changes by {100 * drift.slope_fraction:.1f} %, intercept by {drift.offset_mg_cm3:.1f} mg/cm3 "
            f"along the phantom: expected at most {100 * slope_limit:.1f}, {offset_limit:.1f}",
        )
    ]


def field_findings(field: Field, gates: Gates) -> list[Finding]:
    """CAL-TILT where one side of the slab reads higher than the other."""
    if field.tilt_hu is None or abs(field.tilt_hu) <= gates.max_field_tilt_hu:
        return []
    return [
        Finding(
            "CAL-TILT",
            f"slab, left less right: expected within ±{gates.max_field_tilt_hu:g} HU, got {field.tilt_hu:.1f} HU",
        )
    ]
