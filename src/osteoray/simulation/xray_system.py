"""An X-ray system: areal masses along rays to the signal of its detector and the pixel values of a file.

Primary and scatter behind a collimator and a grid, exposure control, focal spot, lead marker, detector, storage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt16
from scipy.ndimage import gaussian_filter

from osteoray.geometry.camera import Camera
from osteoray.simulation.collimation import Collimator
from osteoray.simulation.detector import DETECTORS, detect, filtered_along
from osteoray.simulation.exposure import Exposure
from osteoray.simulation.exposure_control import (
    GRID_PRIMARY_TRANSMISSION,
    REFERENCE_SIGNAL_KEV_MM2,
    exposure_index,
    tube_load_mas,
)
from osteoray.simulation.markers import marker_transmission
from osteoray.simulation.primary import primary
from osteoray.simulation.scatter import scatter
from osteoray.simulation.xray_storage import PixelFormat, store


@dataclass(frozen=True, eq=False)
class XrayImage:
    """A taken X-ray.

    Attributes:
        stored: pixel values as written to the file.
        form: what they mean.
        mas: tube load that exposure control chose.
        exposure_index: of IEC 62494-1.
        collimator: the field that the file tells.
    """

    stored: UInt16[np.ndarray, "rows columns"]
    form: PixelFormat
    mas: float
    exposure_index: float
    collimator: Collimator


def take_xray(
    areal_g_cm2: Float[np.ndarray, "rows columns materials"],
    camera: Camera,
    source_patient_mm: float,
    exposure: Exposure,
    form: PixelFormat,
    rng: np.random.Generator,
) -> XrayImage:
    """Image of the masses along the rays.

    Args:
        areal_g_cm2: adipose, lean, hydroxyapatite and, where there is any, metal along each ray; may be slightly
            negative where mineral displaces lean tissue.
        camera: focus and detector.
        source_patient_mm: from the focus to the middle of the patient.
        exposure: conditions.
        form: how the image is stored.
        rng: source of noise.
    """
    signal, variance, mas = exposed(areal_g_cm2, camera, source_patient_mm, exposure, form.modality)
    read = detect(signal, variance, camera.pitch_mm[0], DETECTORS[form.modality], rng)
    # Shutters of display images keep out the penumbra.
    stored = store(read, exposure.collimator.field(3.0 * exposure.collimator.penumbra), form)
    return XrayImage(stored, form, mas, exposure_index(read, camera.pitch_mm[0]), exposure.collimator)


def exposed(
    areal_g_cm2: Float[np.ndarray, "rows columns materials"],
    camera: Camera,
    source_patient_mm: float,
    exposure: Exposure,
    modality: str,
) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"], float]:
    """Energy that the detector absorbs, its variance from counting quanta, and the tube load.

    Args:
        areal_g_cm2: as in `take_xray`.
        camera: focus and detector.
        source_patient_mm: from the focus to the middle of the patient.
        exposure: conditions.
        modality: key of `DETECTORS`.

    Returns:
        keV/mm², keV²/mm² for one mm², and mAs.
    """
    pitch_mm = camera.pitch_mm[0]
    # From per cm² at 1 m to per mm² at the detector behind the grid.
    per_mas = 1e-2 * (1000.0 / camera.sid_mm) ** 2 * GRID_PRIMARY_TRANSMISSION
    direct, variance = primary(areal_g_cm2, exposure.kvp, modality)
    energy_kev = variance / np.maximum(direct, np.finfo(np.float32).tiny)
    direct = moved(direct, pitch_mm, camera, source_patient_mm, exposure)
    direct *= exposure.collimator.transmission() * _shading(camera, exposure.shading)
    signal = direct + scatter(direct, areal_g_cm2.sum(axis=2), pitch_mm, exposure.scatter_ratio)
    mas = tube_load_mas(signal * per_mas, pitch_mm, REFERENCE_SIGNAL_KEV_MM2 * exposure.aec_factor)
    rows, columns = camera.shape
    top, bottom, left, right = exposure.collimator.edges
    field = (max(top, 0.0), min(bottom, rows), max(left, 0.0), min(right, columns))
    signal *= marker_transmission(camera.shape, pitch_mm, exposure.marker, field)
    signal *= np.float32(per_mas * mas)
    # Quanta of scatter and of what the collimator shades carry the energy of the primary there.
    return signal, signal * energy_kev, mas


def moved(
    image: Float32[np.ndarray, "rows columns"],
    pitch_mm: float,
    camera: Camera,
    source_patient_mm: float,
    exposure: Exposure,
) -> Float32[np.ndarray, "rows columns"]:
    """The patient's shadow blurred by the focal spot and by motion during the exposure."""
    # A spot of width w at the source casts edges in the patient as wide as w (M - 1) at the detector.
    width_mm = exposure.focal_spot_mm * (camera.sid_mm / source_patient_mm - 1.0)
    sigma = width_mm / np.sqrt(12) / pitch_mm
    if sigma > 0.1:
        image = gaussian_filter(image, sigma)
    if any(exposure.motion_mm):
        image = filtered_along(image, pitch_mm, exposure.motion_mm)
    return image


def _shading(camera: Camera, slope: tuple[float, float]) -> Float32[np.ndarray, "rows columns"]:
    """Relative primary that the flat-field correction leaves, 1 in the middle."""
    down, right = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(pitch_mm / 100.0)
        for n, pitch_mm in zip(camera.shape, camera.pitch_mm, strict=True)
    )
    return (1.0 + np.float32(slope[0]) * down[:, None] + np.float32(slope[1]) * right[None, :]).astype(np.float32)
