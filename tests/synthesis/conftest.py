"""Half X-rays of toy hips drawn from ellipses: fast, with an exact map, and no cue of density but contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

TISSUE_PER_CM = 0.2
BONE_CM2_PER_G = 0.35


@dataclass(frozen=True)
class ToyHalves:
    """Arrays as in a release, and the patient of every row."""

    xray: np.ndarray
    bone: np.ndarray
    proximal_femur: np.ndarray
    patient: np.ndarray


@pytest.fixture(scope="session")
def toy() -> ToyHalves:
    """Twenty patients with four halves each."""
    return toy_halves(patients=20, per_patient=4, height=64, seed=1)


def toy_halves(patients: int, per_patient: int, height: int, seed: int) -> ToyHalves:
    """Draw patients whose soft tissue says nothing about their bone."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        density = np.clip(rng.normal(1.0, 0.18), 0.5, 1.6)
        size = rng.normal(1.0, 0.05)
        tissue_cm = rng.uniform(14, 26)
        for _ in range(per_patient):
            bone, femur = _maps(height, density, size, rng)
            layer = tissue_cm * (1 + 0.08 * _smooth(height, rng))
            noise = rng.normal(0, 0.02, bone.shape)
            rows.append((TISSUE_PER_CM * layer + BONE_CM2_PER_G * bone + noise, bone, femur, patient))
    xray, bone, femur, patient = zip(*rows, strict=True)
    return ToyHalves(
        np.array(xray, np.float32), np.array(bone, np.float32), np.array(femur, np.float32), np.array(patient)
    )


def _maps(height: int, density: float, size: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Areal density of all bone and of the proximal femur, g/cm²."""
    r, c = np.mgrid[:height, : height // 2] / (height / 2) - np.array([1.0, 0.5])[:, None, None]
    r, c = (r - rng.normal(0, 0.05)) / size, (c - rng.normal(0, 0.03)) / size
    turn = rng.normal(0, 0.12)
    across, along = c * np.cos(turn) - r * np.sin(turn), c * np.sin(turn) + r * np.cos(turn)
    head = _ellipse(across - 0.05, along + 0.05, 0.14, 0.14)
    neck = _ellipse((across + 0.06) + (along - 0.04), along - 0.04 - across - 0.06, 0.14, 0.32)
    trochanter = _ellipse(across + 0.19, along - 0.18, 0.11, 0.2)
    shaft = _ellipse(across + 0.17, along - 0.75, 0.085, 0.75)
    femur = np.maximum.reduce([head, neck, trochanter, shaft])
    shell = femur - gaussian_filter(femur, height / 60)
    femur = density * np.maximum(femur + 0.8 * np.abs(shell), 0) * (1 + 0.05 * _smooth(height, rng))
    proximal = np.where(along < 0.5, femur, 0.0)
    pelvis = (
        1.1 * density * _ellipse(c - 0.3, r + 0.35, 0.35, 0.45) * (1 - 0.7 * _ellipse(c - 0.38, r - 0.02, 0.1, 0.13))
    )
    return femur + pelvis, proximal


def _ellipse(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    """Thickness of an ellipsoid, 1 in its middle."""
    return np.sqrt(np.maximum(0, 1 - (x / half_width) ** 2 - (y / half_height) ** 2))


def _smooth(height: int, rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=(height, height // 2)), height / 5)
    return field / field.std()
