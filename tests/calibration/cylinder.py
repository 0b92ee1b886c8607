"""A cylinder of water as a scanner with a known error of its correction shows it, by the closed form."""

from __future__ import annotations

import numpy as np

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume


def cylinder(
    quadratic_per_cm: float = 3e-5,
    *,
    radius_mm: float = 150.0,
    slices: int = 20,
    spacing_mm: tuple[float, float, float] = (5.0, 1.6, 1.6),
    shape: tuple[int, int] = (240, 240),
    middle_mm: tuple[float, float] = (8.0, -5.0),
    squash: float = 1.0,
    water_hu: float = 0.0,
    noise_hu: float = 0.0,
    ends: int = 1,
) -> Volume:
    """HU = water - 1000 (8 c / pi) sqrt(R² - r²) inside, air outside and at both ends, on a thin couch."""
    grid = VoxelGrid.axial((slices, *shape), spacing_mm)
    y_mm, x_mm = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm[1:], strict=True))
    down_mm, aside_mm = (y_mm - middle_mm[0])[:, None] * squash, (x_mm - middle_mm[1])[None, :]
    distance_cm = np.hypot(down_mm, aside_mm) / 10
    cups_hu = -1000 * 8 * quadratic_per_cm / np.pi * np.sqrt(np.maximum((radius_mm / 10) ** 2 - distance_cm**2, 0))
    plane = np.where(distance_cm < radius_mm / 10, water_hu + cups_hu * (1 + water_hu / 1000) ** 2, -1000.0)
    plane[np.abs(down_mm[:, 0] - radius_mm - 4) < 1.6] = -300.0
    hu = np.repeat(plane[None], slices, axis=0)
    hu[:ends] = hu[slices - ends :] = -1000.0
    hu += np.random.default_rng(0).normal(0, noise_hu, hu.shape) if noise_hu else 0.0
    return Volume(np.rint(hu).astype(np.int16), grid)


def from_axis_mm(volume: Volume, middle_mm: tuple[float, float] = (8.0, -5.0)) -> np.ndarray:
    """Distance of every pixel of a slice from the axis."""
    lengths = zip(volume.grid.shape[1:], volume.grid.spacing_mm[1:], strict=True)
    y_mm, x_mm = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in lengths)
    return np.hypot((y_mm - middle_mm[0])[:, None], (x_mm - middle_mm[1])[None, :])
