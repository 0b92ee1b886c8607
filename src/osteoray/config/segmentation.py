"""Configuration of segmentation: the network, its training, and the limits of femur landmarks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from osteoray.config.section import Section


class TotalSegmentatorConfig(Section):
    """How TotalSegmentator is called."""

    fast: bool = False
    """Its network at 3 mm instead of those at 1.5 mm: for trying out without a GPU."""


TRAINING_KEYS = frozenset(
    {
        "coarse_mm",
        "fine_mm",
        "fine_slice_mm",
        "window_low_hu",
        "window_high_hu",
        "coarse_filters",
        "coarse_levels",
        "fine_filters",
        "fine_levels",
        "dropout",
        "coarse_steps",
        "fine_steps",
        "batch",
        "window_px",
        "learning_rate",
        "weight_decay",
        "seed",
        "report_steps",
    }
)
"""What a training depends on; the other keys of `SegmentationConfig` train nothing anew."""


class SegmentationConfig(Section):
    """How bones are found in a CT and the femur is cut."""

    backend: Literal["network", "provided", "totalsegmentator"] = "network"
    """What finds the bones of patients without bone_labels: the network that is trained here on those with labels,
    nothing (every patient needs labels), or TotalSegmentator."""
    totalsegmentator: TotalSegmentatorConfig = TotalSegmentatorConfig()
    """What TotalSegmentator is told, where it is the backend."""
    coarse_mm: float = Field(3.0, ge=1.0, le=6.0)
    """Pixel size and smallest slice distance in mm at which the coarse network looks for bones."""
    fine_mm: float = Field(1.5, ge=0.5, le=3.0)
    """Pixel size in mm at which the fine network draws their boundaries; probabilities are interpolated between."""
    fine_slice_mm: float = Field(2.0, ge=0.5, le=5.0)
    """Smallest slice distance in mm of the fine network; thicker slices stay as they are."""
    window_low_hu: float = Field(-200.0, ge=-1000.0, le=0.0)
    """HU that the network sees as 0; everything below is the same."""
    window_high_hu: float = Field(1000.0, ge=200.0, le=3000.0)
    """HU that the network sees as 1; everything above is the same."""
    coarse_filters: int = Field(8, ge=4, le=64)
    """Filters of the coarse network's first level, doubled at each level below (Hiasa 2020: 32)."""
    coarse_levels: int = Field(5, ge=2, le=6)
    """Resolution levels of the coarse network (Hiasa 2020: 5)."""
    fine_filters: int = Field(12, ge=4, le=64)
    """Filters of the fine network's first level, doubled at each level below."""
    fine_levels: int = Field(3, ge=2, le=6)
    """Resolution levels of the fine network; the coarse network's answer shows it what lies farther away."""
    dropout: float = Field(0.05, ge=0.0, lt=0.9)
    """Probability that a channel value is dropped after each block, in training and inference (Hiasa 2020: 0.5)."""
    samples: int = Field(4, ge=2, le=50)
    """Monte Carlo dropout samples per slice; one alone has no variance. Every other one is seen in a mirror, so
    choose an even number."""
    coarse_steps: int = Field(500, ge=5)
    """Optimiser steps of the coarse network."""
    fine_steps: int = Field(600, ge=5)
    """Optimiser steps of the fine network, which is trained after the coarse one, on its answers."""
    batch: int = Field(8, ge=1, le=256)
    """Slices per step of the coarse network, windows per step of the fine one."""
    window_px: int = Field(96, ge=16, le=512)
    """Rows and columns of the windows around bone that the fine network learns from."""
    learning_rate: float = Field(6e-3, gt=0.0, le=0.1)
    """Peak learning rate of AdamW in the one-cycle schedule."""
    weight_decay: float = Field(1e-4, ge=0.0, le=0.1)
    """Weight decay of AdamW."""
    seed: int = Field(0, ge=0)
    """Seed of initial weights, slice order, augmentation and dropout."""
    report_steps: int = Field(100, ge=1)
    """Steps between progress lines and resumable checkpoints."""
    validation_folds: int = Field(2, ge=0, le=20)
    """Parts into which the labelled patients are dealt; a network trained on the others segments each. 0: none; 1 is
    refused, as it would leave nobody to learn from."""
    distal_cut_mm: float = Field(20.0, ge=0.0, le=60.0)
    """End of the proximal femur below the lower edge of the lesser trochanter, along the shaft (Uemura 2022: 20)."""
    head_cut_radii: float = Field(0.75, ge=0.0, le=1.5)
    """Distance of the head-neck cut from the head's centre along the neck, in head radii."""
    total_hip_cut_mm: float = Field(10.0, ge=0.0, le=60.0)
    """End of the total hip of DXA below the same edge, not below the distal cut (Hologic: 10 pixels of about 1 mm)."""
    max_doubt: float = Field(0.015, ge=0.0, le=1.0)
    """Doubt of a bone (predictive variance in and around it, over its volume) above which it is called uncertain."""
    metal_hu: float = Field(2500.0, ge=1500.0)
    """HU above which a voxel near a femur counts as metal."""
    metal_mm3: float = Field(50.0, ge=0.0)
    """Volume of metal in mm³ within 20 mm of the femur above which the side is withheld."""
    fracture_share: float = Field(0.65, gt=0.0, le=1.0)
    """Share of the femur's circumference in one plane without cortex from which the side is withheld as broken."""

    @field_validator("validation_folds")
    @classmethod
    def _somebody_to_learn_from(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("expected 0 (none) or 2 and more; one fold leaves nobody to learn from")
        return folds

    @model_validator(mode="after")
    def _total_hip_is_in_the_scan(self) -> SegmentationConfig:
        if self.total_hip_cut_mm > self.distal_cut_mm:
            raise ValueError(
                f"total_hip_cut_mm: expected at most distal_cut_mm ({self.distal_cut_mm:g}), which a scan must reach, "
                f"got {self.total_hip_cut_mm:g}"
            )
        return self
