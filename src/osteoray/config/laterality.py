"""Settings of splitting X-rays into halves."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class LateralityConfig(Section):
    """How an X-ray is split into its left and right half."""

    border_mm: float = Field(2.0, ge=0, le=50)
    """A proximal femur nearer to the border of its half than this, at the detector, is not completely inside."""
