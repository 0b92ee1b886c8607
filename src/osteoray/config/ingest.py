"""Configuration of `ingest`: which CT series is accepted and how X-ray values and geometry are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from osteoray.config.section import Section


class IngestConfig(Section):
    """Reading CT series and X-rays from DICOM."""

    max_thickness_mm: float = Field(3.0, gt=0, le=10)
    """Thickest CT slices, and largest distance between them, from which density is measured; mm."""

    min_coverage_mm: float = Field(80.0, gt=0, le=1000)
    """Shortest extent along the body of a CT series that can hold both hips; mm."""

    spacing_tolerance: float = Field(0.01, gt=0, le=0.1)
    """Largest departure of a distance between CT slices from the mean distance, as a fraction of it."""

    axial_tolerance_deg: float = Field(5.0, gt=0, le=20)
    """Largest angle between the normal of the CT slices and the patient's long axis; degrees."""

    most_cut_mm: float = Field(40.0, gt=0, le=1000)
    """Length of the edge of a CT's field that may lie in tissue before the body counts as cut off; mm."""

    most_step_mm: float = Field(2.5, gt=0, le=20)
    """Step of the bones from one CT slice to the next, beyond their usual shift, that counts as motion; mm."""

    log_units_per_neper: float = Field(1000.0, gt=0)
    """Stored units per neper of X-ray images with logarithmic values (Pixel Intensity Relationship LOG)."""

    log_offset: float = 8000.0
    """Stored value that means zero attenuation in X-ray images with logarithmic values."""

    display_nepers: float = Field(5.0, gt=0)
    """Attenuation given to the full range of stored values of display images (DISP or FOR PRESENTATION); nepers."""

    display_images: Literal["warn", "withhold"] = "warn"
    """What happens to display images, whose values have no known relation to exposure."""

    default_sid_mm: float = Field(1100.0, ge=500, le=3000)
    """Distance from focus to detector assumed where an X-ray does not record it; mm."""
