"""Settings of pretraining."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section
from osteoray.config.training import TrainingSection


class PretrainingEpochs(Section):
    """Passes over the training halves, per task; 10, 30, 70, 150, 310, 630 or 1270 end with a cycle."""

    mp: int = Field(30, ge=1)
    """Masked patches."""
    bd: int = Field(70, ge=1)
    """Bone decomposition."""


class PretrainingConfig(TrainingSection):
    """How an encoder is pretrained on the release's own X-rays."""

    epochs: PretrainingEpochs = PretrainingEpochs()
    """Passes over the training halves, per task."""
