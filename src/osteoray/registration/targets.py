"""Targets: the X-ray at one resolution, as weighted gradients that rendered bones are compared with.

Weights are the inverse of the X-ray's own local contrast, so that markers, gas and skin folds do not outshine bone:
w = m / (e + m / 4), e the local root mean square gradient and m its median. What lies outside the collimated field or
behind metal weighs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.geometry.camera import Camera
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.resampling import resize_image
from osteoray.radiography.shear_warp import GradientTarget, pixel_ray_lengths

CONTRAST_SIGMA_MM = 12.0
"""Size of the neighbourhood of local contrast, at the detector."""
WEIGHT_FLOOR = 0.25
"""Contrast that is added before inversion, relative to the median."""
WHOLLY_SHOWN = 0.9995
"""Share of a smoothed pixel that must be shown: the blurred edge of what is hidden is hidden with it."""


class NothingShown(ValueError):
    """No pixel of the X-ray is left to compare."""


@dataclass(frozen=True, eq=False)
class XrayLevel:
    """An X-ray smoothed like the bone models of one level.

    Attributes:
        image: log attenuation.
        weights: of its gradients.
        camera: the detector with this image's pixels.
    """

    image: Float[np.ndarray, "rows columns"]
    weights: Float[np.ndarray, "rows columns"]
    camera: Camera


def binned(radiograph: Radiograph, camera: Camera, pixel_mm: float) -> tuple[Radiograph, Camera]:
    """An X-ray with larger pixels, and its camera.

    Args:
        radiograph: log attenuation.
        camera: its geometry.
        pixel_mm: about the new pixel size at the detector; never smaller than the X-ray's own.
    """
    rows, columns = (
        min(n, max(round(n * pitch / pixel_mm), 8)) for n, pitch in zip(camera.shape, camera.pitch_mm, strict=True)
    )
    shape = (rows, columns)
    camera = camera.resized(shape)
    return Radiograph(resize_image(radiograph.array, shape).astype(np.float32), camera.pitch_mm), camera


def shown_pixels(
    shape: tuple[int, int],
    exposed: tuple[int, int, int, int] | None = None,
    hidden: tuple[tuple[int, int, int, int], ...] = (),
) -> Bool[np.ndarray, "rows columns"]:
    """Pixels that show the patient: those exposed, less those behind metal.

    Args:
        shape: rows and columns.
        exposed: first row, end row, first column and end column of the collimated field; None for the whole image.
        hidden: the same of boxes that are not compared.
    """
    shown = np.zeros(shape, bool)
    top, end, left, right = exposed or (0, shape[0], 0, shape[1])
    shown[top:end, left:right] = True
    for top, end, left, right in hidden:
        shown[top:end, left:right] = False
    return shown


def xray_level(
    radiograph: Radiograph,
    camera: Camera,
    pixel_mm: float,
    sigma_mm: float,
    shown: Bool[np.ndarray, "rows columns"] | None = None,
) -> XrayLevel:
    """Bin an X-ray and smooth it.

    Args:
        radiograph: log attenuation.
        camera: its geometry.
        pixel_mm: see `binned`.
        sigma_mm: Gaussian smoothing at the detector.
        shown: pixels to compare, see `shown_pixels`; None compares all. The rest weighs nothing and adds no contrast.

    Raises:
        NothingShown: nothing is shown.
    """
    radiograph, camera = binned(radiograph, camera, pixel_mm)
    smoothing = [sigma_mm / pitch for pitch in camera.pitch_mm]
    image = ndimage.gaussian_filter(radiograph.array, smoothing, mode="nearest")
    seen = np.ones(image.shape, bool)
    if shown is not None and not shown.all():
        share = resize_image(shown.astype(np.float32), camera.shape)
        seen = ndimage.gaussian_filter(share, smoothing, mode="nearest") > WHOLLY_SHOWN
        # A difference reads both neighbours.
        seen = ndimage.binary_erosion(seen, border_value=1)
        if not seen.any():
            raise NothingShown("shown: expected at least one pixel to compare, got none")
    rows, columns = central_differences(image)
    contrast = [CONTRAST_SIGMA_MM / pitch for pitch in camera.pitch_mm]
    energy = ndimage.gaussian_filter(np.where(seen, rows**2 + columns**2, 0), contrast, mode="nearest")
    if not seen.all():
        energy /= np.maximum(ndimage.gaussian_filter(seen.astype(np.float32), contrast, mode="nearest"), 1e-3)
    local = np.sqrt(energy)
    median = max(float(np.median(local[seen])), 1e-12)
    weights = np.where(seen, median / (local + WEIGHT_FLOOR * median), 0)
    return XrayLevel(image, weights.astype(np.float32), camera)


def gradient_target(
    level: XrayLevel,
    region: Bool[np.ndarray, "rows columns"] | None = None,
    background: Float[np.ndarray, "rows columns"] | None = None,
) -> GradientTarget:
    """The level as a target for the search.

    Args:
        level: the X-ray.
        region: pixels to compare; None compares all.
        background: areal density in g/cm² of what else is in the picture.

    Raises:
        NothingShown: the region has no pixel.
    """
    weights = level.weights if region is None else np.where(region, level.weights, np.float32(0))
    used = np.argwhere(weights > 0)
    if len(used) == 0:
        raise NothingShown("region: expected at least one pixel inside the X-ray, got none")
    first = np.maximum(used.min(axis=0) - 1, 0)
    stop = np.minimum(used.max(axis=0) + 2, level.image.shape)
    window = (slice(first[0], stop[0]), slice(first[1], stop[1]))
    weights = np.ascontiguousarray(weights[window])
    rows, columns = central_differences(level.image[window])
    gradients = np.stack([normalised(weights * rows), normalised(weights * columns)])
    K = level.camera.K.copy()
    K[:2, 2] -= first[::-1]
    behind = np.zeros(weights.shape, np.float32) if background is None else background[window]
    behind = np.ascontiguousarray(behind, dtype=np.float32)
    return GradientTarget(K, pixel_ray_lengths(K, weights.shape), weights, gradients, behind)


def central_differences(
    image: Float[np.ndarray, "rows columns"],
) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]]:
    """Differences of the neighbours along rows and along columns; 0 on the border."""
    rows, columns = np.zeros_like(image), np.zeros_like(image)
    rows[1:-1, 1:-1] = image[2:, 1:-1] - image[:-2, 1:-1]
    columns[1:-1, 1:-1] = image[1:-1, 2:] - image[1:-1, :-2]
    return rows, columns


def normalised(field: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """Zero mean and unit norm; a constant field becomes 0."""
    centred = field - field.mean(dtype=np.float64)
    norm = np.sqrt((centred**2).sum())
    return (centred / norm if norm > 0 else centred).astype(np.float32)


def gradient_correlation(
    image_a: Float[np.ndarray, "rows columns"],
    image_b: Float[np.ndarray, "rows columns"],
    weights: Float[np.ndarray, "rows columns"],
) -> float:
    """Weighted gradient correlation of two images in [-1, 1]: the plain twin of the fused kernel."""
    pairs = zip(central_differences(image_a), central_differences(image_b), strict=True)
    return float(np.mean([np.sum(normalised(weights * a) * normalised(weights * b)) for a, b in pairs]))
