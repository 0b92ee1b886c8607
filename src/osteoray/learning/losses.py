"""Losses between a predicted and a true image, and the least-squares GAN loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GC_EPSILON = 1e-8
"""Added to the product of variances: an image without any gradient has correlation 0 and a finite slope."""


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over all pixels (the L2 term of Gu 2024)."""
    return functional.mse_loss(prediction.float(), target.float())


def gradient_correlation_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """One minus the mean gradient correlation, from 0 (equal up to gain and offset) to 2.

    Per image the absolute Sobel responses along rows and along columns are correlated over all pixels; the two
    correlations are averaged (Gu 2023 and 2024 minimise the negative correlation). Computed in float32.

    Args:
        prediction: images (n, 1, rows, columns).
        target: images of the same shape.
    """
    # Autocast would undo the conversion to float32, in which alone the epsilon is representable.
    with torch.autocast(prediction.device.type, enabled=False):
        correlation = _correlation(_sobel(prediction.float()), _sobel(target.float()))
    return 1 - correlation.mean()


def score_error(scores: Tensor, is_real: bool) -> Tensor:
    """Mean squared distance of a discriminator's scores from 1 (real) or 0 (made): LSGAN, Mao 2017."""
    return functional.mse_loss(scores, torch.full_like(scores, float(is_real)))


def _sobel(images: Tensor) -> Tensor:
    """Absolute Sobel responses (n, 2, rows - 2, columns - 2); no padding, so no edge is invented at the border."""
    columns = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=images.device)
    kernels = torch.stack([columns, columns.T])[:, None]
    return functional.conv2d(images, kernels).abs()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation over the pixels of every image and channel."""
    a = a - a.mean(dim=(-2, -1), keepdim=True)
    b = b - b.mean(dim=(-2, -1), keepdim=True)
    variances = a.square().mean(dim=(-2, -1)) * b.square().mean(dim=(-2, -1))
    return (a * b).mean(dim=(-2, -1)) / torch.sqrt(variances + GC_EPSILON)
