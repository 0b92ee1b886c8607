"""The neck box on outlines of straight edges."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.imaging.bones import Side
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.neck_box import NECK_BOX_MM, place_neck_box
from osteoray.segmentation.silhouette import NeckShaftPlane, Silhouette

HEAD_CUT_MM = 18.0


@pytest.fixture(scope="module")
def plane(femur_of) -> NeckShaftPlane:
    return NeckShaftPlane.of(locate_femur(femur_of(Side.RIGHT, (3.0, 2.0, 2.0)).mask, Side.RIGHT, 20.0))


def outline(plane: NeckShaftPlane, trochanter_mm: float, tip_mm: float) -> Silhouette:
    """A neck 28 mm wide and a trochanter with a straight flank this far along and a top this far across the neck."""
    low = np.array([-110.0, -90.0])
    rows, columns = np.meshgrid(low[1] + np.arange(150.0), low[0] + np.arange(130.0), indexing="ij")
    points = np.stack([columns, rows], axis=-1)
    along, across = plane.along_neck(points), plane.across_neck(points)
    trochanter = np.minimum.reduce([along - trochanter_mm, tip_mm - across, 90.0 - along])
    return Silhouette(np.maximum(14.0 - np.abs(across), trochanter), low, plane)


def test_full_box_touches_the_trochanter(plane):
    box = place_neck_box(outline(plane, 40.0, 40.0), 26.0, HEAD_CUT_MM)
    assert box.touches_trochanter
    assert box.length_mm == NECK_BOX_MM[0]
    assert box.near_mm == pytest.approx(25.0, abs=0.3)
    assert box.far_mm == pytest.approx(40.0, abs=0.3)


def test_box_is_shortened_to_meet_the_flank_of_a_low_trochanter(plane):
    box = place_neck_box(outline(plane, 40.0, 25.0), 26.0, HEAD_CUT_MM)
    assert box.touches_trochanter
    assert box.length_mm == pytest.approx(40.0, abs=2.0)
    assert box.near_mm == pytest.approx(25.0, abs=0.3)


def test_box_at_a_short_neck_begins_at_the_head_cut(plane):
    box = place_neck_box(outline(plane, 30.0, 40.0), 22.0, HEAD_CUT_MM)
    assert not box.touches_trochanter
    assert box.near_mm == HEAD_CUT_MM
    assert box.length_mm == NECK_BOX_MM[0]


@pytest.mark.parametrize("trochanter_mm", [34.0, 37.0, 45.0, 52.0])
def test_box_follows_the_trochanter(plane, trochanter_mm):
    box = place_neck_box(outline(plane, trochanter_mm, 40.0), 26.0, HEAD_CUT_MM)
    assert box.far_mm == pytest.approx(trochanter_mm, abs=0.3)
