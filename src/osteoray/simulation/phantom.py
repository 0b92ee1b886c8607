"""A calibration phantom on the CT couch: a curved slab with hydroxyapatite rods, bowed along the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class PhantomDesign:
    """A phantom as its data sheet gives it (`resources/phantoms/*.yaml`).

    Attributes:
        rods: (density in mg/cm³ HA, offset in mm along patient left) of every rod.
        sagitta_mm: how much higher the slab's sides lie than its middle.
    """

    name: str
    rods: tuple[tuple[float, float], ...]
    diameter_mm: float
    slab_width_mm: float
    slab_height_mm: float
    slab_length_mm: float
    sagitta_mm: float

    @classmethod
    def from_table(cls, table: dict) -> PhantomDesign:
        """Design from the parsed YAML table."""
        rods = tuple((float(rod["density_mg_cm3"]), float(rod["offset_mm"])) for rod in table["rods"])
        lengths = ("diameter_mm", "slab_width_mm", "slab_height_mm", "slab_length_mm", "sagitta_mm")
        return cls(table["name"], rods, **{name: float(table[name]) for name in lengths})


@dataclass(frozen=True)
class PhantomPlacement:
    """Where the phantom lies.

    Attributes:
        middle_mm: LPS position of the slab's middle.
        tilt: slopes of its height over x (roll) and of its middle line (x, y) over z.
        bow_mm: how much lower than its ends the middle of the slab lies.
    """

    middle_mm: tuple[float, float, float]
    roll: float
    slope_x: float
    slope_y: float
    bow_mm: float

    def reaches(self, design: PhantomDesign, z_mm: np.ndarray) -> np.ndarray:
        """Whether the slab reaches heights z."""
        return np.abs(z_mm - self.middle_mm[2]) <= design.slab_length_mm / 2

    def centre_line_mm(self, design: PhantomDesign, z_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position (x, y) of the slab's middle at heights z."""
        dz_mm = z_mm - self.middle_mm[2]
        bow_mm = self.bow_mm * (2 * dz_mm / design.slab_length_mm) ** 2
        return self.middle_mm[0] + self.slope_x * dz_mm, self.middle_mm[1] + self.slope_y * dz_mm - bow_mm


def rise_mm(design: PhantomDesign, offset_mm: np.ndarray | float) -> np.ndarray | float:
    """How much higher (anterior) the slab lies at an offset from its middle."""
    return design.sagitta_mm * (np.asarray(offset_mm) / (design.slab_width_mm / 2)) ** 2


def rod_centres_mm(
    design: PhantomDesign, placement: PhantomPlacement, z_mm: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "rods k 3"]:
    """LPS positions of the rods' centres at heights z."""
    x_mm, y_mm = placement.centre_line_mm(design, z_mm)
    centres = []
    for _, offset_mm in design.rods:
        y_rod_mm = y_mm + placement.roll * offset_mm - rise_mm(design, offset_mm)
        centres.append(np.stack([x_mm + offset_mm, y_rod_mm, z_mm], axis=-1))
    return np.stack(centres)


def paint_phantom(
    relative_attenuation: Float[np.ndarray, "k j i"],
    x_mm: Float[np.ndarray, "i"],
    y_mm: Float[np.ndarray, "j"],
    z_mm: Float[np.ndarray, "k"],
    design: PhantomDesign,
    placement: PhantomPlacement,
    rod_values: tuple[float, ...],
) -> None:
    """Add the phantom to the attenuation relative to water, with partial volume at its surfaces; works in place.

    Args:
        relative_attenuation: 1 is water, which is also the slab.
        x_mm, y_mm, z_mm: axes of the voxels.
        design: rods and slab.
        placement: where it lies.
        rod_values: relative attenuation inside each rod.
    """
    pixel_mm = float(x_mm[1] - x_mm[0])
    centre_x_mm, centre_y_mm = placement.centre_line_mm(design, z_mm)
    rods_mm = rod_centres_mm(design, placement, z_mm)
    for k in np.flatnonzero(placement.reaches(design, z_mm)):
        reach_x, reach_y = design.slab_width_mm / 2 + 2 * pixel_mm, design.slab_height_mm / 2 + 3 * design.sagitta_mm
        columns = np.flatnonzero(np.abs(x_mm - centre_x_mm[k]) < reach_x)
        rows = np.flatnonzero(np.abs(y_mm - centre_y_mm[k]) < reach_y + 2 * pixel_mm)
        box = np.ix_([k], rows, columns)
        across_mm = (x_mm[columns] - centre_x_mm[k])[None, :]
        along_mm = y_mm[rows][:, None] - centre_y_mm[k] - placement.roll * across_mm + rise_mm(design, across_mm)
        value = _rounded_slab(across_mm, along_mm, design, pixel_mm)
        for (x_rod, y_rod, _), rod_value in zip(rods_mm[:, k], rod_values, strict=True):
            distance_mm = np.hypot(x_mm[columns][None, :] - x_rod, y_mm[rows][:, None] - y_rod)
            inside = np.clip(0.5 - (distance_mm - design.diameter_mm / 2) / pixel_mm, 0, 1)
            value += inside * (rod_value - 1.0)
        relative_attenuation[box] += value[None].astype(relative_attenuation.dtype)


def _rounded_slab(
    across_mm: np.ndarray, along_mm: np.ndarray, design: PhantomDesign, pixel_mm: float
) -> Float[np.ndarray, "j i"]:
    """Fraction of each pixel inside the slab's cross-section, a rectangle with round ends."""
    radius_mm = design.slab_height_mm / 2
    straight_mm = design.slab_width_mm / 2 - radius_mm
    distance_mm = np.hypot(np.maximum(np.abs(across_mm) - straight_mm, 0), along_mm) - radius_mm
    return np.clip(0.5 - distance_mm / pixel_mm, 0, 1)
