"""Configuration of the projection of bone density at the registered poses."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class ProjectionConfig(Section):
    """How areal density maps are made."""

    supersample: int = Field(1, ge=1, le=4)
    """Rays per pixel edge, averaged."""
    finest_pitch_mm: float = Field(0.3, gt=0, le=2)
    """Rays are cast at the X-ray's pixel size, but not closer than this at the detector; maps are linear between."""
