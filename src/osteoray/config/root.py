"""The whole of config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from osteoray.config.calibration import CalibrationConfig
from osteoray.config.clinic import ClinicConfig
from osteoray.config.densitometry import DensitometryConfig
from osteoray.config.folds import FoldsConfig
from osteoray.config.ingest import IngestConfig
from osteoray.config.laterality import LateralityConfig
from osteoray.config.pretraining import PretrainingConfig
from osteoray.config.projection import ProjectionConfig
from osteoray.config.qct import QctConfig
from osteoray.config.registration import RegistrationConfig
from osteoray.config.report import ReportConfig
from osteoray.config.section import Section
from osteoray.config.segmentation import SegmentationConfig
from osteoray.config.simulation import SimulationConfig
from osteoray.config.statistics import StatisticsConfig
from osteoray.config.synthesis import SynthesisConfig

Task = Literal["none", "mp", "bd", "mp_bd"]
BackboneName = Literal["resnet10t", "resnet18", "dm_nfnet_f0", "convnextv2_atto", "convnextv2_nano", "convnextv2_tiny"]


class CohortConfig(Section):
    """Whose data is used: a hospital's (raw, patients and xrays), or a virtual cohort."""

    raw: Path | None = None
    """Folder that the paths in the tables are relative to."""
    patients: Path | None = None
    """patients.tsv: one row per patient, in order of enrolment."""
    xrays: Path | None = None
    """xrays.tsv: one row per X-ray."""
    virtual: SimulationConfig | None = None
    """Make this virtual cohort instead."""

    @model_validator(mode="after")
    def _one_source(self) -> CohortConfig:
        tables = [self.raw, self.patients, self.xrays]
        if (self.virtual is None) != all(tables) or (self.virtual is not None and any(tables)):
            got = [n for n in ("raw", "patients", "xrays", "virtual") if getattr(self, n) is not None]
            raise ValueError(
                "expected either raw, patients and xrays together, or virtual alone; "
                f"given: {', '.join(got) or 'nothing'} (add --replace-workflow-config to drop the demo's)"
            )
        return self


class ExperimentsConfig(Section):
    """The grid of trainings: every task with every backbone at every size, in every fold."""

    tasks: tuple[Task, ...] = Field(default=("none", "mp_bd"), min_length=1)
    """Pretraining tasks; `none` starts from random weights, a cascade is the names joined."""
    backbones: tuple[BackboneName, ...] = Field(default=("resnet10t",), min_length=1)
    """Encoders."""
    sizes: tuple[int, ...] = Field(default=(128,), min_length=1)
    """Heights of the training images in pixels; the width is half of it."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks train; `cuda` makes every training ask for one GPU."""


class Config(Section):
    """The configuration of a run."""

    results: str = Field(default="results", pattern=r"^[^\s'\"]+$")
    """Folder of everything that the run makes; relative to the working directory, without spaces."""
    cohort: CohortConfig = CohortConfig(virtual=SimulationConfig())
    """Whose data is used."""
    experiments: ExperimentsConfig = ExperimentsConfig()
    """The grid of trainings."""
    ingest: IngestConfig = IngestConfig()
    """Reading foreign DICOM."""
    calibration: CalibrationConfig = CalibrationConfig()
    """From Hounsfield units to density."""
    segmentation: SegmentationConfig = SegmentationConfig()
    """Bones, landmarks and the proximal-femur region."""
    qct: QctConfig = QctConfig()
    """Areal density of the QCT."""
    registration: RegistrationConfig = RegistrationConfig()
    """Pose of the bones in the X-rays."""
    projection: ProjectionConfig = ProjectionConfig()
    """Areal density maps."""
    laterality: LateralityConfig = LateralityConfig()
    """Half X-rays."""
    folds: FoldsConfig = FoldsConfig()
    """The release and its folds."""
    pretraining: PretrainingConfig = PretrainingConfig()
    """Pretraining of the encoder."""
    synthesis: SynthesisConfig = SynthesisConfig()
    """Synthesis of the density map."""
    densitometry: DensitometryConfig = DensitometryConfig()
    """BMD of a predicted map."""
    statistics: StatisticsConfig = StatisticsConfig()
    """Agreement and its confidence."""
    report: ReportConfig = ReportConfig()
    """The cohort's report."""
    clinic: ClinicConfig = ClinicConfig()
    """What is handed over."""
