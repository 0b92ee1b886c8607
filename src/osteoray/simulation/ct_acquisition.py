"""From attenuation to Hounsfield units: point spread and noise of the kernel, and the scanner's drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import scipy.fft
from jaxtyping import Float, Float32, Int16

from osteoray.simulation.footprint import CoarseField

AIR_HU = -1024
"""Smallest stored value; also outside the circle of reconstruction."""
METAL_HU = 3071
"""Largest stored value: 12 bits from -1024."""
NEIGHBOUR_SHARE = 0.1
"""What each neighbouring slice adds in a spiral scan whose slices are as thick as they are apart: the sensitivity
profile gets tails (Kalender & Polacin 1991), and neighbouring slices share a quarter of their noise."""
REFERENCE_VOXEL_MM3 = 5.0


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel.

    Attributes:
        name: as vendors write it into the file.
        blur: width of its point spread over that of the standard kernel.
        overshoot: how much it raises middle frequencies.
    """

    name: str
    blur: float
    overshoot: float

    def transfer(self, frequency_per_mm: np.ndarray, blur_mm: float) -> np.ndarray:
        """Modulation transfer: a Gaussian, raised above 1 by an unsharp mask if the kernel overshoots.

        Args:
            frequency_per_mm: radial spatial frequency.
            blur_mm: standard deviation of the standard kernel's point spread.
        """
        gaussian = np.exp(-2 * (np.pi * frequency_per_mm * self.blur * blur_mm) ** 2)
        mask = 1 - np.exp(-2 * (np.pi * frequency_per_mm * MASK_MM) ** 2)
        return gaussian * (1 + self.overshoot * mask)

    def noise_gain(self, blur_mm: float) -> float:
        """Noise over that of the standard kernel, for a power spectrum of ramp times transfer squared."""
        frequency = np.linspace(0, 3, 3001)
        power = [
            np.trapezoid((frequency * kernel.transfer(frequency, blur_mm)) ** 2, frequency)
            for kernel in (self, KERNELS["standard"])
        ]
        return float(np.sqrt(power[0] / power[1]))


MASK_MM = 1.2
KERNELS = {
    "soft": Kernel("SOFT", 1.25, 0.0),
    "standard": Kernel("STANDARD", 1.0, 0.0),
    "sharp": Kernel("BONE", 0.62, 0.45),
}


@dataclass(frozen=True)
class Reading:
    """How a scanner turns attenuation into numbers.

    Attributes:
        kernel: reconstruction kernel.
        blur_mm: standard deviation of the standard kernel's point spread.
        gain, offset_hu: measured = gain * ideal + offset in tissue; air stays at -1000 HU, where scanners are zeroed
            every day.
        noise_hu: standard deviation where the noise strength is 1, at `REFERENCE_VOXEL_MM3` and the standard kernel.
    """

    kernel: Kernel
    blur_mm: float
    gain: float
    offset_hu: float
    noise_hu: float


def acquire(
    attenuation: Float32[np.ndarray, "k j i"],
    errors: Sequence[CoarseField],
    strength: CoarseField,
    reading: Reading,
    spacing_mm: Float[np.ndarray, " 3"],
    rng: np.random.Generator,
) -> Int16[np.ndarray, "k j i"]:
    """Blur, add errors and noise, convert and round, slice by slice.

    Args:
        attenuation: relative to water, on the grid of the scan.
        errors: of the reconstruction, relative to water; they add up.
        strength: of the noise.
        reading: kernel, drift and noise.
        spacing_mm: of the scan, along k, j, i.
        rng: source of the noise.
    """
    _, rows, columns = attenuation.shape
    pixel_mm = float(spacing_mm[2])
    frequency = np.hypot(scipy.fft.fftfreq(rows, pixel_mm)[:, None], scipy.fft.rfftfreq(columns, pixel_mm)[None, :])
    transfer = reading.kernel.transfer(frequency, reading.blur_mm).astype(np.float32)
    shape = noise_shape(frequency, transfer)
    noise_hu = np.float32(
        reading.noise_hu
        * reading.kernel.noise_gain(reading.blur_mm)
        * np.sqrt(REFERENCE_VOXEL_MM3 / float(np.prod(spacing_mm)))
    )
    hu = np.empty(attenuation.shape, np.int16)
    planes, whites = _mixed(attenuation), _mixed(_white_noise(attenuation.shape, rng))
    for k, (plane, white) in enumerate(zip(planes, whites, strict=True)):
        relative = scipy.fft.irfft2(scipy.fft.rfft2(plane) * transfer, s=(rows, columns))
        noise = scipy.fft.irfft2(scipy.fft.rfft2(white) * shape, s=(rows, columns))
        for error in errors:
            relative += error.slice(k)
        _write_hu(relative, noise, noise_hu * strength.slice(k), reading.gain, reading.offset_hu, hu[k])
    return hu


def noise_shape(
    frequency_per_mm: Float[np.ndarray, "j i"], transfer: Float32[np.ndarray, "j i"]
) -> Float32[np.ndarray, "j i"]:
    """Amplitude by frequency that turns white noise into CT noise of standard deviation 1 after slices are mixed.

    A ramp filter times the kernel's transfer: noise is blotchy, without low frequencies (Kijewski & Judy 1987).
    """
    shape = np.sqrt(np.maximum(frequency_per_mm, 0.01)) * transfer
    # The half plane of a real transform: all but the first and last columns stand for two.
    weights = np.full(shape.shape[1], 2.0)
    weights[[0, -1]] = 1.0
    power = (shape**2 * weights).sum() / (shape.shape[0] * weights.sum())
    mixed_power = (1 - 2 * NEIGHBOUR_SHARE) ** 2 + 2 * NEIGHBOUR_SHARE**2
    return (shape / np.sqrt(power * mixed_power)).astype(np.float32)


def _white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Float32[np.ndarray, "j i"]]:
    for _ in range(shape[0]):
        yield rng.standard_normal(shape[1:], dtype=np.float32)


def _mixed(planes: Iterable[Float32[np.ndarray, "j i"]]) -> Iterator[Float32[np.ndarray, "j i"]]:
    """Every slice with its share of the neighbours; the outermost ones stand in for those that lack."""
    own, other = np.float32(1 - 2 * NEIGHBOUR_SHARE), np.float32(NEIGHBOUR_SHARE)
    here = before = None
    for after in planes:
        if here is not None:
            yield own * here + other * (before + after)
        before, here = (after, after) if here is None else (here, after)
    if here is not None:
        yield own * here + other * (before + here)


@numba.njit(cache=True, fastmath=True)
def _write_hu(relative, noise, noise_hu, gain, offset_hu, out):
    rows, columns = relative.shape
    for j in range(rows):
        y = 2.0 * j / (rows - 1) - 1.0
        for i in range(columns):
            x = 2.0 * i / (columns - 1) - 1.0
            if x * x + y * y > 1.0:
                out[j, i] = AIR_HU
                continue
            tissue = min(max(relative[j, i], 0.0), 1.0)
            value = 1000.0 * (relative[j, i] - 1.0)
            value = value * (1.0 + (gain - 1.0) * tissue) + offset_hu * tissue + noise[j, i] * noise_hu[j, i]
            out[j, i] = np.int16(min(max(np.rint(value), AIR_HU), METAL_HU))
