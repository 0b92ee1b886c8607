"""A calibration phantom on the CT couch: a curved slab with rods of known density, bowed along the patient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from osteoray.simulation.body import HYDROXYAPATITE_G_CM3
from osteoray.simulation.ct_response import CtResponse

MINERALS = {"HA mg/cm3": "hydroxyapatite", "K2HPO4 mg/cm3": "potassium_phosphate"}
"""What the densities of a table mean, by its unit: a field of `CtResponse`."""


@dataclass(frozen=True)
class Rod:
    """One rod.

    Attributes:
        density_mg_cm3: mineral, in the unit of the phantom's table.
        water_mg_cm3: water beside the mineral.
        offset_mm: along patient left from the middle of the slab.
    """

    density_mg_cm3: float
    water_mg_cm3: float
    offset_mm: float


@dataclass(frozen=True)
class PhantomDesign:
    """A phantom as its data sheet gives it (`resources/phantoms/*.yaml`).

    Attributes:
        unit: of the rods' densities, a key of `MINERALS`.
        rods: in the order of the table.
        body_water_mg_cm3: water that the slab is equivalent to.
        sagitta_mm: how much higher the slab's sides lie than its middle.
    """

    name: str
    unit: str
    rods: tuple[Rod, ...]
    body_water_mg_cm3: float
    diameter_mm: float
    slab_width_mm: float
    slab_height_mm: float
    slab_length_mm: float
    sagitta_mm: float

    @classmethod
    def from_table(cls, table: dict) -> PhantomDesign:
        """Design from the parsed YAML table.

        A rod without `water_mg_cm3` is water of which the mineral displaces its own volume.

        Raises:
            ValueError: a unit of density that is not known.
        """
        if table["unit"] not in MINERALS:
            raise ValueError(f"unit: expected one of {', '.join(MINERALS)}, got {table['unit']!r}")
        lengths = ("diameter_mm", "slab_width_mm", "slab_height_mm", "slab_length_mm", "sagitta_mm")
        return cls(
            table["name"],
            table["unit"],
            tuple(_rod(row) for row in table["rods"]),
            float(table.get("body_water_mg_cm3", 1000.0)),
            **{name: float(table[name]) for name in lengths},
        )

    def relative_attenuation(self, rod: Rod, response: CtResponse) -> float:
        """Attenuation of a rod over that of water."""
        return 1e-3 * (rod.water_mg_cm3 + getattr(response, MINERALS[self.unit]) * rod.density_mg_cm3)

    def turned(self) -> PhantomDesign:
        """The phantom with its other end towards the head: left and right change places."""
        return replace(self, rods=tuple(replace(rod, offset_mm=-rod.offset_mm) for rod in self.rods))

    def swapped(self) -> PhantomDesign:
        """The phantom with the materials of its first two rods exchanged."""
        one, other, *rest = self.rods
        exchanged = (replace(other, offset_mm=one.offset_mm), replace(one, offset_mm=other.offset_mm))
        return replace(self, rods=(*exchanged, *rest))


def _rod(row: dict) -> Rod:
    density_mg_cm3 = float(row["density_mg_cm3"])
    displaced = 1000.0 - density_mg_cm3 / HYDROXYAPATITE_G_CM3
    return Rod(density_mg_cm3, float(row.get("water_mg_cm3", displaced)), float(row["offset_mm"]))


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
    for rod in design.rods:
        y_rod_mm = y_mm + placement.roll * rod.offset_mm - rise_mm(design, rod.offset_mm)
        centres.append(np.stack([x_mm + rod.offset_mm, y_rod_mm, z_mm], axis=-1))
    return np.stack(centres)


def paint_phantom(
    values: Float[np.ndarray, "k j i"],
    axes_mm: tuple[np.ndarray, np.ndarray, np.ndarray],
    design: PhantomDesign,
    placement: PhantomPlacement,
    body_value: float,
    rod_values: tuple[float, ...],
) -> None:
    """Add the phantom to voxels that hold air there, with partial volume at its surfaces; works in place.

    Args:
        values: any quantity that is 0 in air.
        axes_mm: x, y, z of the voxels along i, j, k.
        design: rods and slab.
        placement: where it lies.
        body_value: of the slab.
        rod_values: of every rod.
    """
    x_mm, y_mm, z_mm = axes_mm
    pixel_mm = float(x_mm[1] - x_mm[0])
    centre_x_mm, centre_y_mm = placement.centre_line_mm(design, z_mm)
    rods_mm = rod_centres_mm(design, placement, z_mm)
    for k in np.flatnonzero(placement.reaches(design, z_mm)):
        reach_x, reach_y = design.slab_width_mm / 2 + 2 * pixel_mm, design.slab_height_mm / 2 + 3 * design.sagitta_mm
        columns = np.flatnonzero(np.abs(x_mm - centre_x_mm[k]) < reach_x)
        rows = np.flatnonzero(np.abs(y_mm - centre_y_mm[k]) < reach_y + 4 * pixel_mm)
        if not (rows.size and columns.size):
            continue
        across_mm = (x_mm[columns] - centre_x_mm[k])[None, :]
        along_mm = y_mm[rows][:, None] - centre_y_mm[k] - placement.roll * across_mm + rise_mm(design, across_mm)
        slab = body_value * _rounded_slab(across_mm, along_mm, design, pixel_mm)
        for (x_rod, y_rod, _), rod_value in zip(rods_mm[:, k], rod_values, strict=True):
            distance_mm = np.hypot(x_mm[columns][None, :] - x_rod, y_mm[rows][:, None] - y_rod)
            inside = np.clip(0.5 - (distance_mm - design.diameter_mm / 2) / pixel_mm, 0, 1)
            slab += inside * (rod_value - body_value)
        values[k, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += slab.astype(values.dtype)


def _rounded_slab(
    across_mm: np.ndarray, along_mm: np.ndarray, design: PhantomDesign, pixel_mm: float
) -> Float[np.ndarray, "j i"]:
    """Fraction of each pixel inside the slab's cross-section, a rectangle with round ends."""
    radius_mm = design.slab_height_mm / 2
    straight_mm = design.slab_width_mm / 2 - radius_mm
    distance_mm = np.hypot(np.maximum(np.abs(across_mm) - straight_mm, 0), along_mm) - radius_mm
    return np.clip(0.5 - distance_mm / pixel_mm, 0, 1)
