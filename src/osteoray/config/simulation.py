"""The virtual cohort: how many patients, and the CT scanner and X-ray system that image them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from osteoray.config.section import Section


class CtScannerConfig(Section):
    """The simulated CT scan."""

    matrix: int = Field(default=256, ge=32, le=1024)
    """Pixels per row and column of a slice."""
    pixel_mm: float = Field(default=1.8, ge=0.4, le=8)
    """Pixel size in mm."""
    slice_mm: float = Field(default=2.5, ge=0.5, le=10)
    """Slice thickness and distance in mm."""
    extent_mm: float = Field(default=275.0, ge=60, le=500)
    """Scanned length in mm, from the iliac crests downwards."""
    noise_hu: float = Field(default=12.0, ge=0, le=100)
    """Standard deviation of the noise in HU in a body of 28 cm water-equivalent diameter, at 5 mm³ voxels."""


class XraySystemConfig(Section):
    """The simulated X-ray system."""

    rows: int = Field(default=480, ge=32, le=4096)
    """Detector rows."""
    columns: int = Field(default=600, ge=32, le=4096)
    """Detector columns."""
    pitch_mm: float = Field(default=0.75, ge=0.05, le=10)
    """Detector pixel size in mm."""
    sid_mm: float = Field(default=1150.0, ge=800, le=2000)
    """Mean distance from focus to detector in mm."""
    sid_sd_mm: float = Field(default=25.0, ge=0, le=100)
    """Standard deviation of that distance over X-rays in mm."""
    kvp: Literal[70, 75, 80, 85, 90] = 80
    """Tube voltage in kV."""
    soft_tissue_mm: float = Field(default=3.0, ge=1, le=12)
    """Voxel size in mm at which soft tissue follows the femurs; bones move at the anatomy's own voxel size."""


class SimulationConfig(Section):
    """Virtual patients with everything a hospital would deliver, and the truth."""

    patients: int = Field(default=20, ge=1, le=10000)
    """Number of virtual patients; raising it appends patients and changes none."""
    labelled: int = Field(default=6, ge=0)
    """The first this many patients come with bone labels."""
    xrays_per_patient: int = Field(default=2, ge=1, le=5)
    """X-rays per patient; poses rotate, so that patients differ."""
    seed: int = Field(default=2026, ge=0)
    """Seed of the cohort."""
    anatomy: Literal["procedural", "labelmaps"] = "procedural"
    """Where shapes come from: drawn by formula, or bone and body label maps on disk."""
    labelmaps: str = ""
    """Folder of `*_label.nii.gz` and `*_mask.nii.gz` pairs, for anatomy `labelmaps`."""
    anatomy_spacing_mm: float = Field(default=1.8, ge=0.5, le=8)
    """Voxel size of the virtual body in mm."""
    ct: CtScannerConfig = CtScannerConfig()
    """CT scanner."""
    xray: XraySystemConfig = XraySystemConfig()
    """X-ray system."""

    @model_validator(mode="after")
    def _labelmaps_have_a_folder(self) -> SimulationConfig:
        if (self.anatomy == "labelmaps") != bool(self.labelmaps):
            raise ValueError(
                f"labelmaps: expected a folder exactly when anatomy is labelmaps, got {self.labelmaps!r} "
                f"with anatomy {self.anatomy}"
            )
        return self
