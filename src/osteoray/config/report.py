"""Settings of the cohort report."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class ReportConfig(Section):
    """What the cohort report shows."""

    title: str = "Hip BMD from plain X-rays"
    """Title of the report."""
    cohort: str = ""
    """One sentence on the cohort, shown below the title."""
    example_maps: int = Field(4, ge=1, le=12)
    """Held-out half X-rays shown with reference, prediction and error: evenly spread from best to worst."""
    example_segmentations: int = Field(10, ge=0, le=50)
    """Pictures of segmentations: half with most findings and then most doubt, the others evenly spread."""
    example_registrations: int = Field(12, ge=0, le=100)
    """X-rays shown with the outlines of their bones: half with most findings, the others evenly spread."""
    error_range_g_cm2: float = Field(0.5, gt=0)
    """Signed error at which the colours of an error map saturate (g/cm²)."""
    dpi: int = Field(110, ge=60, le=300)
    """Resolution of the figures (dots per inch)."""
