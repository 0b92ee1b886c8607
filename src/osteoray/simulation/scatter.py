"""Scattered X-rays behind the grid: more from thicker tissue, spread wide, weaker towards the edge of the body.

A convolution of the primary with two Gaussian kernels, weighted by the thickness in which it was scattered (after
Sun and Star-Lack 2010); not a transport calculation.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter

from osteoray.imaging.resampling import resize_image

REFERENCE_G_CM2 = 20.0
"""Mass along a ray at which the asked ratio holds."""
THICKNESS_POWER = 1.2
"""Scatter over primary rises a little faster than thickness: about 1.5, 3.4 and 5.5 without a grid behind 10, 20 and
30 cm of water at 80 kVp and a large field (Bushberg, The Essential Physics of Medical Imaging)."""
THICKEST_G_CM2 = 45.0
KERNELS_MM_SHARE = ((25.0, 0.45), (65.0, 0.55))
"""Standard deviations of the kernels at the detector, and their shares."""


def scatter(
    primary: Float32[np.ndarray, "rows columns"],
    areal_g_cm2: Float[np.ndarray, "rows columns"],
    pitch_mm: float,
    ratio: float,
) -> Float32[np.ndarray, "rows columns"]:
    """Scatter behind the grid, in the unit of the primary.

    Args:
        primary: energy from unscattered photons.
        areal_g_cm2: all mass along each ray.
        pitch_mm: detector pixel size.
        ratio: scatter over primary behind the grid and 20 g/cm² of even tissue.
    """
    thickness = np.clip(areal_g_cm2, 0, THICKEST_G_CM2) / REFERENCE_G_CM2
    source = primary * thickness.astype(np.float32) ** THICKNESS_POWER
    narrowest_mm = KERNELS_MM_SHARE[0][0]
    coarse = max(1, int(narrowest_mm / 6 / pitch_mm))
    shape = (max(8, source.shape[0] // coarse), max(8, source.shape[1] // coarse))
    small = resize_image(source, shape)
    pixel_mm = [pitch_mm * full / few for full, few in zip(source.shape, shape, strict=True)]
    blurred = sum(
        share * gaussian_filter(small, [sigma_mm / mm for mm in pixel_mm], mode="constant")
        for sigma_mm, share in KERNELS_MM_SHARE
    )
    return ratio * resize_image(blurred, source.shape)
