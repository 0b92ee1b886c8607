"""Local contrast forgets smooth layers and keeps the size of what is small."""

from __future__ import annotations

import pytest
import torch

from osteoray.learning.contrast import GAIN, local_contrast


def blob(size: tuple[int, int], width: float) -> torch.Tensor:
    rows, columns = size
    r, c = torch.meshgrid(torch.linspace(-2, 2, rows), torch.linspace(-1, 1, columns), indexing="ij")
    return torch.exp(-(r**2 + c**2) / (2 * width**2))[None, None]


def test_brightness_does_not_matter() -> None:
    images = torch.rand(2, 1, 128, 64)
    torch.testing.assert_close(local_contrast(images + 3), local_contrast(images), atol=1e-4, rtol=0)


def test_contrast_is_linear() -> None:
    """No image is divided by anything of its own."""
    images = torch.rand(2, 1, 128, 64)
    torch.testing.assert_close(local_contrast(2.5 * images), 2.5 * local_contrast(images), atol=1e-4, rtol=0)


def test_what_is_small_keeps_its_height_at_every_resolution() -> None:
    for size in ((64, 32), (128, 64), (512, 256)):
        image = blob(size, 0.06)
        assert local_contrast(image).max() / GAIN == pytest.approx(image.max().item(), rel=0.1)


def test_what_is_smooth_disappears() -> None:
    assert local_contrast(blob((128, 64), 3.0)).abs().max() / GAIN < 0.05
