"""What a detector makes of the energy that reaches it: absorption, blur and noise of its phosphor, read-out noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Float, Float32

from osteoray.radiography.attenuation import mass_attenuation_cm2_g

PADDING_PIXELS = 16
"""Mirrored border of an image that is blurred, so that its edges do not see each other."""


@dataclass(frozen=True)
class Detector:
    """A kind of detector.

    Attributes:
        phosphor: material that absorbs.
        phosphor_g_cm2: its mass per area.
        mtf_half_per_mm: spatial frequency at which the phosphor's modulation transfer is a half.
        mtf_power: how steeply it falls there.
        light_noise: variance of the phosphor's light yield on top of counting statistics, one over the Swank factor.
        read_out_kev: standard deviation of a pixel's read-out noise.
    """

    phosphor: str
    phosphor_g_cm2: float
    mtf_half_per_mm: float
    mtf_power: float
    light_noise: float
    read_out_kev: float

    def absorbed(self, energies_kev: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Share of photons that the phosphor absorbs, 0 to 1."""
        return 1.0 - np.exp(-mass_attenuation_cm2_g(self.phosphor, energies_kev) * self.phosphor_g_cm2)

    def mtf(self, frequency_per_mm: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Modulation transfer of the phosphor; that of the pixel comes on top by sampling."""
        return 1.0 / (1.0 + (frequency_per_mm / self.mtf_half_per_mm) ** self.mtf_power)


DETECTORS = {
    "DX": Detector("caesium iodide", 0.05 * 0.75 * 4.51, 1.35, 2.1, 1.15, 600.0),
    "CR": Detector("barium fluorobromide", 0.1, 1.25, 2.0, 1.5, 1500.0),
}
"""Flat detector: 0.5 mm of needles packed to 75 %; its measured transfer is 0.2 at 2.5 and 0.1 at 3.8 per mm with
pixels of 0.127 mm (Samei 2003, 0.6 mm). Storage phosphor: 100 mg/cm²; 0.5 at 1.25 per mm (Flynn 1999, 2k mode) and 0.2
at 2.5 per mm with a detective quantum efficiency of 0.24 at 115 kVp (Samei 1997)."""


def detect(
    signal: Float32[np.ndarray, "rows columns"],
    variance: Float32[np.ndarray, "rows columns"],
    pitch_mm: float,
    detector: Detector,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "rows columns"]:
    """Signal that is read out, with its noise.

    Quanta are counted before the phosphor's light spreads, so quantum noise is blurred like the image: its power
    spectrum falls with the square of the transfer. Read-out noise is white.

    Args:
        signal: energy absorbed per area in keV/mm².
        variance: its variance from counting, in keV²/mm² (for one mm²).
        pitch_mm: pixel size.
        detector: its kind.
        rng: source of noise.
    """
    area_mm2 = pitch_mm**2
    quantum = np.sqrt(detector.light_noise / area_mm2 * variance, dtype=np.float32)
    quantum *= rng.standard_normal(signal.shape, dtype=np.float32)
    blurred = filtered(signal + quantum, pitch_mm, detector.mtf)
    blurred += np.float32(detector.read_out_kev / area_mm2) * rng.standard_normal(signal.shape, dtype=np.float32)
    return blurred


def filtered(
    image: Float32[np.ndarray, "rows columns"],
    pitch_mm: float,
    transfer: Callable[[Float[np.ndarray, "*n"]], Float[np.ndarray, "*n"]],
) -> Float32[np.ndarray, "rows columns"]:
    """An image with its frequencies weighted by a transfer function of frequency per mm in every direction."""
    return _weighted(image, pitch_mm, lambda down, right: transfer(np.sqrt(down**2 + right**2)))


def filtered_along(
    image: Float32[np.ndarray, "rows columns"], pitch_mm: float, path_mm: tuple[float, float]
) -> Float32[np.ndarray, "rows columns"]:
    """An image that moved steadily along a path, down and right, half of it before and half of it after the middle."""
    return _weighted(image, pitch_mm, lambda down, right: np.sinc(down * path_mm[0] + right * path_mm[1]))


def _weighted(
    image: Float32[np.ndarray, "rows columns"],
    pitch_mm: float,
    transfer: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Float32[np.ndarray, "rows columns"]:
    rows, columns = image.shape
    pad = min(PADDING_PIXELS, rows, columns)
    shape = [scipy.fft.next_fast_len(n + 2 * pad, real=True) for n in image.shape]
    ends = [(pad, total - n - pad) for n, total in zip(image.shape, shape, strict=True)]
    spectrum = scipy.fft.rfft2(np.pad(image, ends, mode="symmetric"))
    down = scipy.fft.fftfreq(shape[0], pitch_mm).astype(np.float32)[:, None]
    right = scipy.fft.rfftfreq(shape[1], pitch_mm).astype(np.float32)[None, :]
    spectrum *= transfer(down, right).astype(np.float32)
    return np.ascontiguousarray(scipy.fft.irfft2(spectrum, shape)[pad : pad + rows, pad : pad + columns])
