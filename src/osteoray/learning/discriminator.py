"""The discriminator judges every patch of a map as real or made (PatchGAN, Isola 2017); it never sees the X-ray."""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Single-scale, unconditional PatchGAN (Gu 2024).

    Args:
        width: channels of the first layer ("ndf"; 64 in the paper's size).
    """

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            *_block(width, 2 * width, stride=2),
            *_block(2 * width, 4 * width, stride=2),
            *_block(4 * width, 8 * width, stride=1),
            nn.Conv2d(8 * width, 1, 4, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """One unbounded score per overlapping patch of maps (n, 1, rows, columns)."""
        return self.layers(maps)


def _block(channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out_channels, 4, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2, inplace=True),
    ]
