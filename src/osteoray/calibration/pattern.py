"""The phantom's cross-section as a pattern of points, and how well an image shows it at a pose.

Every phantom has two patterns: as it should lie, and turned round. Only the inside of the slab is compared: air gap,
couch and a patient who touches the slab do not matter, nor does what lies outside the field of view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import map_coordinates

from osteoray.calibration.phantom import Phantom
from osteoray.imaging.volume import Volume

LEAST_HU, USUAL_MOST_HU = -200.0, 500.0
"""Slab and rods lie inside; air and metal are clipped so that they cannot dominate a correlation."""
RIM_MM = 4.0
"""Border of the slab's height that is not compared."""
REACH_DIAMETERS = 0.9
"""The pattern ends this many rod diameters beyond the outermost rods: the slab's own ends may be round or cut off."""
POINT_STEP_MM = 2.0
MIN_SEEN = 0.5
"""Part of the pattern that must lie inside the field of view."""
AIR_HU = -150.0
"""No part of a slab or rod is as dark; where a pattern meets air, it is not there."""
CIRCLE = 0.9
"""Pixels beyond this part of the inscribed circle that never change are padding."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the pixels of an axial image lie.

    Attributes:
        origin_mm: LPS (y, x) of the first pixel's centre.
        pixel_mm: pixel size along y and x.
        is_seen: pixels inside the field of view.
    """

    origin_mm: Float[np.ndarray, 2]
    pixel_mm: Float[np.ndarray, 2]
    is_seen: Bool[np.ndarray, "j i"]

    @classmethod
    def of(cls, volume: Volume) -> Plane:
        """The plane of the slices of an axial volume."""
        seen = field_of_view(volume.array)
        return cls(volume.grid.world_from_index[[1, 0], 3], volume.grid.spacing_mm[1:], seen)

    def index(self, points_mm: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Row and column of LPS (y, x) points."""
        return (points_mm - self.origin_mm) / self.pixel_mm

    def sees(self, index: Float[np.ndarray, "*n 2"]) -> Bool[np.ndarray, "*n"]:
        """Whether rows and columns lie inside the field of view."""
        nearest = np.rint(index).astype(int)
        inside = ((nearest >= 0) & (nearest < self.is_seen.shape)).all(axis=-1)
        row, column = np.moveaxis(np.clip(nearest, 0, np.array(self.is_seen.shape) - 1), -1, 0)
        return inside & self.is_seen[row, column]


def field_of_view(array: Shaped[np.ndarray, "k j i"]) -> Bool[np.ndarray, "j i"]:
    """Pixels that the scanner reconstructed: padding has one value in all slices and lies outside a circle."""
    rows, columns = array.shape[1:]
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    is_constant = array.max(axis=0) == array.min(axis=0)
    return ~(is_constant & (np.hypot(x, y) > CIRCLE)) | (array.shape[0] == 1)


@dataclass(frozen=True)
class Pose:
    """Where the cross-section lies in an axial plane.

    Attributes:
        x_mm: LPS x of the slab's middle.
        y_mm: LPS y of the slab's middle.
        roll_rad: rotation about the long axis, from +x to +y.
        scale: size relative to the phantom's table.
        sagitta_mm: how much higher the sides lie than the middle.
    """

    x_mm: float
    y_mm: float
    roll_rad: float
    scale: float
    sagitta_mm: float

    def place(
        self, u_mm: Float[np.ndarray, " n"], v_mm: Float[np.ndarray, " n"], half_width_mm: float
    ) -> Float[np.ndarray, "n 2"]:
        """LPS (y, x) of points given along the slab (u) and across it (v)."""
        bent = v_mm - self.sagitta_mm * (u_mm / half_width_mm) ** 2
        c, s = np.cos(self.roll_rad) * self.scale, np.sin(self.roll_rad) * self.scale
        return np.stack([self.y_mm + s * u_mm + c * bent, self.x_mm + c * u_mm - s * bent], axis=-1)


@dataclass(frozen=True, eq=False)
class Pattern:
    """Points inside the slab with the HU expected there.

    Attributes:
        u_mm: along the slab.
        v_mm: across it.
        expected_hu: at 70 keV.
        slab_hu: of these, the slab's.
        half_width_mm: of the slab.
        window_hu: values are clipped to it.
        is_turned: the phantom lies with its other end forward.
    """

    u_mm: Float[np.ndarray, " n"]
    v_mm: Float[np.ndarray, " n"]
    expected_hu: Float[np.ndarray, " n"]
    slab_hu: float
    half_width_mm: float
    window_hu: tuple[float, float]
    is_turned: bool

    @classmethod
    def of(cls, phantom: Phantom, is_turned: bool) -> Pattern:
        """The pattern of a phantom on a grid of points."""
        reach = max(abs(rod.offset_mm) for rod in phantom.rods) + REACH_DIAMETERS * phantom.diameter_mm
        height = phantom.slab_height_mm / 2 - RIM_MM
        u, v = np.meshgrid(
            np.arange(-reach, reach + 1e-6, POINT_STEP_MM), np.arange(-height, height + 1e-6, POINT_STEP_MM)
        )
        u, v = u.ravel(), v.ravel()
        body_hu = float(phantom.expected_hu[-1])
        expected_hu = np.full_like(u, body_hu)
        for rod, rod_hu in zip(phantom.rods, phantom.expected_hu, strict=False):
            offset_mm = -rod.offset_mm if is_turned else rod.offset_mm
            inside = np.clip((phantom.diameter_mm / 2 - np.hypot(u - offset_mm, v)) / POINT_STEP_MM + 0.5, 0, 1)
            expected_hu += inside * (rod_hu - body_hu)
        window_hu = (LEAST_HU, max(USUAL_MOST_HU, 1.5 * float(expected_hu.max())))
        return cls(u, v, expected_hu, body_hu, phantom.slab_width_mm / 2, window_hu, is_turned)

    def points_mm(self, pose: Pose) -> Float[np.ndarray, "n 2"]:
        """LPS (y, x) of the points at a pose."""
        return pose.place(self.u_mm, self.v_mm, self.half_width_mm)

    def sample(
        self, image: Shaped[np.ndarray, "j i"], plane: Plane, points_mm: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, " n"]:
        """HU of an axial image at points, clipped to the window; NaN outside the field of view."""
        index = plane.index(points_mm)
        hu = map_coordinates(image, index.T, np.float32, order=1, mode="nearest").clip(*self.window_hu)
        hu[~plane.sees(index)] = np.nan
        return hu

    def likeness(self, hu: Float[np.ndarray, " n"]) -> float:
        """Correlation between sampled values and the expected ones, less the share of points in air.

        Returns:
            In [-2, 1]; -1 if too little is seen.
        """
        seen = np.isfinite(hu)
        if seen.sum() < MIN_SEEN * hu.size:
            return -1.0
        centred, expected = _centred(hu[seen]), _centred(self.expected_hu[seen])
        norm = np.sqrt((centred @ centred) * (expected @ expected))
        in_air = float((hu[seen] < AIR_HU).mean())
        return float(centred @ expected / norm) - in_air if norm > 0 else 0.0

    def unevenness_hu(self, hu: Float[np.ndarray, " n"]) -> float:
        """Robust standard deviation of the slab between the rods: noise in a phantom, tissues elsewhere."""
        slab = hu[np.isfinite(hu) & (self.expected_hu == self.slab_hu)]
        return 1.4826 * float(np.median(np.abs(slab - np.median(slab)))) if slab.size else float("inf")

    def contrast(self, hu: Float[np.ndarray, " n"]) -> float:
        """How strongly the values follow the expected ones; 1 at 70 keV."""
        seen = np.isfinite(hu)
        if seen.sum() < MIN_SEEN * hu.size:
            return 0.0
        expected = _centred(self.expected_hu[seen])
        return float(hu[seen] @ expected / (expected @ expected))


def _centred(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return values - values.mean(dtype=np.float64)


def climb(
    score: Callable[[Pose], float], start: Pose, steps: Pose, lower: Pose, upper: Pose, halvings: int
) -> tuple[Pose, float]:
    """Best pose near a start by compass search: try each direction, halve the steps when none helps.

    Args:
        score: what to maximise.
        start: where to begin.
        steps: first step of each parameter; 0 keeps it fixed.
        lower: lower bounds.
        upper: upper bounds.
        halvings: how often steps are halved.
    """
    names = [name for name, step in zip(Pose.__dataclass_fields__, astuple(steps), strict=True) if step > 0]
    best, best_score, factor = start, score(start), 1.0
    for _ in range(halvings):
        moved = True
        while moved:
            moved = False
            for name in names:
                for sign in (1.0, -1.0):
                    value = getattr(best, name) + sign * factor * getattr(steps, name)
                    value = float(np.clip(value, getattr(lower, name), getattr(upper, name)))
                    trial = replace(best, **{name: value})
                    trial_score = score(trial)
                    if trial_score > best_score + 1e-6:
                        best, best_score, moved = trial, trial_score, True
                        break
        factor /= 2
    return best, best_score
