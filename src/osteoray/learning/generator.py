"""A generator is an encoder followed by a decoder: image in, image of the same size out."""

from __future__ import annotations

from torch import Tensor, nn

from osteoray.learning.backbones import Encoder
from osteoray.learning.decoder import Decoder


class Generator(nn.Module):
    """Image (n, 1, rows, columns) to image of the same shape; rows and columns are multiples of 32.

    Args:
        backbone: key of `backbones.BACKBONES`.
        decoder_width: channels inside the decoder.
        initial_output: value of every pixel before training.
    """

    def __init__(self, backbone: str, decoder_width: int, initial_output: float):
        super().__init__()
        self.decoder_width = decoder_width
        self.encoder = Encoder(backbone)
        self.decoder = Decoder(self.encoder.channels, decoder_width, initial_output)

    def forward(self, images: Tensor) -> Tensor:
        """Predict in the normalised units of the target, without an output activation."""
        return self.decoder(self.encoder(images))
