"""An X-ray system: areal masses along rays to the stored pixel values of a flat detector.

Polyenergetic primary, grid-reduced scatter, automatic exposure control, blur, quantum and electronic noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt16
from scipy.ndimage import gaussian_filter

from osteoray.imaging.resampling import resize_image
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import Spectrum, tube_spectrum

SCINTILLATOR_CSI_G_CM2 = 0.05 * 0.75 * 4.51
"""0.5 mm caesium iodide at 75 % packing."""

REFERENCE_SIGNAL_KEV_MM2 = 2.0e6
"""Signal that exposure control aims at and that stored values are relative to."""

STORED_PER_LOG = 1000
STORED_AT_REFERENCE = 8000
STORED_MAX = 2**14 - 1

SCATTER_SIGMA_MM = 40.0
SCATTER_SATURATES_G_CM2 = 15.0
GRID_PRIMARY_TRANSMISSION = 0.7
SWANK_NOISE = 1.15
"""Variance of the scintillator's light yield on top of counting statistics."""
ELECTRONIC_NOISE_KEV = 600.0
"""Standard deviation of the read-out noise of a pixel."""


@dataclass(frozen=True)
class Exposure:
    """What was drawn for one X-ray.

    Attributes:
        kvp: tube voltage, one of the tabulated spectra.
        scatter_ratio: scatter over primary behind the grid and a thick body.
        aec_factor: how far exposure control misses its aim.
        blur_mm: standard deviation of the detector's and focal spot's point spread at the detector.
        marker: "L" or "R", the lead marker.
    """

    kvp: int
    scatter_ratio: float
    aec_factor: float
    blur_mm: float
    marker: str


@dataclass(frozen=True, eq=False)
class XrayImage:
    """A taken X-ray.

    Attributes:
        stored: pixel values as written to the file.
        mas: tube load that exposure control chose.
    """

    stored: UInt16[np.ndarray, "rows columns"]
    mas: float


def draw_exposure(kvp: int, rng: np.random.Generator) -> Exposure:
    """Draw the conditions of one X-ray.

    Args:
        kvp: tube voltage of the protocol.
        rng: source of randomness.
    """
    return Exposure(
        kvp=kvp,
        scatter_ratio=float(np.clip(rng.lognormal(np.log(0.45), 0.1), 0.2, 0.9)),
        aec_factor=float(rng.lognormal(0, 0.06)),
        blur_mm=float(rng.uniform(0.15, 0.25)),
        marker="R" if rng.random() < 0.7 else "L",
    )


def take_xray(
    areal_g_cm2: Float[np.ndarray, "rows columns 3"],
    pitch_mm: float,
    sid_mm: float,
    exposure: Exposure,
    rng: np.random.Generator,
) -> XrayImage:
    """Image of the masses along the rays.

    Args:
        areal_g_cm2: adipose, lean and hydroxyapatite along each ray; may be slightly negative where mineral displaces
            lean tissue.
        pitch_mm: detector pixel size.
        sid_mm: distance from focus to detector.
        exposure: conditions.
        rng: source of noise.
    """
    spectrum = tube_spectrum(exposure.kvp)
    # From per cm² at 1 m to per mm² at the detector behind the grid.
    per_mas = 1e-2 * (1000.0 / sid_mm) ** 2 * GRID_PRIMARY_TRANSMISSION
    signal, variance = primary(areal_g_cm2, spectrum)
    scattered = scatter(signal, areal_g_cm2.sum(axis=2), pitch_mm, exposure.scatter_ratio)
    variance = variance * (1.0 + scattered / signal)
    signal = signal + scattered
    aim = REFERENCE_SIGNAL_KEV_MM2 * exposure.aec_factor
    mas = aim / (per_mas * float(_behind_pelvis(signal, pitch_mm).mean()))
    signal, variance = signal * per_mas * mas, variance * per_mas * mas
    if exposure.blur_mm / pitch_mm > 0.1:
        signal = gaussian_filter(signal, exposure.blur_mm / pitch_mm)
    area_mm2 = pitch_mm**2
    sd = np.sqrt(SWANK_NOISE * variance / area_mm2 + (ELECTRONIC_NOISE_KEV / area_mm2) ** 2)
    signal = signal + sd * rng.standard_normal(signal.shape, dtype=np.float32)
    log_attenuation = -np.log(np.maximum(signal, 1.0) / REFERENCE_SIGNAL_KEV_MM2)
    log_attenuation += marker_attenuation(signal.shape, pitch_mm, exposure.marker)
    return XrayImage(stored_values(log_attenuation), mas)


