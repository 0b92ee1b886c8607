"""Cross-fitting: a fold's own references never enter its read-out or interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoray.densitometry.measurement import HalfXray, Settings, measure
from osteoray.densitometry.readout import ThresholdCurve, sweep

THRESHOLDS = sweep(0.1, 0.3, 0.1, 0.16)
SETTINGS = Settings(tuple(THRESHOLDS.tolist()), 0.16, True, 6, 0.95, 5, 10, (15.0, 45.0), (0.3, 1.6))


def curve(mean: float, pixels: int = 3000) -> ThresholdCurve:
    return ThresholdCurve(np.full(THRESHOLDS.size, mean), np.full(THRESHOLDS.size, pixels))


@pytest.fixture
def halves() -> list[HalfXray]:
    rng = np.random.default_rng(0)
    made = []
    for p in range(24):
        bmd = rng.uniform(0.6, 1.1)
        for side in ("left", "right"):
            mean = (bmd - 0.1) / 0.9
            predicted = curve(mean + rng.normal(0, 0.04))
            made.append(HalfXray(f"P{p}", "X1", side, p % 2, predicted, curve(mean), 0.01, bmd, 0.95 * bmd))
    return made


def test_read_out_puts_reference_maps_on_the_scale_of_qct(halves):
    for half, bmd in zip(halves, measure(halves, SETTINGS), strict=True):
        assert bmd.map_g_cm2 == pytest.approx(half.qct_g_cm2)
        assert bmd.value_g_cm2 == pytest.approx(half.qct_g_cm2, abs=0.15)
        assert bmd.area_cm2 == pytest.approx(30.0)
        assert bmd.verdict == "reported"
        assert bmd.half_width_g_cm2 == pytest.approx(2 * 0.036, rel=0.5)


def test_references_of_a_fold_do_not_touch_its_own_values(halves):
    before = measure(halves, SETTINGS)
    poisoned = [replace(half, qct_g_cm2=half.qct_g_cm2**2) if half.fold == 0 else half for half in halves]
    for half, a, b in zip(halves, before, measure(poisoned, SETTINGS), strict=True):
        assert (a.value_g_cm2 == b.value_g_cm2) == (half.fold == 0)
        assert a.half_width_g_cm2 != b.half_width_g_cm2


def test_patients_outside_the_release_are_measured_and_teach_nothing(halves):
    outside = replace(halves[0], patient_id="new", fold=None, qct_g_cm2=5.0, reference=curve(4.0))
    measured = measure([*halves, outside], SETTINGS)
    assert [m.value_g_cm2 for m in measured[:-1]] == [m.value_g_cm2 for m in measure(halves, SETTINGS)]
    assert measured[-1].verdict == "reported"


def test_dxa_equivalent_needs_enough_patients(halves):
    assert measure(halves, SETTINGS)[0].dxa_g_cm2 == pytest.approx(0.95 * halves[0].qct_g_cm2, abs=0.15)
    few = measure(halves, replace(SETTINGS, minimum_dxa_patients=13))
    assert np.isnan([m.dxa_g_cm2 for m in few]).all()


def test_hips_with_an_uncalibrated_ct_do_not_teach_the_line_to_dxa_and_get_no_equivalent(halves):
    def uncalibrated(half: HalfXray, dxa_g_cm2: float) -> HalfXray:
        return replace(half, qct_g_cm2=float("nan"), qct_level="none", dxa_g_cm2=dxa_g_cm2)

    one, other = ([uncalibrated(h, dxa) if h.patient_id == "P3" else h for h in halves] for dxa in (0.9, 9.0))
    first, second = measure(one, SETTINGS), measure(other, SETTINGS)
    np.testing.assert_array_equal([m.dxa_g_cm2 for m in first], [m.dxa_g_cm2 for m in second])
    missing = [half.patient_id for half, m in zip(one, first, strict=True) if np.isnan(m.dxa_g_cm2)]
    assert missing == ["P3", "P3"]


def test_a_cohort_without_calibrated_ct_has_no_dxa_equivalent(halves):
    level = [replace(half, qct_level="none") for half in halves[:-2]] + halves[-2:]
    assert np.isnan([m.dxa_g_cm2 for m in measure(level, SETTINGS)]).all()


def test_few_training_maps_fall_back_to_the_configured_threshold(halves):
    measured = measure(halves, replace(SETTINGS, minimum_training_maps=100))
    assert measured[0].read_out.threshold_g_cm2 == 0.16
    assert measured[0].value_g_cm2 == pytest.approx(halves[0].predicted.mean_g_cm2[0])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"predicted": curve(0.0, 0)}, "BMD-EMPTY"),
        ({"predicted": curve(0.8, 200)}, "BMD-AREA"),
        ({"predicted": curve(2.5)}, "BMD-RANGE"),
    ],
)
def test_an_implausible_map_is_withheld(halves, change, code):
    halves[0] = replace(halves[0], **change)
    bmd = measure(halves, SETTINGS)[0]
    assert [finding.code for finding in bmd.findings] == [code]
    assert bmd.verdict == "withheld"


def test_without_enough_other_patients_there_is_no_interval_and_no_value(halves):
    bmd = measure(halves[:4], SETTINGS)[0]
    assert np.isnan(bmd.half_width_g_cm2)
    assert [finding.code for finding in bmd.findings] == ["BMD-INTERVAL"]
