"""Batches: shares that sum to one, aligned with images, at several slice thicknesses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osteoray.segmentation.training_slices import COARSE_OF_FINE, THICKER, CoarseSource, FineSource


@pytest.fixture(scope="module")
def source(tiny_patient, tiny_design) -> FineSource:
    contexts = [volume.shares for volume in tiny_patient.coarse]
    return FineSource([tiny_patient], [contexts], tiny_design, window_px=32)


def test_slices_come_in_several_thicknesses(tiny_patient):
    assert len(tiny_patient.fine) == len(THICKER) == len(COARSE_OF_FINE)
    layers = [len(volume.images) for volume in tiny_patient.fine]
    assert layers[0] > layers[1] > layers[2]
    assert layers[0] == pytest.approx(THICKER[2] * layers[2], rel=0.05)


def test_shares_sum_to_one_and_repeat_with_the_seed(source):
    first, again = (source.draw(4, torch.Generator().manual_seed(2)) for _ in range(2))
    assert first.inputs.shape == (4, 6, 32, 32)
    torch.testing.assert_close(first.targets.sum(dim=1), torch.ones(4, 32, 32))
    torch.testing.assert_close(first.inputs, again.inputs, rtol=0, atol=0)


def test_windows_hold_bone(source):
    batch = source.draw(16, torch.Generator().manual_seed(0))
    assert (batch.targets[:, 1:].sum(dim=1).amax(dim=(1, 2)) > 0.5).all()


def test_images_targets_and_context_are_aligned(source, tiny_patient, tiny_design):
    """Bone is bright, so image, target and the answer of a perfect coarse network go together."""
    batch = source.draw(32, torch.Generator().manual_seed(1))
    bone = batch.targets[:, 1:].sum(dim=1)
    assert np.corrcoef(batch.inputs[:, 1].flatten(), bone.flatten())[0, 1] > 0.5
    assert np.corrcoef(batch.inputs[:, 3:].sum(dim=1).flatten(), bone.flatten())[0, 1] > 0.8
    whole = CoarseSource([tiny_patient], tiny_design).draw(32, torch.Generator().manual_seed(1))
    assert np.corrcoef(whole.inputs[:, 1].flatten(), whole.targets[:, 1:].sum(dim=1).flatten())[0, 1] > 0.5