def stored_values(log_attenuation: Float[np.ndarray, "rows columns"]) -> UInt16[np.ndarray, "rows columns"]:
    """Pixel values of the file: 1000 per unit of log attenuation, 8000 at the reference signal."""
    values = np.rint(STORED_PER_LOG * log_attenuation + STORED_AT_REFERENCE)
    return np.clip(values, 0, STORED_MAX).astype(np.uint16)


def primary(
    areal_g_cm2: Float[np.ndarray, "rows columns 3"], spectrum: Spectrum
) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]:
    """Energy absorbed from unscattered photons, and its variance, per cm² and mAs at 1 m (keV, keV²)."""
    energies_kev = spectrum.energies_kev
    absorbed = 1.0 - np.exp(-mass_attenuation_cm2_g("caesium iodide", energies_kev) * SCINTILLATOR_CSI_G_CM2)
    photons = (spectrum.photons_per_cm2_mas * absorbed).astype(np.float32)
    materials = ("adipose", "lean", "hydroxyapatite")
    attenuation = np.stack([mass_attenuation_cm2_g(m, energies_kev) for m in materials]).astype(np.float32)
    signal = np.zeros(areal_g_cm2.shape[:2], np.float32)
    variance = np.zeros_like(signal)
    areal = np.ascontiguousarray(areal_g_cm2, np.float32)
    for n, energy_kev in enumerate(energies_kev.astype(np.float32)):
        energy = photons[n] * energy_kev * np.exp(-(areal @ attenuation[:, n]))
        signal += energy
        variance += energy * energy_kev
    return signal, variance


def scatter(
    signal: Float32[np.ndarray, "rows columns"],
    areal_g_cm2: Float[np.ndarray, "rows columns"],
    pitch_mm: float,
    ratio: float,
) -> Float32[np.ndarray, "rows columns"]:
    """Scatter behind the grid: the primary blurred, from where there is tissue to scatter it.

    Args:
        signal: primary.
        areal_g_cm2: all mass along each ray.
        pitch_mm: detector pixel size.
        ratio: scatter over primary behind a thick, even body.
    """
    source = signal * np.clip(areal_g_cm2 / SCATTER_SATURATES_G_CM2, 0, 1)
    coarse = max(1, int(SCATTER_SIGMA_MM / 6 / pitch_mm))
    shape = (max(8, source.shape[0] // coarse), max(8, source.shape[1] // coarse))
    small = resize_image(source, shape)
    sigma = SCATTER_SIGMA_MM / (pitch_mm * source.shape[0] / shape[0])
    blurred = gaussian_filter(small, sigma, mode="constant")
    return ratio * resize_image(blurred, source.shape)


def marker_attenuation(shape: tuple[int, int], pitch_mm: float, letter: str) -> Float32[np.ndarray, "rows columns"]:
    """Log attenuation of a lead letter 20 mm high at the upper corner of the patient's side."""
    image = np.zeros(shape, np.float32)
    strokes = np.array([[int(c) for c in row] for row in _LETTERS[letter]], np.float32)
    scale = max(1, round(20.0 / len(strokes) / pitch_mm))
    block = np.kron(strokes, np.ones((scale, scale), np.float32)) * 5.0
    margin = round(15.0 / pitch_mm)
    rows, columns = block.shape
    # AP: the patient's left is on the image's right.
    left = shape[1] - margin - columns if letter == "L" else margin
    if left >= 0 and margin + rows <= shape[0] and left + columns <= shape[1]:
        image[margin : margin + rows, left : left + columns] = block
    return image


def _behind_pelvis(signal: np.ndarray, pitch_mm: float) -> np.ndarray:
    """Signal in the two lateral fields and the middle field of the exposure control."""
    rows, columns = signal.shape
    fields = []
    for offset_mm in (-85.0, 0.0, 85.0):
        row, column = rows / 2 - 30.0 / pitch_mm, columns / 2 + offset_mm / pitch_mm
        half = 25.0 / pitch_mm
        fields.append(
            signal[int(row - half) : int(row + half) + 1, int(column - half) : int(column + half) + 1].ravel()
        )
    return np.concatenate(fields)


_LETTERS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
}
