"""Precision follows the ISCD's definitions."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.statistics.precision import precision


def test_precision_of_two_hips_is_closed_form():
    found = precision(np.array([0.9, 1.1, 0.5, 0.5, 0.7]), list("aaaab"), ["left", "left", "right", "right", "left"])
    sd = np.sqrt(0.02)
    assert (found.hips, found.patients, found.degrees_of_freedom) == (2, 1, 2)
    assert found.precision_error_g_cm2 == pytest.approx(sd / np.sqrt(2))
    assert found.rms_cv_percent == pytest.approx(100 * sd / np.sqrt(2))
    assert found.mean_cv_percent == pytest.approx(100 * sd / 2)
    assert found.lsc_g_cm2 == pytest.approx(2.77 * found.precision_error_g_cm2)


def test_no_repeats_no_precision():
    assert precision(np.array([0.9, 1.1]), ["a", "a"], ["left", "right"]) is None


def test_an_empty_map_is_no_repeat():
    assert precision(np.array([0.9, 0.0]), ["a", "a"], ["left", "left"]) is None


def test_simulated_precision_error_is_recovered():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.uniform(0.6, 1.1, 300), 3)
    ids = [str(i) for i in np.repeat(np.arange(300), 3)]
    found = precision(truth + rng.normal(0, 0.03, 900), ids, ["left"] * 900)
    assert found.precision_error_g_cm2 == pytest.approx(0.03, rel=0.06)
