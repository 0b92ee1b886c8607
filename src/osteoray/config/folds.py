"""Settings of the release and its folds."""

from __future__ import annotations

from pydantic import Field

from osteoray.config.section import Section


class ReleaseConfig(Section):
    """The training cohort: everyone, or the first patients enrolled."""

    name: str = Field("all", pattern=r"^[A-Za-z0-9_.-]+$")
    """Name of the release; its trainings live in folders of this name."""
    patients: int | None = Field(None, ge=1)
    """The release is frozen to this many patients in order of enrolment; empty means everyone."""


class FoldsConfig(Section):
    """Who trains and who is held out."""

    count: int = Field(2, ge=2)
    """Number of folds (4 in Gu 2024)."""
    seed: int = Field(0, ge=0)
    """Seed of the permuted blocks."""
    release: ReleaseConfig = ReleaseConfig()
    """The training cohort."""
