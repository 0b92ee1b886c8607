"""The base of the greater trochanter on outlines that are functions."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.imaging.bones import Side
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.greater_trochanter import greater_trochanter_base
from osteoray.segmentation.silhouette import NeckShaftPlane, Silhouette

ROWS_MM = np.arange(-120.0, 20.0)
EDGE_MM = -75.0


@pytest.fixture(scope="module")
def plane(femur_of) -> NeckShaftPlane:
    return NeckShaftPlane.of(locate_femur(femur_of(Side.RIGHT, (3.0, 2.0, 2.0)).mask, Side.RIGHT, 20.0))


def outline(plane: NeckShaftPlane, lateral_mm: np.ndarray) -> Silhouette:
    """A silhouette that reaches this far to lateral in every row."""
    columns = np.arange(-80.0, 20.0)
    return Silhouette(columns[None, :] + lateral_mm[:, None], np.array([columns[0], ROWS_MM[0]]), plane)


@pytest.mark.parametrize("height_mm", [5.0, 10.0, 18.0])
def test_base_lies_at_half_the_height_of_the_bulge(plane, height_mm):
    sigma_mm, tip_mm = 11.0, -35.0
    lateral_mm = 50.0 + height_mm * np.exp(-0.5 * ((ROWS_MM - tip_mm) / sigma_mm) ** 2)
    edge = plane.lift(np.array([-30.0, EDGE_MM]))
    base, height = greater_trochanter_base(outline(plane, lateral_mm), edge)
    assert height == pytest.approx(height_mm, rel=0.05)
    assert base[1] == pytest.approx(tip_mm - sigma_mm * np.sqrt(2 * np.log(2)), abs=0.7)
    assert base[0] == pytest.approx(-50.0 - height_mm / 2, abs=0.3)


def test_what_lies_below_the_lesser_trochanter_is_no_bulge(plane):
    lateral_mm = 50.0 + 8.0 * np.exp(-0.5 * ((ROWS_MM + 35.0) / 11.0) ** 2) + 20.0 * (ROWS_MM < -110)
    base, _ = greater_trochanter_base(outline(plane, lateral_mm), plane.lift(np.array([-30.0, EDGE_MM])))
    assert -60 < base[1] < -40


def test_straight_lateral_cortex_has_no_base(plane):
    with pytest.raises(ValueError, match="greater trochanter: expected a bulge of 2 mm"):
        greater_trochanter_base(outline(plane, np.full(len(ROWS_MM), 50.0)), plane.lift(np.array([-30.0, EDGE_MM])))
