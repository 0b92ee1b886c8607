"""The map GAN of Gu 2024: squared error, gradient correlation and an unconditional patch discriminator.

The generator minimises λ_L2·L2 + λ_GC·(1 − GC) + λ_GAN·(D(ŷ) − 1)², the discriminator ½(D(y) − 1)² + ½D(ŷ)²
(least-squares GAN, as in the public code; the paper prints the logarithmic form). Maps are in units of their window,
[-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from osteoray.learning.augmentation import Augmentation, augment
from osteoray.learning.discriminator import PatchDiscriminator
from osteoray.learning.generator import Generator
from osteoray.learning.loop import Task
from osteoray.learning.losses import gradient_correlation_loss, score_error, squared_error
from osteoray.learning.normalisation import Window


@dataclass(frozen=True)
class Weights:
    """Weights of the generator's three losses (10, 1, 1 in Gu 2024)."""

    l2: float
    gc: float
    gan: float


class MapGan(Task):
    """Proximal-femur density maps from half X-rays.

    Args:
        generator: with a random or a pretrained encoder.
        discriminator: fresh.
        xray_window: normalisation of the X-rays.
        map_window: normalisation of the maps.
        weights: of the generator's losses.
        augmentation: ranges.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: PatchDiscriminator,
        xray_window: Window,
        map_window: Window,
        weights: Weights,
        augmentation: Augmentation,
    ):
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.xray_window = xray_window
        self.map_window = map_window
        self.weights = weights
        self.augmentation = augmentation

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """The generator steps first, then the discriminator on the same prediction."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def forward(self, batch: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Predictions and targets of augmented X-rays."""
        xrays = self.xray_window.normalise(batch["xray"])[:, None]
        maps = self.map_window.normalise(batch["proximal_femur"])[:, None]
        xrays, maps = augment(xrays, maps, self.augmentation, rng)
        return {"prediction": self.generator(xrays), "target": maps}

    def losses(self, player: str, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of one of the two players."""
        prediction, target = outputs["prediction"], outputs["target"]
        if player == "discriminator":
            # Two passes: real and made maps are two batches with their own statistics.
            real = score_error(self.discriminator(target), is_real=True)
            made = score_error(self.discriminator(prediction.detach()), is_real=False)
            return {"loss": (real + made) / 2}
        l2 = squared_error(prediction, target)
        gc = gradient_correlation_loss(prediction, target)
        gan = score_error(self.discriminator(prediction), is_real=True)
        loss = self.weights.l2 * l2 + self.weights.gc * gc + self.weights.gan * gan
        return {"loss": loss, "l2": l2, "gc": gc, "gan": gan}
