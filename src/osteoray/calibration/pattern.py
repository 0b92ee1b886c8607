"""The phantom's cross-section as a pattern of points, and how well an image shows it at a pose.

Finding uses the pattern made symmetric (each rod carries the mean of itself and its mirror image), so a phantom that
lies turned round is found as well; which way it lies is read from the rods afterwards. Only the inside of the slab is
compared: air gap, couch and a patient who touches the slab do not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from osteoray.calibration.phantom import Phantom
from osteoray.imaging.volume import Volume

HU_WINDOW = (-200.0, 500.0)
"""Slab and rods lie inside; air and metal are clipped so that they cannot dominate a correlation."""
RIM_MM = 4.0
"""Border of the slab's height that is not compared."""
REACH_DIAMETERS = 0.9
"""The pattern ends this many rod diameters beyond the outermost rods: the slab's own ends may be round or cut off."""
POINT_STEP_MM = 2.0


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the pixels of an axial image lie.

    Attributes:
        origin_mm: LPS (y, x) of the first pixel's centre.
        pixel_mm: pixel size along y and x.
    """

    origin_mm: Float[np.ndarray, 2]
    pixel_mm: Float[np.ndarray, 2]

    @classmethod
    def of(cls, volume: Volume) -> Plane:
        """The plane of the slices of an axial volume."""
        return cls(volume.grid.world_from_index[[1, 0], 3], volume.grid.spacing_mm[1:])


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
    """Points inside the slab with the density expected there.

    Attributes:
        u_mm: along the slab.
        v_mm: across it.
        density_mg_cm3: expected, symmetric, with mean 0.
        half_width_mm: of the slab.
    """

    u_mm: Float[np.ndarray, " n"]
    v_mm: Float[np.ndarray, " n"]
    density_mg_cm3: Float[np.ndarray, " n"]
    half_width_mm: float

    @classmethod
    def of(cls, phantom: Phantom) -> Pattern:
        """The pattern of a phantom on a grid of points."""
        reach = max(abs(rod.offset_mm) for rod in phantom.rods) + REACH_DIAMETERS * phantom.diameter_mm
        height = phantom.slab_height_mm / 2 - RIM_MM
        u, v = np.meshgrid(
            np.arange(-reach, reach + 1e-6, POINT_STEP_MM), np.arange(-height, height + 1e-6, POINT_STEP_MM)
        )
        u, v = u.ravel(), v.ravel()
        density = np.zeros_like(u)
        for rod in phantom.rods:
            for offset_mm in (rod.offset_mm, -rod.offset_mm):
                inside = np.clip((phantom.diameter_mm / 2 - np.hypot(u - offset_mm, v)) / POINT_STEP_MM + 0.5, 0, 1)
                density += inside * (rod.density_mg_cm3 - phantom.body_mg_cm3) / 2
        return cls(u, v, density - density.mean(), phantom.slab_width_mm / 2)

    def points_mm(self, pose: Pose) -> Float[np.ndarray, "n 2"]:
        """LPS (y, x) of the points at a pose."""
        return pose.place(self.u_mm, self.v_mm, self.half_width_mm)

    def sample(self, image: Float[np.ndarray, "j i"], plane: Plane, pose: Pose) -> Float[np.ndarray, " n"]:
        """HU of an axial image at the points, clipped to the window; outside counts as air."""
        index = (self.points_mm(pose) - plane.origin_mm) / plane.pixel_mm
        return np.clip(map_coordinates(image, index.T, order=1, mode="constant", cval=HU_WINDOW[0]), *HU_WINDOW)

    def likeness(self, hu: Float[np.ndarray, " n"]) -> float:
        """Correlation in [-1, 1] between sampled values and the expected densities."""
        centred = hu - hu.mean()
        norm = np.sqrt((centred @ centred) * (self.density_mg_cm3 @ self.density_mg_cm3))
        return float(centred @ self.density_mg_cm3 / norm) if norm > 0 else 0.0

    def contrast(self, hu: Float[np.ndarray, "*k n"]) -> Float[np.ndarray, "*k"]:
        """HU per mg/cm³ by which the values follow the expected densities."""
        return np.asarray(hu @ self.density_mg_cm3 / (self.density_mg_cm3 @ self.density_mg_cm3))


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
