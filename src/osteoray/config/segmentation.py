"""Configuration of segmentation: the network, its training, and the limits of femur landmarks."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class SegmentationConfig(Section):
    """How bones are found in a CT and the femur is cut."""

    inplane_mm: float = Field(2.0, ge=0.5, le=4.0)
    """Pixel size in mm of the slices that the network sees."""
    slice_mm: float = Field(2.5, ge=0.5, le=5.0)
    """Smallest distance in mm between the slices that the network sees; probabilities are interpolated between."""
    window_low_hu: float = Field(-200.0, ge=-1000.0, le=0.0)
    """HU that the network sees as 0; everything below is the same."""
    window_high_hu: float = Field(1000.0, ge=200.0, le=3000.0)
    """HU that the network sees as 1; everything above is the same."""
    base_filters: int = Field(8, ge=4, le=64)
    """Filters of the first level, doubled at each level below (Hiasa 2020: 32)."""
    levels: int = Field(5, ge=2, le=6)
    """Resolution levels of the U-Net (Hiasa 2020: 5)."""
    dropout: float = Field(0.05, ge=0.0, lt=0.9)
    """Probability that a channel value is dropped after each block, in training and inference (Hiasa 2020: 0.5)."""
    samples: int = Field(4, ge=1, le=50)
    """Monte Carlo dropout samples per slice."""
    training_steps: int = Field(800, ge=1)
    """Optimiser steps of the training."""
    batch_slices: int = Field(4, ge=1, le=256)
    """Slices per step."""
    learning_rate: float = Field(6e-3, gt=0.0, le=0.1)
    """Peak learning rate of AdamW in the one-cycle schedule."""
    weight_decay: float = Field(1e-4, ge=0.0, le=0.1)
    """Weight decay of AdamW."""
    seed: int = Field(0, ge=0)
    """Seed of initial weights, slice order, augmentation and dropout."""
    report_steps: int = Field(100, ge=1)
    """Steps between progress lines and resumable checkpoints."""
    distal_cut_mm: float = Field(20.0, ge=0.0, le=60.0)
    """End of the proximal femur below the lower edge of the lesser trochanter, along the shaft (Uemura 2022: 20)."""
    head_cut_radii: float = Field(0.75, ge=0.0, le=1.5)
    """Distance of the head-neck cut from the head's centre along the neck, in head radii."""
    max_boundary_uncertainty: float = Field(0.05, ge=0.0, le=0.25)
    """Mean predictive variance at a bone's surface above which the segmentation is called uncertain."""
    metal_hu: float = Field(2800.0, ge=1500.0)
    """HU above which a voxel near a femur counts as metal."""
    metal_mm3: float = Field(50.0, ge=0.0)
    """Volume of metal in mm³ within 20 mm of the femur above which the side is withheld."""
