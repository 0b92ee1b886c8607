"""Parallel-beam projection of one slice and its filtered backprojection, on coarse pixels for what is smooth."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
import scipy.fft
from jaxtyping import Float, Float32
from numba import njit


def project(images: Float32[np.ndarray, "channels n n"], angles: int) -> Float32[np.ndarray, "channels angles n"]:
    """Sums along parallel rays in units of pixels, by Joseph's method; detector bins are as wide as pixels.

    Args:
        images: several quantities of one square slice.
        angles: number of directions over half a turn.
    """
    out = np.zeros((len(images), angles, images.shape[-1]), np.float32)
    _project(np.ascontiguousarray(images, np.float32), out)
    return out


def smear(sinogram: Float[np.ndarray, "angles n"]) -> Float32[np.ndarray, "n n"]:
    """Mean over the directions of the rays through each pixel; 0 where rays miss the detector."""
    out = np.zeros((sinogram.shape[1], sinogram.shape[1]), np.float32)
    _backproject(np.ascontiguousarray(sinogram, np.float32), out)
    return out


def reconstruct(sinogram: Float[np.ndarray, "angles n"]) -> Float32[np.ndarray, "n n"]:
    """Filtered backprojection of a sinogram over half a turn (Kak & Slaney 1988, section 3.3), Hann-weighted."""
    bins = sinogram.shape[1]
    length = scipy.fft.next_fast_len(2 * bins, True)
    lag = np.fft.fftfreq(length, 1 / length)
    kernel = np.zeros(length)
    kernel[0] = 0.25
    odd = lag % 2 == 1
    kernel[odd] = -1.0 / (np.pi * lag[odd]) ** 2
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * scipy.fft.rfftfreq(length))
    ramp = scipy.fft.rfft(kernel).real * hann
    filtered = scipy.fft.irfft(scipy.fft.rfft(sinogram, length, axis=1) * ramp, length, axis=1)[:, :bins]
    return np.float32(np.pi) * smear(filtered)


@njit(cache=True, fastmath=True)
@no_type_check
def _project(images, out):
    channels, size, _ = images.shape
    middle = (size - 1) / 2
    angles = out.shape[1]
    for a in range(angles):
        cosine, sine = np.cos(np.pi * a / angles), np.sin(np.pi * a / angles)
        is_steep = abs(cosine) >= abs(sine)
        # Along the ray x cos + y sin = s, one sample in every row, or in every column if it runs along the rows.
        along, across = (cosine, sine) if is_steep else (sine, cosine)
        length = 1.0 / abs(along)
        for s in range(size):
            start = (s - middle) / along + middle * across / along + middle
            slope = -across / along
            for n in range(size):
                position = start + slope * n
                low = int(np.floor(position))
                if low < 0 or low >= size - 1:
                    continue
                share = np.float32(position - low)
                for c in range(channels):
                    if is_steep:
                        value = images[c, n, low] * (1 - share) + images[c, n, low + 1] * share
                    else:
                        value = images[c, low, n] * (1 - share) + images[c, low + 1, n] * share
                    out[c, a, s] += value * length


@njit(cache=True, fastmath=True)
@no_type_check
def _backproject(filtered, out):
    size = out.shape[0]
    middle = (size - 1) / 2
    angles = len(filtered)
    weight = 1.0 / angles
    for a in range(angles):
        cosine, sine = np.cos(np.pi * a / angles), np.sin(np.pi * a / angles)
        for j in range(size):
            start = (j - middle) * sine - middle * cosine + middle
            for i in range(size):
                position = start + i * cosine
                low = int(np.floor(position))
                if 0 <= low < size - 1:
                    share = position - low
                    out[j, i] += weight * (filtered[a, low] * (1 - share) + filtered[a, low + 1] * share)
