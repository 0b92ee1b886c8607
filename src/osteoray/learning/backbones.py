"""A backbone is an image encoder that gives a pyramid of features at 1/4, 1/8, 1/16 and 1/32 of the image size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from osteoray.learning.contrast import local_contrast


@dataclass(frozen=True)
class Backbone:
    """How timm names an encoder and which of its levels form the pyramid.

    Attributes:
        timm_name: model name in timm.
        levels: timm's `out_indices` of the strides 4, 8, 16 and 32.
    """

    timm_name: str
    levels: tuple[int, int, int, int]


BACKBONES = {
    "resnet10t": Backbone("resnet10t", (1, 2, 3, 4)),
    "resnet18": Backbone("resnet18", (1, 2, 3, 4)),
    "dm_nfnet_f0": Backbone("dm_nfnet_f0", (1, 2, 3, 4)),
    "convnextv2_atto": Backbone("convnextv2_atto", (0, 1, 2, 3)),
    "convnextv2_nano": Backbone("convnextv2_nano", (0, 1, 2, 3)),
    "convnextv2_tiny": Backbone("convnextv2_tiny", (0, 1, 2, 3)),
}
"""The encoders by the name used in folders and configuration."""


class Encoder(nn.Module):
    """A randomly initialised backbone for images of one channel, which it sees as they are and as local contrast.

    Args:
        name: key of `BACKBONES`.

    Raises:
        ValueError: no such backbone.
    """

    def __init__(self, name: str):
        super().__init__()
        if name not in BACKBONES:
            raise ValueError(f"name: expected one of {sorted(BACKBONES)}, got {name!r}")
        backbone = BACKBONES[name]
        self.name = name
        self.body = timm.create_model(
            backbone.timm_name, pretrained=False, features_only=True, in_chans=2, out_indices=backbone.levels
        )
        self.channels: tuple[int, ...] = tuple(cast(Any, self.body.feature_info).channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps (n, channels[i], rows / 2**(i+2), columns / 2**(i+2)) of images (n, 1, rows, columns)."""
        return self.body(torch.cat([images, local_contrast(images)], dim=1))
