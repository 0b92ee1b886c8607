"""Left and right femur are compared, and only a clear difference is told."""

from __future__ import annotations

import pytest

from osteoray.errors.verdict import Verdict
from osteoray.segmentation.symmetry import unlike_sides

USUAL = {"head_radius_mm": 24.0, "neck_shaft_angle_deg": 128.0, "head_above_trochanter_mm": 62.0}


def test_alike_femurs_give_no_warning():
    other = {"head_radius_mm": 24.8, "neck_shaft_angle_deg": 132.0, "head_above_trochanter_mm": 66.0}
    assert unlike_sides({"left": USUAL, "right": other}) == []


@pytest.mark.parametrize(
    ("fact", "by", "told"),
    [
        ("head_radius_mm", 2.5, "head radius: expected up to 2 mm apart, got 24.0 left and 26.5 right"),
        ("neck_shaft_angle_deg", -10.0, "neck-shaft angle"),
        ("head_above_trochanter_mm", 12.0, "head above lesser trochanter"),
    ],
)
def test_a_clear_difference_is_a_warning_that_names_both_values(fact, by, told):
    (finding,) = unlike_sides({"left": USUAL, "right": USUAL | {fact: USUAL[fact] + by}})
    assert finding.code == "SEG-ASYMMETRY"
    assert finding.verdict is Verdict.WARNING
    assert finding.side is None
    assert told in finding.detail


def test_one_femur_has_nothing_to_be_compared_with():
    assert unlike_sides({"left": USUAL}) == []
