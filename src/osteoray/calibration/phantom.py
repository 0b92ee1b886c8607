"""A calibration phantom: rods of known density in a slab, as its table in resources/phantoms says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

UNIT = "HA mg/cm3"
"""Densities are hydroxyapatite; other units differ by up to a fifth and are refused, never relabelled."""


@dataclass(frozen=True)
class Rod:
    """One rod.

    Attributes:
        density_mg_cm3: hydroxyapatite.
        offset_mm: along patient left from the middle of the slab.
    """

    density_mg_cm3: float
    offset_mm: float


@dataclass(frozen=True)
class Phantom:
    """A slab with rods along the patient.

    Attributes:
        name: as printed.
        body_mg_cm3: density of the slab, read at its empty middle.
        rods: from patient right to patient left.
        diameter_mm: of a rod.
        slab_width_mm: left to right.
        slab_height_mm: front to back.
        sagitta_mm: how much higher the slab's sides lie than its middle.
    """

    name: str
    body_mg_cm3: float
    rods: tuple[Rod, ...]
    diameter_mm: float
    slab_width_mm: float
    slab_height_mm: float
    sagitta_mm: float

    @classmethod
    def from_table(cls, table: dict) -> Phantom:
        """The phantom of a table as read from YAML.

        Raises:
            ValueError: densities in another unit than hydroxyapatite.
        """
        if table["unit"] != UNIT:
            raise ValueError(f"unit: expected {UNIT!r}, got {table['unit']!r}")
        rods = sorted((Rod(float(r["density_mg_cm3"]), float(r["offset_mm"])) for r in table["rods"]), key=_offset)
        lengths = {key: float(table[key]) for key in ("diameter_mm", "slab_width_mm", "slab_height_mm", "sagitta_mm")}
        return cls(name=table["name"], body_mg_cm3=float(table["body_mg_cm3"]), rods=tuple(rods), **lengths)

    @property
    def levels_mg_cm3(self) -> Float[np.ndarray, " levels"]:
        """Densities of the rods from right to left, then of the slab."""
        return np.array([*(rod.density_mg_cm3 for rod in self.rods), self.body_mg_cm3])

    @property
    def level_offsets_mm(self) -> Float[np.ndarray, " levels"]:
        """Where the levels are read, from the middle of the slab along patient left."""
        return np.array([*(rod.offset_mm for rod in self.rods), 0.0])


def _offset(rod: Rod) -> float:
    return rod.offset_mm
