"""Rows and summary of the cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osteoray.imaging.bones import Bone
from osteoray.segmentation.agreement import Agreement
from osteoray.segmentation.validation import COLUMNS, SUMMARY_COLUMNS, bone_rows, correlations, summary_rows


def row(patient_id, bone, dice, doubt, asd_mm=0.5):
    numbers = {"dice": dice, "asd_mm": asd_mm, "hd95_mm": 1.0, "volume_error_percent": -1.0, "doubt": doubt}
    return {"patient_id": patient_id, "fold": 0, "bone": bone, "code": ""} | numbers


def test_a_patient_has_a_row_per_bone_with_its_doubt():
    agreements = {Bone.SACRUM: Agreement(0.9, 0.6, 2.0, 3.0), Bone.LEFT_HIP: Agreement(0.0, np.nan, np.nan, -100.0)}
    rows = bone_rows("P1", 1, agreements, {"sacrum": 0.02})
    assert [(r["bone"], r["dice"], r["doubt"]) for r in rows] == [("sacrum", 0.9, 0.02), ("left_hip", 0.0, None)]
    assert all(set(r) <= set(COLUMNS) for r in rows)


def test_the_summary_holds_each_bone_and_all():
    rows = [row("P1", "sacrum", 0.9, 0.05), row("P2", "sacrum", 0.8, 0.07), row("P1", "left_hip", 0.96, 0.02)]
    summary = {r["bone"]: r for r in summary_rows(rows)}
    assert set(summary) == {"sacrum", "left_hip", "all"}
    assert (summary["sacrum"]["dice_median"], summary["sacrum"]["dice_min"]) == (pytest.approx(0.85), 0.8)
    assert summary["all"]["n"] == 3
    assert set(summary["all"]) == set(SUMMARY_COLUMNS)


def test_a_bone_that_was_not_found_counts_in_dice_and_not_in_distances():
    lost = row("P2", "sacrum", 0.0, np.nan, asd_mm=np.nan)
    summary = summary_rows([row("P1", "sacrum", 0.9, 0.05), lost])[0]
    assert (summary["dice_min"], summary["asd_mm_max"]) == (0.0, 0.5)


def test_correlations_are_those_of_scipy_over_known_pairs():
    rng = np.random.default_rng(0)
    doubt = rng.uniform(0, 0.1, 12)
    dice = 0.98 - doubt + rng.normal(0, 0.01, 12)
    expected = stats.pearsonr(doubt, dice).statistic, stats.spearmanr(doubt, dice).statistic
    assert correlations(np.append(doubt, np.nan), np.append(dice, 0.1)) == pytest.approx(expected)


@pytest.mark.parametrize("dice", [[0.9, 0.8, 0.7], [0.9, 0.9, 0.9, 0.9]])
def test_few_or_equal_values_have_no_correlation(dice):
    assert correlations(np.linspace(0, 0.1, len(dice)), np.array(dice)) == (None, None)


def test_no_rows_no_summary():
    assert summary_rows([]) == []
