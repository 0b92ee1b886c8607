"""Two networks of one design, saved and loaded together."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch

from osteoray.segmentation.inference import segment_ct
from osteoray.segmentation.segmenter import from_checkpoint, to_checkpoint


def test_a_checkpoint_gives_the_same_segmenter_without_pickled_code(tiny_segmenter, pelvis_ct):
    buffer = BytesIO()
    torch.save(to_checkpoint(tiny_segmenter), buffer)
    buffer.seek(0)
    again = from_checkpoint(torch.load(buffer, weights_only=True))
    assert again.design == tiny_segmenter.design
    first, second = (segment_ct(segmenter, pelvis_ct, samples=2, seed=0) for segmenter in (tiny_segmenter, again))
    np.testing.assert_array_equal(first.bones, second.bones)
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)


def test_the_fine_network_sees_the_answer_of_the_coarse_one(tiny_design):
    assert tiny_design.coarse_shape().inputs == 3
    assert tiny_design.fine_shape().inputs == 3 + 3
