"""The line against closed forms and an independent fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoray.calibration.gates import Gates, line_findings, order_finding
from osteoray.calibration.line import Line, fit_line, leave_one_out, line_drift
from osteoray.calibration.rods import robust_curve
from osteoray.calibration.sampling import robust_mean
from osteoray.config.calibration import CalibrationConfig

DENSITY = np.array([200.0, 100.0, 50.0, 150.0, 0.0])


def fit(hu: np.ndarray, kept: np.ndarray) -> Line:
    return fit_line(hu, DENSITY[kept])


@given(slope=st.floats(0.45, 1.1), intercept=st.floats(-30, 30))
def test_an_exact_line_is_recovered(slope: float, intercept: float) -> None:
    line = fit_line((DENSITY - intercept) / slope, DENSITY)
    assert line.slope_mg_cm3_per_hu == pytest.approx(slope, rel=1e-9)
    assert line.intercept_mg_cm3 == pytest.approx(intercept, abs=1e-7)
    assert line.r2 == pytest.approx(1.0)


def test_a_noisy_line_agrees_with_an_independent_fit() -> None:
    hu = DENSITY / 0.7 + np.array([3.0, -2.0, 1.0, 0.5, -4.0])
    line = fit_line(hu, DENSITY)
    assert [line.slope_mg_cm3_per_hu, line.intercept_mg_cm3] == pytest.approx(np.polyfit(hu, DENSITY, 1))
    assert line.r2 == pytest.approx(np.corrcoef(hu, DENSITY)[0, 1] ** 2)
    assert line.residuals_mg_cm3.sum() == pytest.approx(0.0, abs=1e-9)


def test_equal_values_give_no_line() -> None:
    with pytest.raises(ValueError, match="hu: expected at least two different values"):
        fit_line(np.full(5, 3.0), DENSITY)


def test_leaving_one_out_of_an_exact_line_changes_nothing() -> None:
    assert leave_one_out(DENSITY / 0.7, fit) == pytest.approx(np.full(5, 0.7))


def test_drift_is_the_change_between_the_ends() -> None:
    gain = np.repeat([1.0, 1.02, 1.04], 12)
    slice_hu = DENSITY[:, None] / 0.7 * gain
    drift = line_drift(slice_hu, fit, 2.5)
    slopes = 0.7 / np.array([1.0, 1.02, 1.04])
    assert drift.slope_fraction == pytest.approx(np.ptp(slopes) / slopes.mean())
    assert drift.blocks == 3


def test_a_short_phantom_shows_no_drift() -> None:
    assert line_drift(DENSITY[:, None] * np.ones(10), fit, 2.5).blocks == 1


def test_the_order_of_the_rods_is_not_its_own_mirror() -> None:
    hu = DENSITY / 0.7
    assert order_finding(hu, hu + 4.0, is_turned=False) is None
    turned = order_finding(np.r_[hu[:-1][::-1], hu[-1]], hu, is_turned=False)
    assert turned is not None and turned.code == "CAL-ORDER"


def test_a_turned_phantom_is_told_even_where_its_values_fit() -> None:
    turned = order_finding(DENSITY / 0.7, DENSITY / 0.7, is_turned=True)
    assert turned is not None and turned.detail.endswith("reversed")


def test_a_bow_is_followed_through_outliers() -> None:
    z_mm = np.linspace(-100, 100, 15)
    truth = 3 + 0.02 * z_mm + 5e-4 * z_mm**2
    spoiled = truth.copy()
    spoiled[[2, 9]] += 20
    np.testing.assert_allclose(robust_curve(z_mm, spoiled, z_mm), truth, atol=1e-6)


def test_a_robust_mean_ignores_a_few_wild_slices() -> None:
    values = np.r_[np.random.default_rng(0).normal(100, 2, 60), 900, 950]
    assert robust_mean(values) == pytest.approx(100, abs=0.8)


@pytest.mark.parametrize(
    ("slope", "r2", "residual", "left_out", "kvp_factor", "codes"),
    [
        (0.70, 0.9999, 1.0, 0.70, 1.0, []),
        (0.70, 0.9985, 1.0, 0.70, 1.0, ["CAL-RESIDUAL"]),
        (0.70, 0.9999, 6.0, 0.70, 1.0, ["CAL-RESIDUAL"]),
        (0.70, 0.9999, 1.0, 0.73, 1.0, ["CAL-RESIDUAL"]),
        (0.70, 0.9999, 11.0, 0.70, 1.0, ["CAL-R2"]),
        (0.40, 0.9940, 1.0, 0.40, 1.0, ["CAL-R2"]),
        (0.40, 0.9999, 1.0, 0.40, 1.0, ["CAL-SLOPE"]),
        (0.52, 0.9999, 1.0, 0.52, 1.0, ["CAL-UNUSUAL"]),
        (0.52, 0.9999, 1.0, 0.52, 0.72, []),
        (0.98, 0.9999, 1.0, 0.98, 1.0, ["CAL-UNUSUAL"]),
    ],
)
def test_gates_on_a_line(
    slope: float, r2: float, residual: float, left_out: float, kvp_factor: float, codes: list[str]
) -> None:
    config = CalibrationConfig()
    gates = Gates(**{name: getattr(config, name) for name in Gates.__dataclass_fields__})
    line = Line(slope, 0.0, r2, np.array([residual, -residual]))
    found = line_findings(line, np.array([slope, left_out]), gates, kvp_factor)
    assert [finding.code for finding in found] == codes
