"""Settings that every training shares."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class AugmentationConfig(Section):
    """Random changes of a training image; geometry acts on X-ray and map alike, brightness on the X-ray only."""

    rotation_deg: float = Field(10.0, ge=0, le=180)
    """Largest rotation either way, degrees."""
    shear_deg: float = Field(4.0, ge=0, le=45)
    """Largest shear either way, degrees."""
    shift: float = Field(0.08, ge=0, le=0.5)
    """Largest shift either way, as a share of the image size along each axis."""
    zoom: float = Field(0.1, ge=0, le=0.5)
    """Largest relative change of size, drawn for each axis."""
    flip_horizontal: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    flip_vertical: float = Field(0.0, ge=0, le=1)
    """Probability of a vertical flip."""
    gain: float = Field(0.05, ge=0, le=0.9)
    """Largest relative change of the X-ray's contrast."""
    offset: float = Field(0.1, ge=0, le=1)
    """Largest change of the X-ray's brightness, in units of its window (which spans -1 to 1)."""
    tissue: float = Field(0.1, ge=0, le=1)
    """Standard deviation of a smooth layer of soft tissue added to the X-ray, in units of its window."""


class TrainingSection(Section):
    """Fields of every section that describes a training."""

    batch_size: int = Field(8, ge=2)
    """Half X-rays per step."""
    learning_rate: float = Field(1e-3, gt=0, le=1)
    """Highest learning rate of the warm-restart schedule (AdamW)."""
    weight_decay: float = Field(1e-4, ge=0)
    """Decoupled weight decay."""
    decoder_width: int = Field(32, ge=4, multiple_of=4)
    """Channels inside the decoder."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Random changes of the training images."""
    seed: int = Field(0, ge=0)
    """Everything random in the training follows from it."""
