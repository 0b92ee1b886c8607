"""The read-out recovers known BMD, and never looks at the fold it measures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osteoray.densitometry.interval import half_width
from osteoray.densitometry.line import Line, fit_line
from osteoray.densitometry.readout import fit_read_out, sweep, threshold_curve
from osteoray.densitometry.reference import ReferenceBmd


def test_mean_above_every_threshold_equals_the_plain_mean():
    areal = np.random.default_rng(0).uniform(-0.2, 3.5, (40, 30)).astype(np.float32)
    thresholds = sweep(0.0, 1.0, 0.1, 0.16)
    curve = threshold_curve(areal, thresholds, maximum_g_cm2=3.0)
    for index, threshold in enumerate(thresholds):
        above = np.clip(areal, 0, 3)[areal > threshold]
        assert curve.pixels[index] == above.size
        assert curve.mean_g_cm2[index] == pytest.approx(above.mean(), rel=1e-6)


def test_a_pixel_at_the_threshold_is_background():
    curve = threshold_curve(np.array([[0.5, 0.25]]), np.array([0.25, 0.5]), 3.0)
    assert curve.pixels.tolist() == [1, 0]


def test_an_empty_map_has_bmd_zero():
    curve = threshold_curve(np.zeros((4, 4)), np.array([0.1, 0.2]), 3.0)
    assert curve.mean_g_cm2.tolist() == [0.0, 0.0]
    assert curve.pixels.tolist() == [0, 0]


def test_the_sweep_contains_its_ends_and_the_fallback():
    thresholds = sweep(0.02, 0.5, 0.02, 0.155)
    assert thresholds[0] == 0.02
    assert thresholds[-1] == 0.5
    assert 0.155 in thresholds
    assert (np.diff(thresholds) > 0).all()


def test_the_threshold_that_tells_bone_from_background_is_found_with_its_line():
    rng = np.random.default_rng(1)
    abmd = rng.uniform(0.6, 1.1, 40)
    thresholds = np.array([0.05, 0.2, 0.9])
    # Below 0.1 lies background of random extent, and at 0.9 only noise is left; between them the mean is the bone's.
    means = np.stack([abmd - rng.uniform(0, 0.5, 40), 0.8 * abmd + 0.05, rng.uniform(1, 2, 40)], axis=1)
    read_out = fit_read_out(means, thresholds, abmd, to_scale=True)
    assert read_out.threshold_g_cm2 == 0.2
    assert read_out.line(means[:, 1]) == pytest.approx(abmd)
    assert fit_read_out(means, thresholds, abmd, to_scale=False).line == Line(1.0, 0.0)


def test_a_cohort_without_spread_has_no_best_threshold():
    with pytest.raises(ValueError, match="rise with aBMD"):
        fit_read_out(np.ones((5, 3)), np.array([0.1, 0.2, 0.3]), np.ones(5), to_scale=True)


def test_line_is_that_of_scipy():
    rng = np.random.default_rng(2)
    start, target = rng.normal(size=30), rng.normal(size=30)
    line, oracle = fit_line(start, target), stats.linregress(start, target)
    assert (line.slope, line.offset_g_cm2) == pytest.approx((oracle.slope, oracle.intercept))
    with pytest.raises(ValueError, match="two different values"):
        fit_line(np.ones(3), np.ones(3))


def test_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    patients = [f"P{i // 2}" for i in range(16)]
    covered = 0
    for _ in range(2000):
        errors = rng.normal(0.02, 0.05, 17)
        covered += abs(errors[16]) < half_width(errors[:16], patients, 0.95)
    assert 0.94 < covered / 2000 < 0.985  # hips as one patient: conservative, never optimistic


def test_interval_of_one_error_per_patient_is_the_student_interval():
    errors = np.array([0.03, -0.04, 0.05, 0.01])
    expected = np.sqrt((errors**2).mean()) * stats.t.ppf(0.975, 4)
    assert half_width(errors, list("abcd"), 0.95) == pytest.approx(expected)
    with pytest.raises(ValueError, match="more than 2 patients"):
        half_width(errors[:2], list("ab"), 0.95, fitted=2)


def test_t_score_and_probability_are_those_of_the_normal_distribution():
    reference = ReferenceBmd("x", "total hip", "DXA", 0.942, 0.122, "s", "published")
    assert reference.t_score(0.942 - 2.5 * 0.122) == pytest.approx(-2.5)
    assert reference.bmd_at(-1.0) == pytest.approx(0.820)
    # Domain example: SEE 0.074, estimate T -2.0 gives P(T <= -2.5) = 0.20.
    assert reference.probability_below(-2.5, reference.bmd_at(-2.0), 0.074) == pytest.approx(0.205, abs=0.005)
