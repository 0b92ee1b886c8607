"""Gates on a calibration: whether its line may be used, with a reason code for each doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.calibration.line import Drift, Line
from osteoray.errors.verdict import Finding


@dataclass(frozen=True)
class Gates:
    """Limits; meaning and units as in the configuration section of the same names."""

    min_r2: float
    max_residual_mg_cm3: float
    review_r2: float
    review_residual_mg_cm3: float
    slope_range_mg_cm3_per_hu: tuple[float, float]
    max_intercept_mg_cm3: float
    max_slope_drift: float
    max_offset_drift_mg_cm3: float


def order_finding(hu: Float[np.ndarray, " levels"], density_mg_cm3: Float[np.ndarray, " levels"]) -> Finding | None:
    """CAL-ORDER unless HU rise with the densities of the phantom as it should lie.

    The order of the rods is not its own mirror, so a phantom turned round or an image flipped shows here.

    Args:
        hu: of the usable levels: rods from patient right to left, then the slab.
        density_mg_cm3: expected there.
    """
    if (np.argsort(hu) == np.argsort(density_mg_cm3)).all():
        return None
    seen = " ".join(f"{value:.0f}" for value in hu[:-1])
    expected = " ".join(f"{value:g}" for value in density_mg_cm3[:-1])
    mirrored = np.r_[density_mg_cm3[:-1][::-1], density_mg_cm3[-1]]
    is_mirrored = (np.argsort(hu) == np.argsort(mirrored)).all()
    reversed_note = ": reversed" if is_mirrored else ""
    return Finding(
        "CAL-ORDER",
        f"rods from patient right to left: expected {expected} mg/cm3, got {seen} HU{reversed_note}",
    )


def line_findings(line: Line, drift: Drift, gates: Gates) -> list[Finding]:
    """What is wrong or doubtful about a line."""
    findings = []
    residual = float(np.abs(line.residuals_mg_cm3).max())
    shown = f"r2 {line.r2:.5f}, largest residual {residual:.1f} mg/cm3"
    if line.r2 < gates.min_r2 or residual > gates.max_residual_mg_cm3:
        findings.append(
            Finding("CAL-R2", f"{shown}: expected at least {gates.min_r2}, at most {gates.max_residual_mg_cm3:g}")
        )
    elif line.r2 < gates.review_r2 or residual > gates.review_residual_mg_cm3:
        findings.append(
            Finding(
                "CAL-RESIDUAL",
                f"{shown}: expected at least {gates.review_r2}, at most {gates.review_residual_mg_cm3:g}",
            )
        )
    low, high = gates.slope_range_mg_cm3_per_hu
    if not low < line.slope_mg_cm3_per_hu < high or abs(line.intercept_mg_cm3) > gates.max_intercept_mg_cm3:
        findings.append(
            Finding(
                "CAL-SLOPE",
                f"slope {line.slope_mg_cm3_per_hu:.3f} mg/cm3 per HU, intercept {line.intercept_mg_cm3:.1f} mg/cm3: "
                f"expected {low:g} to {high:g}, within ±{gates.max_intercept_mg_cm3:g}",
            )
        )
    # A change must exceed its limit and also four times its own error: short phantoms are noisy, and the largest of
    # three changes exceeds 3.6 errors once in a thousand.
    slope_limit = max(gates.max_slope_drift, 4 * drift.slope_error_fraction)
    offset_limit = max(gates.max_offset_drift_mg_cm3, 4 * drift.offset_error_mg_cm3)
    if drift.slope_fraction > slope_limit or drift.offset_mg_cm3 > offset_limit:
        findings.append(
            Finding(
                "CAL-DRIFT",
                f"slope changes by {100 * drift.slope_fraction:.1f} %, intercept by {drift.offset_mg_cm3:.1f} mg/cm3 "
                f"along the phantom: expected at most {100 * slope_limit:.1f}, {offset_limit:.1f}",
            )
        )
    return findings
