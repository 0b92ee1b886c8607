"""PSNR and SSIM are those of torchmetrics, on a fixed range."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from osteoray.statistics.image_quality import bounding_box, psnr_db, quality, ssim


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = np.zeros((60, 40), np.float32)
    reference[15:45, 10:32] = rng.uniform(0.3, 2.0, (30, 22))
    return (reference + rng.normal(0, 0.1, reference.shape)).astype(np.float32), reference


def test_both_are_those_of_torchmetrics(maps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
    predicted, reference = (torch.from_numpy(np.clip(m, 0, 3))[None, None] for m in maps)
    assert psnr_db(*maps, 3.0) == pytest.approx(float(peak_signal_noise_ratio(predicted, reference, data_range=3.0)))
    oracle = float(structural_similarity_index_measure(predicted, reference, data_range=3.0))
    assert ssim(*maps, 3.0) == pytest.approx(oracle, abs=1e-5)


def test_psnr_of_a_constant_error_is_closed_form():
    reference = np.full((12, 12), 1.0)
    assert psnr_db(reference + 0.3, reference, 3.0) == pytest.approx(20.0)
    assert psnr_db(reference, reference, 3.0) == float("inf")


def test_values_beyond_the_range_do_not_count():
    reference = np.full((12, 12), 3.0)
    assert psnr_db(reference + 5, reference, 3.0) == float("inf")
    assert ssim(reference - 9, reference - 3, 3.0) == pytest.approx(1.0)


def test_error_inside_a_small_bone_weighs_more_on_its_box(maps):
    predicted, reference = maps
    found = quality(np.where(reference > 0, predicted, 0), reference, 3.0)
    assert found["psnr_mask_db"] <= found["psnr_roi_db"] < found["psnr_db"]
    assert found["ssim_roi"] < found["ssim"]


def test_a_map_without_bone_has_no_roi():
    assert set(quality(np.zeros((20, 20)), np.zeros((20, 20)), 3.0)) == {"psnr_db", "ssim"}
    with pytest.raises(ValueError, match="at least one pixel"):
        bounding_box(np.zeros((3, 3), bool))


def test_a_region_smaller_than_the_window_has_no_ssim():
    assert np.isnan(ssim(np.ones((10, 30)), np.ones((10, 30)), 3.0))
