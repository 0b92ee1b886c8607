"""Figures and tables of the report hold what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.report.agreement_figures import Points, bland_altman, error_by_pose, scatter
from osteoray.report.cohort_flow import cohort_flow, draw_cohort_flow
from osteoray.report.map_figures import Example, example_maps
from osteoray.report.page import Part, Picture, Table, render
from osteoray.report.stage_figures import stage_quality
from osteoray.report.style import png
from osteoray.report.tables import interval, number, probability, significant, validation_table
from osteoray.report.training_figures import Curve, training_curves
from osteoray.report.validation_figures import doubt_against_dice


@pytest.fixture
def points() -> Points:
    rng = np.random.default_rng(0)
    reference = rng.uniform(0.6, 1.1, 20)
    return Points("none", reference + rng.normal(0, 0.05, 20), reference, ("standing", "supine") * 10, "PCC 0.9")


def test_scatter_shows_every_pair_once(points):
    ax = scatter([points]).axes[0]
    shown = np.concatenate([collection.get_offsets() for collection in ax.collections])
    expected = np.column_stack([points.reference_g_cm2, points.predicted_g_cm2])
    np.testing.assert_allclose(sorted(map(tuple, shown)), sorted(map(tuple, expected)))
    assert ax.get_xlim() == ax.get_ylim()


def test_bland_altman_draws_bias_and_limits(points):
    difference = points.predicted_g_cm2 - points.reference_g_cm2
    levels = [line.get_ydata()[0] for line in bland_altman([points]).axes[0].lines]
    assert levels[1] == pytest.approx(difference.mean())
    assert levels[2] == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))


def test_a_figure_gives_the_same_bytes_twice(points):
    first, second = (png(error_by_pose([points]), 60) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


def test_error_is_predicted_minus_reference_on_a_symmetric_scale():
    reference, predicted = np.zeros((8, 4)), np.full((8, 4), 0.2)
    figure = example_maps([Example("P", reference, reference + 1, {"none": predicted}, {"none": "caption"})], 0.5)
    error = figure.axes[3].images[0]
    np.testing.assert_allclose(error.get_array(), -0.8)
    assert error.get_clim() == (-0.5, 0.5)


def test_training_curves_have_a_panel_per_loss():
    epochs = np.arange(1.0, 4.0)
    curve = Curve("none", epochs, {"loss": 1 / epochs, "gc": -epochs})
    axes = training_curves([curve, curve]).axes
    assert [(ax.get_title(loc="left"), ax.get_yscale()) for ax in axes] == [("loss", "log"), ("gc", "linear")]


def exclusion(patient_id: str, stage: str, code: str, verdict: str = "withheld", xray_id: str = "") -> dict[str, str]:
    return {"patient_id": patient_id, "xray_id": xray_id, "side": "", "stage": stage, "code": code, "verdict": verdict}


def test_a_patient_is_lost_once_and_an_xray_does_not_lose_its_patient():
    table = [
        exclusion("P1", "calibration", "CAL-R2"),
        exclusion("P1", "registration", "REG-WEAK"),
        exclusion("P2", "registration", "REG-WEAK", xray_id="X1"),
        exclusion("P3", "registration", "POSE-FLEXION", "warning", "X1"),
    ]
    steps = {step.title: step for step in cohort_flow(5, table)}
    assert steps["CT calibrated"].lost == {"CAL-R2": 1}
    assert steps["X-rays registered"].lost == {}
    assert steps["X-rays registered"].partly == {"REG-WEAK": 1}
    assert steps["X-rays registered"].warned == 1
    assert [step.remaining for step in steps.values()] == [5, 5, 4, 4, 4, 4, 4, 4]
    assert png(draw_cohort_flow(5, list(steps.values())), 50)


def test_stage_charts_group_by_bone_and_side():
    row = {"patient_id": "P", "xray_id": ""}
    rows = [
        row | {"stage": "segmentation", "quantity": "volume_left_femur_cm3", "side": "", "value": "180"},
        row | {"stage": "densitometry", "quantity": "abmd_g_cm2", "side": "left", "value": "0.8"},
        row | {"stage": "densitometry", "quantity": "abmd_g_cm2", "side": "right", "value": "0.9"},
    ]
    figure = stage_quality(rows)
    assert [[t.get_text() for t in ax.get_xticklabels()] for ax in figure.axes[:2]] == [
        ["left femur"],
        ["left", "right"],
    ]
    assert stage_quality([]) is None


def test_an_empty_section_leaves_no_trace_and_text_is_escaped():
    parts = [Part("a", "Shown", "lead", [Table(("x",), [("<b>",)])]), Part("b", "Hidden", "lead")]
    html = render("T", "S", [("1", "n", "m")], parts, {"k": "v"})
    assert "Hidden" not in html
    assert "&lt;b&gt;" in html


def test_a_picture_is_part_of_the_page():
    html = render("T", "S", [], [Part("a", "A", "", [Picture(b"png", "caption")])], {})
    assert "data:image/png;base64,cG5n" in html


def test_absent_numbers_are_dashes():
    assert number("") == "–"
    assert probability("") == "–"
    assert probability("1e-9") == "< 0.001"
    assert significant("0.012345") == "0.0123"
    row = {"mae_g_cm2": "0.05", "mae_low_g_cm2": "0.04", "mae_high_g_cm2": "0.06"}
    assert interval(row, "mae", 2, "_g_cm2") == "0.05 (0.04 to 0.06)"
    assert interval({"pcc": "", "pcc_low": "", "pcc_high": ""}, "pcc") == "–"


def validated(bone: str, dice: str, doubt: str, asd_mm: str = "0.4") -> dict[str, str]:
    row = {"patient_id": "P1", "fold": "0", "bone": bone, "code": "", "detail": ""}
    return row | {"dice": dice, "doubt": doubt, "asd_mm": asd_mm}


def test_doubt_is_drawn_against_dice_with_the_limit():
    rows = [validated("left_femur", "0.97", "0.02"), validated("sacrum", "0.8", "0.09"), validated("left_hip", "0", "")]
    figure = doubt_against_dice(rows, [], 0.05)
    shown = np.concatenate([collection.get_offsets() for collection in figure.axes[0].collections])
    np.testing.assert_allclose(shown, [[0.02, 0.97], [0.09, 0.8]])
    assert figure.axes[0].lines[0].get_xdata()[0] == 0.05
    assert doubt_against_dice([], [], 0.05) is None


def test_the_validation_table_names_the_worst_bone_and_why_a_patient_is_missing():
    rows = [validated("left_femur", "0.97", "0.02"), validated("sacrum", "0.8", "0.09")]
    lost = dict.fromkeys(rows[0], "") | {"patient_id": "P2", "fold": "1", "code": "SEG-LABELS", "detail": "none"}
    table = validation_table([*rows, lost]).rows
    assert table[0] == ("P1", "0", "0.800", "sacrum", "0.40", "0.090", "sacrum", "")
    assert table[1][0] == "P2"
    assert table[1][-1] == "SEG-LABELS: none"
