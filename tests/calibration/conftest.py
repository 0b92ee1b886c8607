"""Tiny CT scans of a phantom under a body, drawn from their definition, with known line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from scipy.ndimage import gaussian_filter
from tests.paths import ROOT

from osteoray.calibration.calibrating import Calibration, Settings, calibrate
from osteoray.calibration.gates import Gates
from osteoray.calibration.phantom import Phantom
from osteoray.config.calibration import CalibrationConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A drawn scan; lengths in mm, defaults are those of an ordinary patient."""

    slices: int = 40
    spacing_mm: float = 2.5
    pixel_mm: float = 1.8
    slope: float = 0.72
    intercept: float = 1.5
    noise_hu: float = 12.0
    blur_mm: float = 0.6
    gap_mm: float = 6.0
    x_mm: float = 9.0
    roll_deg: float = 1.5
    tilt: float = 0.02
    bow_mm: float = 4.0
    size: float = 1.0
    mirrored: bool = False
    shown: tuple[int, int] = (0, 1000)
    swapped: bool = False
    has_phantom: bool = True
    gain_along: float = 0.0
    twist_deg: float = 0.0
    field_tilt_hu: float = 0.0
    circle: bool = False
    seed: int = 0


NAMES = ("b_mas200", "mindways_model3", "qrm_bdc3", "qrm_bdc6")


@pytest.fixture(scope="session")
def phantoms() -> dict[str, Phantom]:
    tables = {name: (ROOT / "resources" / "phantoms" / f"{name}.yaml").read_text() for name in NAMES}
    return {name: Phantom.from_table(yaml.safe_load(table)) for name, table in tables.items()}


@pytest.fixture(scope="session")
def phantom(phantoms: dict[str, Phantom]) -> Phantom:
    return phantoms["b_mas200"]


@pytest.fixture(scope="session")
def draw(phantom: Phantom) -> Callable[[Scan], Volume]:
    return lambda scan: drawn(scan, phantom)


@pytest.fixture(scope="session")
def measure(phantom: Phantom) -> Callable[..., Calibration]:
    config = CalibrationConfig()
    gates = Gates(**{name: getattr(config, name) for name in Gates.__dataclass_fields__})
    settings = Settings(**{name: getattr(config, name) for name in Settings.__dataclass_fields__})
    return lambda volume, *tables: calibrate(volume, tables or [phantom], gates, settings, 120.0)


def drawn(scan: Scan, phantom: Phantom) -> Volume:
    rng = np.random.default_rng(scan.seed)
    width_mm, height_mm = 300.0, 200.0
    shape = (scan.slices, round(height_mm / scan.pixel_mm), round(width_mm / scan.pixel_mm))
    grid = VoxelGrid.axial(shape, (scan.spacing_mm, scan.pixel_mm, scan.pixel_mm), (-width_mm / 2, -150.0, -60.0))
    # Finer than the pixels, so that rims are partial volume as in a scanner.
    fine = 3 if scan.pixel_mm > 1 else 2
    y_mm = -150.0 + scan.pixel_mm * ((np.arange(shape[1] * fine) + 0.5) / fine - 0.5)[:, None]
    x_mm = -width_mm / 2 + scan.pixel_mm * ((np.arange(shape[2] * fine) + 0.5) / fine - 0.5)[None, :]
    body_bottom = 50.0 - 28.0 * scan.size - scan.gap_mm
    array = np.empty(shape, np.int16)
    for k in range(shape[0]):
        share = k / max(shape[0] - 1, 1) - 0.5
        image = body(x_mm, y_mm, body_bottom)
        if scan.has_phantom and scan.shown[0] <= k < scan.shown[1]:
            lay_phantom(image, x_mm, y_mm, scan, phantom, share)
        image = image.reshape(shape[1], fine, shape[2], fine).mean(axis=(1, 3))
        image = gaussian_filter(image, scan.blur_mm / scan.pixel_mm)
        gain = 1 + scan.gain_along * share
        tilt = scan.field_tilt_hu * np.linspace(-0.5, 0.5, shape[2]) * width_mm / 100
        array[k] = np.round((1000 + image) * gain - 1000 + tilt + rng.normal(0, scan.noise_hu, image.shape))
    if scan.circle:
        y, x = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[2]), indexing="ij")
        array[:, np.hypot(x, y) > 1] = -2000
    return Volume(np.maximum(array, -1024), grid)


def body(x_mm: np.ndarray, y_mm: np.ndarray, bottom_mm: float) -> np.ndarray:
    middle_mm = bottom_mm - 70
    image = np.full(np.broadcast_shapes(x_mm.shape, y_mm.shape), -1000.0)
    inside = (np.abs(x_mm) / 130) ** 2.5 + (np.abs(y_mm - middle_mm) / 70) ** 2.5 < 1
    image[inside] = np.where(np.hypot(x_mm, y_mm - middle_mm) < 90, 50.0, -90.0)[inside]
    for side in (-1, 1):
        bone = np.hypot(x_mm - side * 75, y_mm - middle_mm)
        image[bone < 22] = 250.0
        image[(bone < 24) & (bone > 21)] = 900.0
    return image


def lay_phantom(
    image: np.ndarray, x_mm: np.ndarray, y_mm: np.ndarray, scan: Scan, phantom: Phantom, share: float
) -> None:
    roll = np.radians(scan.roll_deg + scan.twist_deg * share)
    dx = x_mm - scan.x_mm - scan.tilt * 100 * share
    dy = y_mm - 34.0 + scan.bow_mm * 4 * share**2
    u = (np.cos(roll) * dx + np.sin(roll) * dy) / scan.size
    v = (np.cos(roll) * dy - np.sin(roll) * dx) / scan.size
    half_mm = phantom.slab_width_mm / 2
    v = v + phantom.sagitta_mm * (u / half_mm) ** 2
    levels_hu = (phantom.levels_mg_cm3 - scan.intercept) / scan.slope
    if phantom.unit != "HA mg/cm3":
        levels_hu = phantom.expected_hu
    image[(np.abs(u) < half_mm) & (np.abs(v) < phantom.slab_height_mm / 2)] = levels_hu[-1]
    rods_hu = levels_hu[:-1].copy()
    if scan.swapped:
        rods_hu[[1, 2]] = rods_hu[[2, 1]]
    for rod, hu in zip(phantom.rods, rods_hu, strict=True):
        offset_mm = -rod.offset_mm if scan.mirrored else rod.offset_mm
        image[np.hypot(u - offset_mm, v) < phantom.diameter_mm / 2] = hu
