"""From the HU of a phantom's levels to the line in its own unit, and from K2HPO4 to hydroxyapatite."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.calibration.line import Line, fit_line
from osteoray.calibration.phantom import Conversion, Unit
from osteoray.errors.unreadable import Withheld

WATER_PER_K2HPO4 = 0.2174
"""Water that 1 mg/cm³ of K2HPO4 displaces in solution (Mindways QCT PRO User Guide 5.0)."""
WATER_HU_OFFSET = 999.6
"""1000 less 0.4 mg/cm³: what the same equations take as water."""


def phantom_line(
    hu: Float[np.ndarray, " levels"],
    density_mg_cm3: Float[np.ndarray, " levels"],
    water_mg_cm3: Float[np.ndarray, " levels"],
    unit: Unit,
) -> Line:
    """The calibration line of a phantom in its own unit.

    Hydroxyapatite: density on HU by least squares. K2HPO4 (Mindways): rods hold known water and K2HPO4, so
    HU - water = sigma_ref · K2HPO4 + beta_ref by least squares; in tissue K2HPO4 displaces water, hence
    sigma_CT = sigma_ref - 0.2174 and beta_CT = beta_ref + 999.6, and K2HPO4 = (HU - beta_CT) / sigma_CT.

    Args:
        hu: of the levels.
        density_mg_cm3: mineral of the levels.
        water_mg_cm3: water of the levels.
        unit: of the mineral.

    Raises:
        ValueError: fewer than two levels, or all of one HU.
    """
    if unit == "HA mg/cm3":
        return fit_line(hu, density_mg_cm3)
    reference = fit_line(density_mg_cm3, hu - water_mg_cm3)
    sigma_ref, beta_ref = reference.slope_mg_cm3_per_hu, reference.intercept_mg_cm3
    sigma_ct, beta_ct = sigma_ref - WATER_PER_K2HPO4, beta_ref + WATER_HU_OFFSET
    return Line(1 / sigma_ct, -beta_ct / sigma_ct, reference.r2, -reference.residuals_mg_cm3 / sigma_ref)


def k2hpo4_per_ha(conversion: Conversion, kvp: float | None) -> float:
    """Reading in K2HPO4 of 1 mg/cm³ of hydroxyapatite at a tube voltage, linear between those that are known.

    Raises:
        Withheld: CAL-UNIT, the voltage is unknown or beyond those of the conversion.
    """
    low, high = conversion.kvp[0], conversion.kvp[-1]
    if kvp is None or not low <= kvp <= high:
        told = "none" if kvp is None else f"{kvp:g} kV"
        raise Withheld("CAL-UNIT", f"tube voltage: expected {low:g} to {high:g} kV, got {told}")
    return float(np.interp(kvp, conversion.kvp, conversion.k2hpo4_per_ha))


def as_hydroxyapatite(line: Line, ratio: float) -> Line:
    """A line in K2HPO4 as one in hydroxyapatite.

    Args:
        line: in K2HPO4.
        ratio: reading in K2HPO4 of 1 mg/cm³ of hydroxyapatite.
    """
    return Line(line.slope_mg_cm3_per_hu / ratio, line.intercept_mg_cm3 / ratio, line.r2, line.residuals_mg_cm3 / ratio)
