"""Models are compared on complete blocks of patients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from osteoray.statistics.significance import compare_models


@pytest.fixture
def errors() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.abs(rng.normal(0, 0.05, (20, 1)) + rng.normal([0.03, 0.05, 0.1], 0.02, (20, 3)))


def test_anova_is_that_of_pingouin(errors):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import pingouin

        table = pd.DataFrame(errors, columns=list("abc"))
        oracle = pingouin.rm_anova(table, detailed=True).iloc[0]
    anova = compare_models(errors, list("abc"))[0]
    assert anova.statistic == pytest.approx(oracle["F"], rel=1e-3)
    assert anova.degrees_of_freedom == "2, 38"


def test_two_models_give_the_paired_test_twice(errors):
    anova, pair = compare_models(errors[:, :2], ["a", "b"])
    assert anova.statistic == pytest.approx(pair.statistic**2)
    assert anova.p == pytest.approx(pair.p)
    assert pair.p == pytest.approx(stats.ttest_rel(errors[:, 0], errors[:, 1]).pvalue)


def test_holm_never_lowers_a_probability(errors):
    pairs = compare_models(errors, list("abc"))[1:]
    assert len(pairs) == 3
    assert all(pair.p_holm >= pair.p for pair in pairs)


def test_equal_models_or_one_model_give_no_test(errors):
    assert compare_models(errors[:, :1], ["a"]) == []
    assert compare_models(errors[:, [0, 0]], ["a", "b"]) == []
