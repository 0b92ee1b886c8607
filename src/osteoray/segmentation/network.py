"""The Bayesian U-Net of Hiasa 2020: a U-Net whose dropout stays active, so that each pass is a sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAST_PRIOR = 0.01
"""A prior never excludes a class."""


@dataclass(frozen=True)
class Shape:
    """Size of the network; saved with its weights.

    Attributes:
        inputs: channels of an image.
        base_filters: filters of the first level, doubled at each level below.
        levels: resolution levels.
        dropout: probability of dropping a feature map after each block.
        classes: classes to tell apart.
        has_prior: whether the last channels of an image are probabilities of all classes but the first; the network
            then learns what to add to their logarithms.
    """

    inputs: int
    base_filters: int
    levels: int
    dropout: float
    classes: int
    has_prior: bool = False


class Block(nn.Sequential):
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class BayesianUNet(nn.Module):
    """U-Net with Monte Carlo dropout after every block, also at test.

    Whole feature maps are dropped, not single pixels: neighbouring pixels carry the same information, and the
    random numbers of a pixel-wise mask cost more than the convolutions.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        filters = [shape.base_filters * 2**level for level in range(shape.levels)]
        self.down = nn.ModuleList(
            Block(inputs, outputs) for inputs, outputs in zip([shape.inputs, *filters[:-1]], filters, strict=True)
        )
        self.grow = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairwise(filters))
        self.up = nn.ModuleList(Block(2 * here, here) for here in filters[:-1])
        self.head = nn.Conv2d(filters[0], shape.classes, 1)

    def forward(self, images: Float[Tensor, "n inputs rows columns"]) -> Float[Tensor, "n classes rows columns"]:
        """Logits of one dropout sample per image; any image size."""
        rows, columns = images.shape[-2:]
        multiple = 2 ** (self.shape.levels - 1)
        features = functional.pad(images, (0, -columns % multiple, 0, -rows % multiple))
        features = features.contiguous(memory_format=torch.channels_last)
        skipped = []
        for level, block in enumerate(self.down):
            features = self._drop(block(functional.max_pool2d(features, 2) if level else features))
            skipped.append(features)
        for level in reversed(range(len(self.up))):
            merged = torch.cat([skipped[level], self.grow[level](features)], dim=1)
            features = self._drop(self.up[level](merged))
        logits = self.head(features)[..., :rows, :columns]
        return logits + self._prior(images) if self.shape.has_prior else logits

    def _prior(self, images: Tensor) -> Tensor:
        probability = images[:, 1 - self.shape.classes :]
        rest = 1 - probability.sum(dim=1, keepdim=True)
        return torch.cat([rest, probability], dim=1).clamp(min=LEAST_PRIOR).log()

    def _drop(self, features: Tensor) -> Tensor:
        return functional.dropout2d(features, self.shape.dropout, training=True)


def in_channels_last(network: BayesianUNet) -> BayesianUNet:
    """The network with its weights in the layout that convolutions on a CPU run twice as fast in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
