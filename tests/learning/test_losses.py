"""Gradient correlation has closed forms, and no image makes it NaN."""

from __future__ import annotations

import pytest
import torch

from osteoray.learning.losses import gradient_correlation_loss, score_error, squared_error


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand((3, 1, 24, 12), generator=torch.Generator().manual_seed(0))


def test_an_image_correlates_perfectly_with_itself(images: torch.Tensor) -> None:
    assert gradient_correlation_loss(images, images).item() == pytest.approx(0, abs=1e-4)


def test_gain_offset_and_sign_do_not_matter(images: torch.Tensor) -> None:
    assert gradient_correlation_loss(3 * images + 2, images).item() == pytest.approx(0, abs=1e-4)
    # The absolute gradient forgets the sign.
    assert gradient_correlation_loss(1 - images, images).item() == pytest.approx(0, abs=1e-4)


def test_a_constant_prediction_costs_one_and_its_slope_is_finite(images: torch.Tensor) -> None:
    flat = torch.full_like(images, 0.3, requires_grad=True)
    loss = gradient_correlation_loss(flat, images)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert torch.isfinite(flat.grad).all()


def test_it_is_the_mean_of_the_correlations_of_both_directions() -> None:
    """Against numpy on an image whose gradients along the two axes differ."""
    import numpy as np
    from scipy.signal import correlate2d

    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 10, 8))
    kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    expected = np.mean(
        [
            np.corrcoef(
                np.abs(correlate2d(a, k, mode="valid")).ravel(), np.abs(correlate2d(b, k, mode="valid")).ravel()
            )[0, 1]
            for k in (kernel, kernel.T)
        ]
    )
    got = gradient_correlation_loss(torch.tensor(a)[None, None], torch.tensor(b)[None, None])
    assert got.item() == pytest.approx(1 - expected, abs=1e-5)


def test_half_precision_is_computed_in_full(images: torch.Tensor) -> None:
    flat = torch.zeros_like(images).bfloat16()
    assert gradient_correlation_loss(flat, images.bfloat16()).dtype == torch.float32


def test_scores_are_compared_with_one_and_zero() -> None:
    scores = torch.tensor([0.0, 1.0, 2.0])
    assert score_error(scores, is_real=True).item() == pytest.approx(2 / 3)
    assert score_error(scores, is_real=False).item() == pytest.approx(5 / 3)


def test_squared_error_is_the_mean_over_pixels() -> None:
    assert squared_error(torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 3.0)).item() == pytest.approx(9)
