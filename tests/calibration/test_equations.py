"""K2HPO4 is solved by its own equation and converted openly."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.calibration.equations import as_hydroxyapatite, k2hpo4_per_ha, phantom_line
from osteoray.calibration.phantom import Conversion
from osteoray.calibration.physics import expected, kvp_factor
from osteoray.errors.unreadable import Withheld

K2HPO4 = np.array([-51.83, -53.40, 58.88, 157.05, 375.83])
WATER = np.array([1012.25, 1056.95, 1103.57, 1119.52, 923.20])
GOODSITT = Conversion((80.0, 140.0), (0.86, 0.81), "Goodsitt 1992")


@pytest.mark.parametrize(
    ("hu", "slope"),
    [
        ([-76.1, -34.1, 204.0, 387.3, 564.0], 0.672),
        ([-68.8, -26.5, 195.6, 365.0, 510.6], 0.743),
        ([-63.1, -20.6, 189.1, 347.7, 469.3], 0.809),
    ],
    ids=["65 keV", "70 keV", "75 keV"],
)
def test_mindways_slope_is_that_of_physics(hu: list[float], slope: float) -> None:
    """Oracle: HU and slopes at three energies from mass attenuations (xraylib)."""
    line = phantom_line(np.array(hu), K2HPO4, WATER, "K2HPO4 mg/cm3")
    assert line.slope_mg_cm3_per_hu == pytest.approx(slope, abs=0.002)
    assert line.intercept_mg_cm3 == pytest.approx(0.4 * slope, abs=0.3)
    assert line.r2 > 0.99999


def test_a_rod_with_too_much_has_a_positive_residual() -> None:
    hu = WATER + 1.563 * (K2HPO4 + np.array([0, 0, 5.0, 0, 0])) - 1000
    residuals = phantom_line(hu, K2HPO4, WATER, "K2HPO4 mg/cm3").residuals_mg_cm3
    # True density less the line's: the rod reads 5 mg/cm3 too much.
    assert residuals[2] == pytest.approx(-4, abs=0.3)


def test_conversion_follows_the_tube_voltage() -> None:
    assert [k2hpo4_per_ha(GOODSITT, kvp) for kvp in (80.0, 110.0, 140.0)] == pytest.approx([0.86, 0.835, 0.81])
    line = phantom_line(WATER + 1.563 * K2HPO4 - 1000, K2HPO4, WATER, "K2HPO4 mg/cm3")
    converted = as_hydroxyapatite(line, 0.86)
    assert converted.slope_mg_cm3_per_hu == pytest.approx(line.slope_mg_cm3_per_hu / 0.86)


@pytest.mark.parametrize("kvp", [None, 70.0, 150.0])
def test_an_unknown_voltage_converts_nothing(kvp: float | None) -> None:
    with pytest.raises(Withheld, match="tube voltage: expected 80 to 140 kV") as refusal:
        k2hpo4_per_ha(GOODSITT, kvp)
    assert refusal.value.finding.code == "CAL-UNIT"


def test_the_slope_of_physics_rises_with_the_voltage() -> None:
    slopes = [expected(kvp).slope_mg_cm3_per_hu for kvp in (80.0, 100.0, 120.0, 140.0)]
    assert slopes == sorted(slopes) and slopes[0] > 0.45 and slopes[-1] < 0.91
    assert expected(110.0).slope_mg_cm3_per_hu == pytest.approx((slopes[1] + slopes[2]) / 2)
    assert kvp_factor(None) == kvp_factor(120.0) == 1
    assert kvp_factor(80.0) < 0.8


def test_fat_and_muscle_read_as_they_do_in_hospitals() -> None:
    tissues = expected(120.0)
    assert -115 < tissues.fat_hu < -85
    assert 35 < tissues.muscle_hu < 60
