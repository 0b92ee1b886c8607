"""Agreement follows its definitions and independent libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from osteoray.statistics.agreement import agreement, bland_altman, calibration_slope, fisher_icc, icc_a1, pearson
from osteoray.statistics.agreement import standard_error_of_estimate as see
from osteoray.statistics.bootstrap import patient_bootstrap


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.normal(0.8, 0.13, 200)
    return reference + rng.normal(0.1, 0.05, 200), reference


def pingouin_icc(predicted: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import pingouin

        n = predicted.size
        table = pd.DataFrame({"hip": [*range(n)] * 2, "rater": ["a"] * n + ["b"] * n, "bmd": [*predicted, *reference]})
        result = pingouin.intraclass_corr(table, targets="hip", raters="rater", ratings="bmd")
    return dict(zip(result["Type"], result["ICC"], strict=True))


def test_pearson_is_that_of_scipy(pairs):
    assert pearson(*pairs) == pytest.approx(stats.pearsonr(*pairs).statistic)
    assert np.isnan(pearson(np.ones(5), np.arange(5.0)))


def test_icc_forms_are_those_of_pingouin(pairs):
    oracle = pingouin_icc(*pairs)
    by_prefix = lambda *names: next(oracle[n] for n in names if n in oracle)  # noqa: E731
    assert icc_a1(*pairs) == pytest.approx(by_prefix("ICC(A,1)", "ICC2"), abs=1e-6)
    assert fisher_icc(*pairs) == pytest.approx(by_prefix("ICC(1,1)", "ICC1"), abs=2 / pairs[0].size)


def test_a_bias_lowers_both_iccs_and_not_the_correlation(pairs):
    predicted, reference = pairs
    unbiased = predicted - 0.1
    assert pearson(predicted, reference) == pytest.approx(pearson(unbiased, reference))
    assert fisher_icc(predicted, reference) < fisher_icc(unbiased, reference) - 0.1
    assert fisher_icc(predicted, reference) < icc_a1(predicted, reference) < icc_a1(unbiased, reference)


def test_fisher_icc_of_a_pure_offset_is_closed_form():
    reference = np.array([-1.0, 1.0])
    # Common mean d/2, so the products are (±1)² - d²/4 and the squares 1 + d²/4.
    offset = 1.0
    assert fisher_icc(reference + offset, reference) == pytest.approx((1 - offset**2 / 4) / (1 + offset**2 / 4))
    assert fisher_icc(reference + 3.0, reference) < 0


def test_see_is_taken_to_the_identity_line():
    reference = np.array([0.0, 1.0, 2.0, 3.0])
    assert see(reference + 0.1, reference) == pytest.approx(np.sqrt(4 * 0.01 / 2))


def test_bland_altman_limits():
    reference = np.zeros(4)
    difference = np.array([0.0, 0.1, 0.2, 0.3])
    limits = bland_altman(difference, reference)
    assert limits.bias == pytest.approx(0.15)
    assert limits.high - limits.low == pytest.approx(2 * 1.96 * stats.tstd(difference))


def test_regression_to_the_mean_shows_in_the_slope():
    reference = np.linspace(0.5, 1.2, 20)
    assert calibration_slope(0.8 + 0.6 * (reference - 0.8), reference) == pytest.approx(0.6)


def test_perfect_agreement_is_perfect():
    values = np.array([0.6, 0.8, 0.9, 1.1])
    perfect = agreement(values, values)
    assert (perfect.pcc, perfect.icc, perfect.icc_a1, perfect.slope) == pytest.approx((1, 1, 1, 1))
    assert (perfect.mae_g_cm2, perfect.see_g_cm2, perfect.bias_g_cm2) == (0, 0, 0)


def test_agreement_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match="at least 3 pairs"):
        agreement(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        agreement(np.array([1.0, np.nan, 2.0]), np.ones(3))


def mean_error(predicted: np.ndarray, reference: np.ndarray) -> tuple[float]:
    return (float((predicted - reference).mean()),)


def test_bootstrap_is_seeded_and_contains_the_truth():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=60)
    predicted = reference + rng.normal(0.5, 0.2, 60)
    ids = [f"P{i // 2}" for i in range(60)]
    draw = lambda: patient_bootstrap(mean_error, predicted, reference, ids, 300, 0.95, np.random.default_rng(7))  # noqa: E731
    low, high = draw()
    assert low[0] < 0.5 < high[0]
    assert (draw() == np.stack([low, high])).all()


def test_repeating_the_same_xray_does_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    error = rng.normal(size=20)
    ids = [f"P{i}" for i in range(20)]
    single = patient_bootstrap(mean_error, error, np.zeros(20), ids, 400, 0.95, np.random.default_rng(0))
    tenfold = patient_bootstrap(
        mean_error, np.repeat(error, 10), np.zeros(200), list(np.repeat(ids, 10)), 400, 0.95, np.random.default_rng(0)
    )
    assert tenfold == pytest.approx(single)


def test_two_patients_give_no_interval():
    interval = patient_bootstrap(mean_error, np.ones(4), np.zeros(4), list("aabb"), 100, 0.95, np.random.default_rng(0))
    assert np.isnan(interval).all()
