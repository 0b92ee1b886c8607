"""Halves look alike, lie on the right side of the patient, and can be put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoray.imaging.bones import Side
from osteoray.laterality.halves import is_inside, locate_half
from osteoray.laterality.midline import image_centre, midline_between


@given(
    rows=st.integers(40, 120),
    columns=st.integers(40, 120),
    ratio=st.sampled_from([0.5, 1.0, 1.3]),
    share=st.floats(0.3, 0.7),
    side=st.sampled_from(list(Side)),
)
def test_pasting_a_half_gives_the_original_pixels(
    rows: int, columns: int, ratio: float, share: float, side: Side
) -> None:
    image = np.arange(1, rows * columns + 1, dtype=float).reshape(rows, columns)
    half = locate_half(image.shape, (ratio, 1.0), share * columns, side)
    part = half.cut(image)
    assert part.shape == (half.rows, half.columns)
    back = half.paste(part, image.shape)
    kept = back != 0
    assert kept.sum() == part.size
    assert (back[kept] == image[kept]).all()


@given(rows=st.integers(60, 200), columns=st.integers(60, 200), ratio=st.floats(0.7, 1.4))
def test_a_half_is_twice_as_high_as_wide_in_millimetres(rows: int, columns: int, ratio: float) -> None:
    half = locate_half((rows, columns), (ratio, 1.0), image_centre(columns), Side.RIGHT)
    assert half.rows * ratio == pytest.approx(2 * half.columns, abs=2 + ratio)
    # The shorter-fitting edge is used whole.
    assert half.columns == (columns + 1) // 2 or half.rows >= rows - 2 / ratio - 1


def test_the_left_hip_is_on_the_image_right_and_is_flipped() -> None:
    image = np.zeros((40, 40))
    image[20, 38] = 1.0  # lateral on the patient's left
    image[20, 2] = 2.0  # lateral on the patient's right
    left, right = (locate_half(image.shape, (1.0, 1.0), 19.5, side) for side in (Side.LEFT, Side.RIGHT))
    assert left.flipped and not right.flipped
    assert left.cut(image).max() == 1
    assert right.cut(image).max() == 2
    assert np.argmax(left.cut(image).max(axis=0)) == 1
    assert np.argmax(right.cut(image).max(axis=0)) == 2


def test_a_symmetric_image_has_equal_halves() -> None:
    image = np.random.default_rng(0).normal(size=(50, 20))
    image = np.hstack([image, image[:, ::-1]])
    halves = [locate_half(image.shape, (1.0, 1.0), image_centre(40), side).cut(image) for side in Side]
    np.testing.assert_array_equal(*halves)


def test_halves_share_no_pixel_and_meet_at_the_midline() -> None:
    left, right = (locate_half((100, 60), (1.0, 1.0), 24.5, side) for side in (Side.LEFT, Side.RIGHT))
    assert right.column + right.columns == 25
    assert left.column == 25


def test_a_wide_half_is_cut_at_the_midline_and_not_at_the_hip() -> None:
    left, right = (locate_half((50, 80), (1.0, 1.0), 39.5, side) for side in (Side.LEFT, Side.RIGHT))
    assert (right.column, right.columns) == (0, 25)
    assert (left.column, left.columns) == (55, 25)


def test_a_midline_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="midline: expected a column inside the image of 60 columns, got 61"):
        locate_half((100, 60), (1.0, 1.0), 61.0, Side.LEFT)


def test_a_half_of_another_shape_cannot_be_pasted() -> None:
    half = locate_half((100, 60), (1.0, 1.0), 29.5, Side.LEFT)
    with pytest.raises(ValueError, match=r"part: expected shape \(60, 30\), got \(3, 3\)"):
        half.paste(np.zeros((3, 3)), (100, 60))


def test_the_midline_is_midway_between_outlines_whatever_their_density() -> None:
    left, right = np.zeros((2, 20, 60))
    left[5:10, 40:50], right[5:10, 10:20] = 0.5, 2.0
    assert midline_between([left, right]) == pytest.approx((44.5 + 14.5) / 2)
    with pytest.raises(ValueError, match="expected two maps with content, got 1"):
        midline_between([left])


def test_a_map_that_reaches_the_border_is_not_inside() -> None:
    part = np.zeros((20, 10))
    assert not is_inside(part, (1, 1))
    part[5:8, 4:6] = 1
    assert is_inside(part, (1, 1))
    assert is_inside(part, (5, 4))
    assert not is_inside(part, (6, 4))
    part[0, 4] = 1
    assert not is_inside(part, (1, 1))
