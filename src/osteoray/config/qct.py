"""Configuration of QCT areal BMD."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class QctConfig(Section):
    """How the areal density of the proximal femur is measured in the QCT, and what is plausible."""

    voxel_mm: float = Field(1.0, ge=0.3, le=3.0)
    """Voxel and pixel size in mm of the re-oriented femur and its projection."""
    min_abmd_g_cm2: float = Field(0.2, ge=0.0)
    """Lowest plausible areal density in g/cm²; below it the side is withheld."""
    max_abmd_g_cm2: float = Field(2.0, ge=0.5)
    """Highest plausible areal density in g/cm²; above it the side is withheld."""
