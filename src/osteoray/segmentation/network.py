"""The Bayesian U-Net of Hiasa 2020: a U-Net whose dropout stays active, so that each pass is a sample."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Size of the network; saved with its weights.

    Attributes:
        base_filters: filters of the first level, doubled at each level below.
        levels: resolution levels.
        dropout: probability of dropping a feature map after each block.
        classes: classes to tell apart.
    """

    base_filters: int
    levels: int
    dropout: float
    classes: int


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
            Block(inputs, outputs) for inputs, outputs in zip([1, *filters[:-1]], filters, strict=True)
        )
        self.grow = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairwise(filters))
        self.up = nn.ModuleList(Block(2 * here, here) for here in filters[:-1])
        self.head = nn.Conv2d(filters[0], shape.classes, 1)

    def forward(self, images: Float[Tensor, "n 1 rows columns"]) -> Float[Tensor, "n classes rows columns"]:
        """Logits of one dropout sample per image; any image size."""
        rows, columns = images.shape[-2:]
        multiple = 2 ** (self.shape.levels - 1)
        features = functional.pad(images, (0, -columns % multiple, 0, -rows % multiple))
        skipped = []
        for level, block in enumerate(self.down):
            features = self._drop(block(functional.max_pool2d(features, 2) if level else features))
            skipped.append(features)
        for level in reversed(range(len(self.up))):
            merged = torch.cat([skipped[level], self.grow[level](features)], dim=1)
            features = self._drop(self.up[level](merged))
        return self.head(features)[..., :rows, :columns]

    def _drop(self, features: Tensor) -> Tensor:
        return functional.dropout2d(features, self.shape.dropout, training=True)


def to_checkpoint(network: BayesianUNet) -> dict:
    """Weights and size, loadable with `weights_only=True`."""
    return {"shape": asdict(network.shape), "weights": network.state_dict()}


def from_checkpoint(checkpoint: dict) -> BayesianUNet:
    """The network that `to_checkpoint` saved, ready for inference."""
    network = BayesianUNet(Shape(**checkpoint["shape"]))
    network.load_state_dict(checkpoint["weights"])
    return in_channels_last(network.eval())


def in_channels_last(network: BayesianUNet) -> BayesianUNet:
    """The network with its weights in the layout that convolutions on a CPU run twice as fast in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
