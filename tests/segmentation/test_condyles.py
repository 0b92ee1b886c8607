"""Anteversion of whole femurs with condyles, and none where the scan ends above them."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.imaging.bones import Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import locate_femur

CUT_MM = 20.0
WHOLE = {"spacing_mm": (2.0, 1.8, 1.8), "shaft_below_mm": 345.0}


@pytest.mark.parametrize(
    ("side", "anteversion_deg", "rotation_deg"),
    [
        (Side.LEFT, 15.0, (0.0, 0.0, 0.0)),
        (Side.RIGHT, 15.0, (0.0, 0.0, 25.0)),
        (Side.RIGHT, -8.0, (-20.0, 8.0, 0.0)),
        (Side.LEFT, 40.0, (0.0, 0.0, 0.0)),
    ],
)
def test_anteversion_of_a_whole_femur(femur_of, side, anteversion_deg, rotation_deg):
    known = femur_of(side, rotation_deg=rotation_deg, anteversion_deg=anteversion_deg, **WHOLE)
    femur = locate_femur(known.mask, side, CUT_MM)
    assert femur.anteversion_deg == pytest.approx(anteversion_deg, abs=2.0)
    assert femur.neck_shaft_angle_deg == pytest.approx(128.0, abs=1.5)
    assert np.linalg.norm(femur.head.centre_mm - known.head_centre_mm) < 0.7


def test_a_femur_that_ends_in_its_shaft_has_none(femur_of):
    whole = femur_of(Side.LEFT, **WHOLE)
    assert locate_femur(whole.mask, Side.LEFT, CUT_MM).anteversion_deg is None


def test_condyles_that_the_scan_cuts_through_give_none(femur_of):
    mask = femur_of(Side.LEFT, anteversion_deg=15.0, **WHOLE).mask
    lowest = np.flatnonzero(mask.array.any(axis=(1, 2)))[0]
    cut = mask.array.copy()
    cut[: lowest + 10] = False
    assert locate_femur(Volume(cut, mask.grid), Side.LEFT, CUT_MM).anteversion_deg is None


def test_a_hip_scan_has_none(femur_of):
    assert locate_femur(femur_of(Side.RIGHT).mask, Side.RIGHT, CUT_MM).facts()["anteversion_deg"] is None
