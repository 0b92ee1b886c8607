"""The CT scanners of the virtual hospital: what each is called, and how its numbers differ from the others'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STREAM = 1000
"""Last number of the scanners' seeds, which no stream of a patient uses."""
MODELS = ("Virtual CT 16", "Virtual CT 64", "Virtual CT 128", "Virtual CT 320")
GAIN_SD, OFFSET_SD_HU = 0.012, 2.5
"""Differences between scanners; four models read the same hip phantom 1 to 4 % apart (Bonaretti 2014)."""
DAILY_GAIN_SD, DAILY_OFFSET_SD_HU, DAILY_CUPPING_SD = 0.002, 0.7, 0.05
"""Drift of one scanner from day to day; of its cupping as a share of the largest one."""


@dataclass(frozen=True)
class ScannerUnit:
    """One scanner.

    Attributes:
        number: from 0.
        model, station, serial: as it writes them into its files.
        gain, offset_hu: its mean drift.
        cupping: how much beam hardening its correction leaves, as a share of the largest one.
    """

    number: int
    model: str
    station: str
    serial: str
    gain: float
    offset_hu: float
    cupping: float


def scanner_unit(seed: int, number: int) -> ScannerUnit:
    """A scanner of the cohort; it depends on seed and number only."""
    rng = np.random.default_rng([seed, number, STREAM])
    gain, offset_hu = float(rng.normal(1, GAIN_SD)), float(rng.normal(0, OFFSET_SD_HU))
    serial = f"{int(rng.integers(10_000, 100_000))}"
    cupping = float(rng.uniform())
    return ScannerUnit(number, MODELS[number % len(MODELS)], f"CT{number + 1:02d}", serial, gain, offset_hu, cupping)
