"""A vendor's picture of an X-ray: automatic window, multi-scale contrast, edge enhancement and a tone curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.ndimage import convolve1d

LEVELS = 7
"""Octaves of the Laplacian pyramid; the coarsest is about 128 pixels."""
LARGEST_DETAIL = 0.5
"""Detail of this size, in widths of the window, keeps its size."""
BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
DIRECT_BEAM_NEPERS = 1.2
"""Pixels within this of the least attenuation, if that is air, show no patient."""


@dataclass(frozen=True)
class Look:
    """A vendor's processing.

    Attributes:
        window_percentiles: of the patient's log attenuation, that become black and white.
        power: detail c becomes c^power: below 1, faint detail is raised (Vuylsteke and Schoeters 1994).
        latitude: factor of the coarsest octave, below 1 flattens thick against thin parts.
        edges: factor of the second finest octave on top.
        curve: `sigmoid`, `gamma` or `film`.
        strength: steepness of the sigmoid, exponent of the gamma, toe of the film.
        shutter: whether the collimated border is made black.
        window: centre and width in the file, as shares of the full range.
    """

    window_percentiles: tuple[float, float]
    power: float
    latitude: float
    edges: float
    curve: str
    strength: float
    shutter: bool
    window: tuple[float, float]


LOOKS = {
    "a": Look((1.0, 99.7), 0.74, 0.62, 1.20, "sigmoid", 4.5, True, (0.5, 1.0)),
    "b": Look((2.0, 99.8), 1.0, 1.0, 1.30, "gamma", 1.3, False, (0.52, 0.90)),
    "c": Look((0.5, 99.7), 0.78, 0.55, 1.05, "film", 1.5, True, (0.48, 0.92)),
}
"""Three manufacturers' defaults of a pelvis, in style: flattened S-curve, plain gamma, strong multi-scale."""


def picture(
    log_attenuation: Float32[np.ndarray, "rows columns"], field: Bool[np.ndarray, "rows columns"], look: Look
) -> Float32[np.ndarray, "rows columns"]:
    """The picture that a vendor shows, 0 (black, no attenuation) to 1 (white).

    Args:
        log_attenuation: nepers, larger = more attenuating.
        field: pixels inside the collimator.
        look: the vendor's processing.
    """
    low, high, patient = automatic_window(log_attenuation, field, look)
    # Open beam, lead and metal are limited first: their steep edges would ring in the pyramid.
    relative = np.clip((log_attenuation - low) / (high - low), -0.25, 1.35).astype(np.float32)
    enhanced = multi_scale(relative, look)
    low, high = np.percentile(enhanced[::4, ::4][patient], look.window_percentiles)
    shown = tone((enhanced - np.float32(low)) / np.float32(max(high - low, 0.05)), look)
    if look.shutter:
        shown[~field] = 0.0
    return shown


def automatic_window(
    log_attenuation: Float[np.ndarray, "rows columns"], field: Bool[np.ndarray, "rows columns"], look: Look
) -> tuple[float, float, Bool[np.ndarray, "r c"]]:
    """Log attenuation that becomes black and white, from the histogram of the patient in the field.

    Returns:
        Black, white, and which of every fourth pixel of every fourth row show the patient.
    """
    values, patient = log_attenuation[::4, ::4], field[::4, ::4]
    air, typical = np.percentile(values[patient], (0.5, 50.0))
    if typical - air > 2 * DIRECT_BEAM_NEPERS:
        patient = patient & (values > air + DIRECT_BEAM_NEPERS)
    low, high = np.percentile(values[patient], look.window_percentiles)
    return float(low), float(max(high, low + 0.1)), patient


def multi_scale(relative: Float32[np.ndarray, "rows columns"], look: Look) -> Float32[np.ndarray, "rows columns"]:
    """The image with its faint detail raised and its coarse differences flattened."""
    levels = min(LEVELS, int(np.log2(min(relative.shape))) - 2)
    details, image = [], relative
    for _ in range(levels):
        smaller = _reduced(image)
        details.append(image - _expanded(smaller, image.shape))
        image = smaller
    middle = np.float32(0.5)
    image = middle + np.float32(look.latitude) * (image - middle)
    for n in reversed(range(levels)):
        # The finest octave is mostly noise: it is left as it is.
        detail = details[n] if n == 0 else _raised(details[n], look.power)
        image = _expanded(image, details[n].shape) + (np.float32(look.edges) if n == 1 else np.float32(1.0)) * detail
    return image


def tone(relative: Float32[np.ndarray, "rows columns"], look: Look) -> Float32[np.ndarray, "rows columns"]:
    """Window position to brightness: rising, 0 to 1."""
    x = np.clip(relative, 0.0, 1.0)
    if look.curve == "sigmoid":
        edge = 1.0 / (1.0 + np.exp(look.strength / 2))
        return ((1.0 / (1.0 + np.exp(-look.strength * (x - 0.5))) - edge) / (1.0 - 2 * edge)).astype(np.float32)
    if look.curve == "gamma":
        return x**look.strength
    # Film: a toe, then a shoulder.
    toe = x**look.strength
    return (toe / (toe + (1.0 - x) ** look.strength * 0.9)).astype(np.float32)


def _raised(detail: Float32[np.ndarray, "rows columns"], power: float) -> Float32[np.ndarray, "rows columns"]:
    if power == 1.0:
        return detail
    # Linear below 2 % of the window, so that noise is not raised without bound.
    size = np.abs(detail)
    floor = np.float32(0.02)
    factor = (np.maximum(size, floor) / LARGEST_DETAIL) ** np.float32(power - 1.0)
    return detail * factor


def _reduced(image: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "r c"]:
    """Every second pixel of the smoothed image (Burt and Adelson 1983)."""
    rows = convolve1d(image, BINOMIAL, axis=0, mode="nearest")[::2]
    return convolve1d(rows, BINOMIAL, axis=1, mode="nearest")[:, ::2]


def _expanded(image: Float32[np.ndarray, "r c"], shape: tuple[int, ...]) -> Float32[np.ndarray, "rows columns"]:
    """The image at twice the size by the same filter."""
    for axis in range(2):
        moved = np.moveaxis(image, axis, 0)
        padded = np.concatenate([moved[:1], moved, moved[-1:]])
        out = np.empty((2 * len(moved), *moved.shape[1:]), np.float32)
        out[::2] = (padded[:-2] + 6 * padded[1:-1] + padded[2:]) / 8
        out[1::2] = (padded[1:-1] + padded[2:]) / 2
        image = np.moveaxis(out[: shape[axis]], 0, axis)
    return image
