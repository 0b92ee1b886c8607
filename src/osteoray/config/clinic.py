"""Settings of the hand-over to the clinic."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class ClinicConfig(Section):
    """What a patient's report says beyond the measurements."""

    site: str = "osteoray"
    """Name of the hospital or laboratory, printed at the top of every page."""
    task: str | None = None
    """Pretraining task of the model whose values are handed over; null takes the last of experiments.tasks."""
    backbone: str | None = None
    """Its backbone; null takes the last of experiments.backbones."""
    size: int | None = None
    """Its image height in pixels; null takes the last of experiments.sizes."""
    training_population: str = ""
    """Whom the model has learned from, printed on every report; empty names the release."""
    map_maximum_g_cm2: float = Field(2.0, gt=0)
    """Areal density at the upper end of the colour bar (g/cm²)."""
    minimum_precision_patients: int = Field(15, ge=2)
    """Patients with repeated X-rays below which the precision error is marked as preliminary (ISCD: 30 degrees of
    freedom, for example 15 patients with three X-rays)."""
