"""Rectangles hold every bone and cover no pixel twice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.segmentation.patches import rectangles_around


@pytest.mark.parametrize("seed", range(5))
def test_all_of_the_mask_and_its_margin_lie_in_exactly_one_rectangle(seed):
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(90, 130)), 5) > 0.08
    covered = np.zeros(mask.shape, int)
    for rows, columns in rectangles_around(mask, 4, 8):
        covered[rows, columns] += 1
    assert covered.max() == 1
    square = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=4)
    assert covered[square].min() == 1


def test_sizes_are_multiples_where_the_frame_has_room():
    mask = np.zeros((100, 100), bool)
    mask[40:51, 30:37] = True
    ((rows, columns),) = rectangles_around(mask, 3, 4)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (20, 16)


def test_a_rectangle_at_the_edge_keeps_its_size():
    mask = np.zeros((100, 100), bool)
    mask[0:8, 95:100] = True
    ((rows, columns),) = rectangles_around(mask, 2, 4)
    assert (rows, columns) == (slice(0, 12), slice(88, 100))


def test_two_distant_bones_have_two_rectangles_and_none_has_none():
    mask = np.zeros((60, 200), bool)
    assert rectangles_around(mask, 3, 4) == []
    mask[20:40, 20:40] = mask[20:40, 150:170] = True
    assert len(rectangles_around(mask, 3, 4)) == 2
