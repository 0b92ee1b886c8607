"""Settings of map synthesis."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.training import TrainingSection


class SynthesisConfig(TrainingSection):
    """How the network that draws the proximal-femur map is trained."""

    epochs: int = Field(70, ge=1)
    """Passes over the training halves; 10, 30, 70, 150, 310, 630 or 1270 end with a cycle."""
    discriminator_width: int = Field(16, ge=4)
    """Channels of the discriminator's first layer."""
    weight_l2: float = Field(10.0, ge=0)
    """Weight of the squared error of the map in units of its window."""
    weight_gc: float = Field(1.0, ge=0)
    """Weight of the gradient correlation loss."""
    weight_gan: float = Field(0.1, ge=0)
    """Weight of the adversarial loss (1 in Gu 2024; with few images a smaller one gives more faithful maps)."""
