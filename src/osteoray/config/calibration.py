"""Configuration of `calibration`: the phantom in the CT, the gates on its line, and what may stand in for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from osteoray.config.section import Section

Level = Literal["phantom", "asynchronous", "internal", "none"]


class CalibrationConfig(Section):
    """From HU to mg/cm³ hydroxyapatite by the phantom under the patient."""

    phantom: str = Field("b_mas200", pattern=r"^[a-z0-9_]+$")
    """Name of the phantom's table in resources/phantoms; `auto` recognises which of all tables it is."""

    ladder: tuple[Level, ...] = Field(("phantom",), min_length=1)
    """What calibrates a CT, in order of trust: its phantom, reference scans of the same scanner and protocol, air, fat
    and muscle, or physics alone. With the default a CT without a usable phantom is withheld."""

    reference: str = ""
    """Table of reference scans for `asynchronous`: a kept copy of calibration/scanners.tsv of an earlier run."""

    reference_scans: int = Field(10, ge=1, le=1000)
    """How many of the latest reference scans of a scanner and protocol are averaged."""

    min_reference_scans: int = Field(3, ge=1, le=1000)
    """Fewest reference scans of a scanner and protocol."""

    max_tissue_residual_hu: float = Field(20.0, gt=0, le=100)
    """Largest distance of air, fat or muscle from the line through them, for `internal`; HU."""

    water: tuple[str, ...] = ()
    """Folders, relative to the cohort's raw folder, with a CT of a cylinder of water each: 160 mm or more across, its
    axis along the table, with or without rods of bone-like material along the same. They tell how far the scanner's
    correction of beam hardening is off, rods also for bone, and that is taken out of every CT of the same scanner and
    tube voltage. Empty: nothing is taken out."""

    @field_validator("water")
    @classmethod
    def _folders_below_raw(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            if not folder.strip("/. ") or folder.startswith("/") or ".." in folder.split("/"):
                raise ValueError(f"expected folders below the raw folder, got {folder!r}")
        if len(set(folders)) < len(folders):
            raise ValueError("expected every folder once")
        return folders

    min_likeness: float = Field(0.8, ge=0, le=1)
    """Smallest correlation between the phantom's pattern and the CT at which the phantom counts as found."""

    core_fraction: float = Field(0.55, gt=0, le=0.7)
    """Part of a rod's radius that is averaged, so that its blurred rim is left out."""

    end_margin_mm: float = Field(10.0, ge=0, le=50)
    """Length left out at each end of the phantom; mm."""

    min_length_mm: float = Field(40.0, ge=20, le=300)
    """Shortest usable length of the phantom; mm."""

    min_levels: int = Field(4, ge=3, le=6)
    """Fewest density levels that must be usable, the slab itself included; all of them where a phantom has fewer."""

    min_r2: float = Field(0.995, gt=0, lt=1)
    """Smallest coefficient of determination of the line."""

    max_residual_mg_cm3: float = Field(10.0, gt=0)
    """Largest distance of a rod from the line; mg/cm³."""

    review_r2: float = Field(0.999, gt=0, lt=1)
    """Coefficient of determination below which the line carries a warning."""

    review_residual_mg_cm3: float = Field(5.0, gt=0)
    """Distance of a rod from the line above which the line carries a warning; mg/cm³."""

    review_leave_one_out: float = Field(0.03, gt=0, lt=1)
    """Change of slope without one level above which the line carries a warning, as a fraction."""

    slope_range_mg_cm3_per_hu: tuple[float, float] = (0.45, 1.1)
    """Physically plausible slopes; mg/cm³ per HU."""

    usual_slope_range_mg_cm3_per_hu: tuple[float, float] = (0.6, 0.95)
    """Slopes at 120 kV beyond which the line carries a warning; at other voltages scaled by physics; mg/cm³ per HU."""

    max_intercept_mg_cm3: float = Field(30.0, gt=0)
    """Largest density of water (0 HU), up or down; mg/cm³."""

    max_slope_drift: float = Field(0.02, gt=0)
    """Change of slope along the phantom that carries a warning, as a fraction."""

    max_offset_drift_mg_cm3: float = Field(5.0, gt=0)
    """Change of intercept along the phantom that carries a warning; mg/cm³."""

    max_field_tilt_hu: float = Field(5.0, gt=0)
    """Difference between the slab's left and right that carries a warning; HU."""
