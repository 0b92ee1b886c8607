"""Settings of the statistics over the cohort."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class StatisticsConfig(Section):
    """How uncertainty of a statistic is expressed."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals of a statistic."""
    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples of whole patients."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstrap."""
