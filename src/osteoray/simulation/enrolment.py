"""Who the virtual patients are: a table that depends on seed and row only, so that appending changes nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from osteoray.config.simulation import SimulationConfig

POSES = ("supine", "standing", "abduction", "rest", "adduction")
"""Poses in the order in which patients go through them."""

STREAMS = ("enrolment", "anatomy", "ct", "xrays", "dxa")
"""What draws random numbers of its own; the position in this list is part of the seed."""

BMI_MEAN_SD_MIN_MAX = (23.5, 3.6, 17.0, 34.0)
"""Body mass index in kg/m² (mean and spread as in Gu 2023's cohort)."""

VERY_LARGE_BMI = 48.0
"""Body mass index of a patient with the defect `very_large`."""


@dataclass(frozen=True)
class VirtualXray:
    """An X-ray that is to be taken."""

    xray_id: str
    pose: str


@dataclass(frozen=True)
class VirtualPatient:
    """A row of the virtual cohort.

    Attributes:
        index: position in the enrolment order, from 0.
        labelled: whether the patient comes with bone labels.
    """

    index: int
    patient_id: str
    sex: str
    age_years: int
    height_cm: int
    weight_kg: int
    labelled: bool
    xrays: tuple[VirtualXray, ...]


def enrol(config: SimulationConfig) -> list[VirtualPatient]:
    """The patients of the cohort in enrolment order."""
    return [enrolled(config, patient_id(index)) for index in range(config.patients)]


def patient_id(index: int) -> str:
    """Identifier of the patient at a position of the enrolment order."""
    return f"V{index + 1:03d}"


def generator(seed: int, index: int, stream: str, item: int = 0) -> np.random.Generator:
    """Random numbers of one patient for one purpose.

    Args:
        seed: of the cohort.
        index: of the patient.
        stream: one of `STREAMS`.
        item: of several things of the same kind, such as X-rays.
    """
    return np.random.default_rng([seed, index, STREAMS.index(stream), item])


def enrolled(config: SimulationConfig, name: str) -> VirtualPatient:
    """The patient of an identifier; how many others there are does not matter.

    Raises:
        ValueError: not an identifier of the cohort.
    """
    if not re.fullmatch(r"V\d{3,}", name) or patient_id(int(name[1:]) - 1) != name or name == "V000":
        raise ValueError(f"name: expected V001, V002, ..., got {name!r}")
    index = int(name[1:]) - 1
    rng = generator(config.seed, index, "enrolment")
    sex = "F" if rng.random() < 0.75 else "M"
    age_years = int(np.clip(rng.normal(64, 13), 25, 92))
    height_cm = round(rng.normal(156, 6) if sex == "F" else rng.normal(168, 6))
    mean, sd, low, high = BMI_MEAN_SD_MIN_MAX
    bmi = float(np.clip(rng.normal(mean, sd), low, high))
    if "very_large" in config.defects.get(name, ()):
        bmi = VERY_LARGE_BMI
    return VirtualPatient(
        index=index,
        patient_id=name,
        sex=sex,
        age_years=age_years,
        height_cm=height_cm,
        weight_kg=round(bmi * (height_cm / 100) ** 2),
        labelled=index < config.labelled,
        xrays=tuple(
            VirtualXray(f"X{n + 1}", POSES[(config.xrays_per_patient * index + n) % len(POSES)])
            for n in range(config.xrays_per_patient)
        ),
    )
