"""Image quality of a predicted map: PSNR and SSIM on one fixed range, over the image and over the bone.

The range is the fixed maximum of all maps, never that of one image or batch. SSIM is that of Wang 2004: a Gaussian
window of 11 × 11 pixels with σ = 1.5, k1 = 0.01, k2 = 0.03, averaged over the image, mirrored at its borders.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import correlate1d

Image = Float[np.ndarray, "rows columns"]

_RADIUS, _SIGMA, _K1, _K2 = 5, 1.5, 0.01, 0.03


def psnr_db(predicted: Image, reference: Image, maximum: float, where: Bool[np.ndarray, "rows columns"] | None = None):
    """10 log10(maximum² / mean squared error) of maps clipped to [0, maximum]; infinite if they are equal.

    Args:
        predicted: the map.
        reference: what it should be.
        maximum: range of the values.
        where: pixels to compare; all if None.
    """
    error = np.clip(predicted, 0, maximum).astype(np.float64) - np.clip(reference, 0, maximum)
    mean_square = float(np.mean(error[where] ** 2 if where is not None else error**2))
    return float(10 * np.log10(maximum**2 / mean_square)) if mean_square > 0 else float("inf")


def ssim(predicted: Image, reference: Image, maximum: float) -> float:
    """Mean structural similarity of maps clipped to [0, maximum]; NaN if the window does not fit."""
    if min(predicted.shape) <= 2 * _RADIUS:
        return float("nan")
    # Scaled to [0, 1]: float32 squares then keep enough digits, and full-size images stay fast.
    a = (np.clip(predicted, 0, maximum) / maximum).astype(np.float32)
    b = (np.clip(reference, 0, maximum) / maximum).astype(np.float32)
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variance_a = np.maximum(_window_mean(a * a) - mean_a**2, 0)
    variance_b = np.maximum(_window_mean(b * b) - mean_b**2, 0)
    covariance = _window_mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _K1**2) / (mean_a**2 + mean_b**2 + _K1**2)
    structure = (2 * covariance + _K2**2) / (variance_a + variance_b + _K2**2)
    return float(np.mean(luminance * structure, dtype=np.float64))


def bounding_box(mask: Bool[np.ndarray, "rows columns"]) -> tuple[slice, slice]:
    """The smallest rectangle that holds the mask.

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("mask: expected at least one pixel, got none")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def quality(predicted: Image, reference: Image, maximum: float) -> dict[str, float]:
    """PSNR and SSIM of a map: whole image, bounding box of the reference bone (`roi`), and bone pixels (`mask`)."""
    bone = reference > 0
    result = {"psnr_db": psnr_db(predicted, reference, maximum), "ssim": ssim(predicted, reference, maximum)}
    if not bone.any():
        return result
    box = bounding_box(bone)
    return result | {
        "psnr_roi_db": psnr_db(predicted[box], reference[box], maximum),
        "ssim_roi": ssim(predicted[box], reference[box], maximum),
        "psnr_mask_db": psnr_db(predicted, reference, maximum, bone),
    }


def _window_mean(image: Image) -> Image:
    """Gaussian mean around every pixel."""
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    weights /= weights.sum()
    return correlate1d(correlate1d(image, weights, axis=0, mode="mirror"), weights, axis=1, mode="mirror")
