"""Settings of densitometry: from bone maps to BMD."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from osteoray.config.section import Section


class DensitometryConfig(Section):
    """How BMD is read out of a predicted map, and when a value is withheld."""

    threshold_g_cm2: float = Field(0.16, gt=0, lt=1)
    """Map pixels above this areal density count as bone (g/cm²), where too few training maps exist to sweep it."""
    threshold_range_g_cm2: tuple[float, float] = (0.12, 0.5)
    """Thresholds swept on the training fold's reference maps (g/cm²)."""
    threshold_step_g_cm2: float = Field(0.02, gt=0, le=0.1)
    """Step of the sweep (g/cm²)."""
    scale: Literal["line", "direct"] = "line"
    """`line`: a line fitted on the training fold puts the mean map value on the scale of QCT aBMD (Gu 2023);
    `direct`: the mean map value is the BMD (Gu 2024)."""
    minimum_training_maps: int = Field(10, ge=3)
    """Reference maps with a QCT aBMD that the training fold needs to sweep the threshold and to fit the line."""
    maximum_g_cm2: float = Field(3.0, gt=0)
    """Largest areal density of a map (g/cm²): maps are clipped to it, and it is the range of PSNR and SSIM."""
    minimum_interval_patients: int = Field(5, ge=3)
    """Patients of the other folds that an interval needs."""
    minimum_dxa_patients: int = Field(30, ge=10)
    """Patients of the other folds with a DXA measurement that a DXA-equivalent value, and so a T-score, needs."""
    magnification: float = Field(1.17, ge=1, lt=2)
    """Magnification of a hip on the detector; used for the area of the predicted bone only, never for its BMD."""
    plausible_area_cm2: tuple[float, float] = (15.0, 65.0)
    """Plausible projected area of a proximal femur (cm², at the bone)."""
    plausible_bmd_g_cm2: tuple[float, float] = (0.15, 1.6)
    """Plausible areal density of a proximal femur (g/cm²)."""
