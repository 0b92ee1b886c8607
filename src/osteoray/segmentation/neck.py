"""The neck of the femur: the axis through the head's centre and the narrowest cross-section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.segmentation.sphere import Sphere
from osteoray.segmentation.surface import BoneSurface, cross_sections

STEP_MM = 1.0
ITERATIONS = 6

WAIST_AREA = 1.1
"""Sections up to this many times the narrowest area belong to the waist, whose centroids are averaged."""


@dataclass(frozen=True, eq=False)
class Neck:
    """The narrowest place between head and trochanters.

    Attributes:
        axis: unit vector from the neck to the head's centre.
        centre_mm: centroid of the waist.
        area_mm2: area of its narrowest cross-section.
        has_waist: whether the section widens on both sides of it.
    """

    axis: Float[np.ndarray, 3]
    centre_mm: Float[np.ndarray, 3]
    area_mm2: float
    has_waist: bool


def find_neck(surface: BoneSurface, head: Sphere, towards_mm: Float[np.ndarray, 3]) -> Neck:
    """Sweep planes orthogonal to the axis, take the narrowest, aim the axis at its centroid, and repeat.

    The centroid is averaged over the adjoining planes that are hardly wider, about 10 mm of neck: one plane's centroid
    is as noisy as the voxels, and 1 mm at 25 mm from the head turns the axis by 2 degrees. A fixed length would reach
    into the greater trochanter of a short neck.

    Args:
        surface: the femur.
        head: its head.
        towards_mm: a point on the shaft axis where the neck would meet it.

    Raises:
        ValueError: there is no bone beside the head in that direction.
    """
    axis = head.centre_mm - towards_mm
    axis /= np.linalg.norm(axis)
    positions_mm = -np.arange(0.4 * head.radius_mm, 2.4 * head.radius_mm, STEP_MM)
    for _ in range(ITERATIONS):
        sections = cross_sections(surface, head.centre_mm, axis, positions_mm, half_width_mm=1.7 * head.radius_mm)
        area_mm2 = np.where(sections.area_mm2 > 0, sections.area_mm2, np.inf)
        narrowest = int(np.argmin(area_mm2))
        if not np.isfinite(area_mm2[narrowest]):
            raise ValueError("towards_mm: expected bone between the head and this point, got none")
        slender, _ = ndimage.label(area_mm2 <= WAIST_AREA * area_mm2[narrowest])
        centre_mm = sections.centroid_mm[slender == slender[narrowest]].mean(axis=0)
        axis = head.centre_mm - centre_mm
        axis /= np.linalg.norm(axis)
    found = area_mm2[narrowest]
    has_waist = bool(area_mm2[: narrowest + 1].max() > 1.15 * found and area_mm2[narrowest:].max() > 1.15 * found)
    return Neck(axis, centre_mm, float(found), has_waist)
