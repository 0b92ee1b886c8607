"""The decoder turns a feature pyramid into an image of full size (feature pyramid, semantic head, refiner).

Layout after the public tutorial of Gu 2024's group: a feature pyramid network, a head that sums all levels at 1/4 of
the size, and a refiner of two transposed convolutions; `width` scales all of it (256 in the paper's size).
Batch normalisation takes the place of the tutorial's instance normalisation, which divides every feature by its spread
in that one image and so erases how dense the bone is (measured in docs/synthesis.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

DROPOUT = 0.1
"""Share of channels dropped before the refiner, in training only."""


class Decoder(nn.Module):
    """Image (n, 1, rows, columns) from features at strides 4, 8, 16, 32.

    Args:
        channels: channels of the four levels, finest first.
        width: channels inside the decoder; a multiple of 4.
        initial_output: value of every pixel before training (the background of the target).
    """

    def __init__(self, channels: Sequence[int], width: int, initial_output: float):
        super().__init__()
        self.pyramid = FeaturePyramid(channels, width)
        self.levels = nn.ModuleList(_level(width, doublings) for doublings in range(len(channels)))
        self.merge = nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(width, width, 1))
        last = nn.Conv2d(width // 4, 1, 7, padding=3, padding_mode="reflect")
        nn.init.normal_(last.weight, std=0.001)
        nn.init.constant_(cast(Tensor, last.bias), initial_output)
        self.refiner = nn.Sequential(*_doubling(width, width // 2), *_doubling(width // 2, width // 4), last)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Merge the levels at 1/4 of the size, then refine to full size."""
        levels = zip(self.levels, self.pyramid(features), strict=True)
        merged = torch.stack([level(feature) for level, feature in levels]).sum(dim=0)
        return self.refiner(self.merge(merged))


class FeaturePyramid(nn.Module):
    """Top-down path: every level also sees the coarser ones (Lin 2017).

    Args:
        channels: channels of the levels, finest first.
        width: channels of every output level.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(n, width, 1) for n in channels)
        self.outputs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One map of `width` channels per level."""
        merged = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        for fine in range(len(merged) - 2, -1, -1):
            coarse = functional.interpolate(merged[fine + 1], size=merged[fine].shape[-2:], mode="nearest")
            merged[fine] = merged[fine] + coarse
        return [output(level) for output, level in zip(self.outputs, merged, strict=True)]


def _level(width: int, doublings: int) -> nn.Sequential:
    """One convolution at least, and one per doubling up to 1/4 of the image size."""
    layers: list[nn.Module] = []
    for _ in range(max(1, doublings)):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        if doublings:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return nn.Sequential(*layers)


def _doubling(channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(channels, out_channels, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
