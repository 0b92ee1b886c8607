"""A bone is one piece without holes."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.cleaning import broken_bones, cleaned, dropped_cm3
from osteoray.segmentation.quality import volumes_cm3
from osteoray.segmentation.sides import bones_of_classes


@pytest.fixture(scope="module")
def bones(pelvis_classes):
    return Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)


def findings_of(before):
    whole = cleaned(before)
    return broken_bones(dropped_cm3(before, whole), volumes_cm3(Volume(whole, before.grid)))


def at(bones, *point_mm):
    return tuple(np.rint(apply_affine(bones.grid.index_from_world, np.array(point_mm, float))).astype(int))


def test_whole_bones_stay_as_they_are(bones):
    np.testing.assert_array_equal(cleaned(bones), bones.array)
    assert set(dropped_cm3(bones, cleaned(bones)).values()) == {0.0}


def test_a_hole_in_the_head_is_filled_and_belongs_to_the_femur(bones):
    hollow = bones.array.copy()
    head = at(bones, 90, 0, 0)
    hollow[head] = 0
    assert cleaned(Volume(hollow, bones.grid))[head] == Bone.LEFT_FEMUR


def test_a_speck_is_dropped_and_told_but_not_warned_about(bones):
    speckled = bones.array.copy()
    speckled[1:3, 1:3, 1:3] = Bone.RIGHT_FEMUR
    before = Volume(speckled, bones.grid)
    whole = cleaned(before)
    np.testing.assert_array_equal(whole, bones.array)
    dropped = dropped_cm3(before, whole)
    assert dropped["right_femur"] == pytest.approx(8 * 27 / 1000)
    assert findings_of(before) == []


def test_a_femur_in_two_pieces_is_warned_about_on_its_side(bones):
    torn = bones.array.copy()
    is_femur = torn == Bone.LEFT_FEMUR
    layers = np.flatnonzero(is_femur.any(axis=(1, 2)))
    cut = layers[len(layers) // 3]
    torn[cut][is_femur[cut]] = 0
    before = Volume(torn, bones.grid)
    findings = findings_of(before)
    assert [(f.code, f.side) for f in findings] == [("SEG-PIECES", "left")]
    smaller = min(is_femur[:cut].sum(), is_femur[cut + 1 :].sum()) * 0.027
    assert f"{smaller:.0f} cm3" in findings[0].detail


def test_an_absent_bone_stays_absent(bones):
    without = np.where(bones.array == Bone.SACRUM, 0, bones.array).astype(np.uint8)
    np.testing.assert_array_equal(cleaned(Volume(without, bones.grid)), without)
