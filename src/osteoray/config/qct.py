"""Configuration of QCT areal BMD."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class QctConfig(Section):
    """How the areal density of the proximal femur is measured in the QCT, and what is plausible."""

    voxel_mm: float = Field(1.0, ge=0.3, le=2.0)
    """Voxel and pixel size in mm of the re-oriented femur and its projection."""
    focus_mm: float | None = Field(None, ge=300)
    """Distance in mm from the X-ray focus to the middle of the region, in a cone beam; null projects in parallel."""
    min_abmd_g_cm2: float = Field(0.2, ge=0.0)
    """Lowest plausible areal density in g/cm²; below it the side is withheld."""
    max_abmd_g_cm2: float = Field(2.0, ge=0.5)
    """Highest plausible areal density in g/cm²; above it the side is withheld."""
