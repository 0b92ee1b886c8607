"""A femoral head that lacks its top gets it back from its own sphere; a head that lacks too much is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from tests.segmentation.conftest import HEAD_RADIUS_MM

from osteoray.imaging.bones import FEMUR, HIP
from osteoray.imaging.volume import Volume
from osteoray.segmentation.head_completion import completed_head


def without_cap(known, depth_mm, label=0):
    """Labels of a femur whose head has lost its uppermost millimetres."""
    bones = np.where(known.mask.array, FEMUR[known.side], 0).astype(np.uint8)
    height_mm = (known.mask.grid.coordinates_mm() - known.head_centre_mm)[..., 2]
    bones[known.mask.array & (height_mm > HEAD_RADIUS_MM - depth_mm)] = label
    return Volume(bones, known.mask.grid)


@pytest.mark.parametrize("is_hip_bone", [False, True])
def test_a_missing_cap_comes_back(femur_of, is_hip_bone):
    known = femur_of()
    cut = without_cap(known, 7.0, HIP[known.side] if is_hip_bone else 0)
    labels, given_cm3 = completed_head(cut, known.side)
    lost = known.mask.array & (cut.array != FEMUR[known.side])
    back = lost & (labels == FEMUR[known.side])
    assert back.sum() > 0.75 * lost.sum()
    assert not (labels == FEMUR[known.side])[~known.mask.array].any()
    assert given_cm3 == pytest.approx(back.sum() * known.mask.grid.voxel_mm3 / 1000)


def test_a_whole_head_and_its_neighbours_stay(femur_of):
    known = femur_of()
    whole = without_cap(known, 0.0)
    labels, given_cm3 = completed_head(whole, known.side)
    assert given_cm3 < 0.1
    assert np.count_nonzero(labels != whole.array) * whole.grid.voxel_mm3 < 100


def test_half_a_head_is_left_alone(femur_of):
    known = femur_of()
    half = without_cap(known, HEAD_RADIUS_MM)
    labels, given_cm3 = completed_head(half, known.side)
    assert given_cm3 == 0
    np.testing.assert_array_equal(labels, half.array)


def test_what_a_worn_head_lacks_below_is_not_filled(femur_of):
    known = femur_of()
    labels = without_cap(known, 7.0).array
    offset_mm = known.mask.grid.coordinates_mm() - known.head_centre_mm
    in_head = np.linalg.norm(offset_mm, axis=-1) < HEAD_RADIUS_MM
    worn = known.mask.array & in_head & (offset_mm[..., 2] < 4.0 - HEAD_RADIUS_MM)
    labels[worn] = 0
    found, given_cm3 = completed_head(Volume(labels, known.mask.grid), known.side)
    assert given_cm3 > 1.0
    assert not found[worn].any()


def test_a_head_that_lacks_much_below_is_left_alone(femur_of):
    known = femur_of()
    labels = without_cap(known, 6.0).array
    offset_mm = known.mask.grid.coordinates_mm() - known.head_centre_mm
    worn = (np.linalg.norm(offset_mm, axis=-1) < HEAD_RADIUS_MM) & (offset_mm[..., 2] < 12.0 - HEAD_RADIUS_MM)
    labels[worn] = 0
    found, given_cm3 = completed_head(Volume(labels, known.mask.grid), known.side)
    assert given_cm3 == 0
    np.testing.assert_array_equal(found, labels)
