"""A calibration phantom: rods of known density in a slab, as its table in resources/phantoms says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

Unit = Literal["HA mg/cm3", "K2HPO4 mg/cm3"]
"""What a phantom's densities mean; they differ by up to a fifth and are converted openly, never relabelled."""

HU_PER_MG_CM3 = {"HA mg/cm3": 1.623, "K2HPO4 mg/cm3": 1.563}
"""Mass attenuation of the mineral over that of water at 70 keV (xraylib): what rods should show, to find them by."""
HYDROXYAPATITE_G_CM3 = 3.16
"""Mass density of pure hydroxyapatite: how much water it displaces in a rod."""
CLEARANCE_MM = 2.0
"""Rim of a rod that its blur reaches; the slab is read beyond it."""
LENGTHS = ("diameter_mm", "slab_width_mm", "slab_height_mm", "sagitta_mm")
REQUIRED = {"name", "unit", "body_mg_cm3", "rods"}
OPTIONAL = {"body_water_mg_cm3", "body_is_level", "conversion", "pitch_mm", "slab_length_mm"}
ROD_KEYS = {"density_mg_cm3", "water_mg_cm3", "offset_mm"}


@dataclass(frozen=True)
class Rod:
    """One rod.

    Attributes:
        density_mg_cm3: mineral, in the phantom's unit.
        water_mg_cm3: water beside the mineral.
        offset_mm: along patient left from the middle of the slab.
    """

    density_mg_cm3: float
    water_mg_cm3: float
    offset_mm: float


@dataclass(frozen=True)
class Conversion:
    """How much K2HPO4 hydroxyapatite is read as, by tube voltage.

    Attributes:
        kvp: tube voltages, rising.
        k2hpo4_per_ha: K2HPO4 that 1 mg/cm³ of hydroxyapatite reads as, at those.
        source: where the ratios come from.
    """

    kvp: tuple[float, ...]
    k2hpo4_per_ha: tuple[float, ...]
    source: str


@dataclass(frozen=True)
class Phantom:
    """A slab with rods along the patient.

    Attributes:
        name: as printed.
        unit: of all densities.
        body_mg_cm3: density of the slab, read between the rods.
        body_water_mg_cm3: water that the slab is equivalent to.
        body_is_level: whether the slab's density is certified, so that the line is fitted to it as well.
        rods: from patient right to patient left.
        diameter_mm: of a rod.
        slab_width_mm: left to right.
        slab_height_mm: front to back.
        sagitta_mm: how much higher the slab's sides lie than its middle.
        conversion: from K2HPO4 to hydroxyapatite; None for a phantom of hydroxyapatite.
    """

    name: str
    unit: Unit
    body_mg_cm3: float
    body_water_mg_cm3: float
    body_is_level: bool
    rods: tuple[Rod, ...]
    diameter_mm: float
    slab_width_mm: float
    slab_height_mm: float
    sagitta_mm: float
    conversion: Conversion | None

    @classmethod
    def from_table(cls, table: Any) -> Phantom:
        """The phantom of a table as read from YAML.

        A rod without `water_mg_cm3` is water of which the mineral displaces its own volume.

        Raises:
            ValueError: a key is missing, unknown or has no possible value.
        """
        _known("table", table, REQUIRED | OPTIONAL | set(LENGTHS), REQUIRED | set(LENGTHS))
        if table["unit"] not in get_args(Unit):
            raise ValueError(f"unit: expected one of {', '.join(get_args(Unit))}, got {table['unit']!r}")
        if not isinstance(table["rods"], list) or len(table["rods"]) < 2:
            raise ValueError(f"rods: expected a list of at least two, got {table['rods']!r}")
        lengths = {key: _number(key, table.get(key), 0.0 if key == "sagitta_mm" else 1.0) for key in LENGTHS}
        rods = tuple(
            sorted((_rod(number, row, table["unit"]) for number, row in enumerate(table["rods"])), key=_offset)
        )
        phantom = cls(
            name=str(table["name"]),
            unit=table["unit"],
            body_mg_cm3=_number("body_mg_cm3", table["body_mg_cm3"]),
            body_water_mg_cm3=_number("body_water_mg_cm3", table.get("body_water_mg_cm3", 1000.0)),
            body_is_level=table.get("body_is_level", True) is True,
            rods=rods,
            conversion=_conversion(table),
            **lengths,
        )
        _fits(phantom)
        return phantom

    @property
    def levels_mg_cm3(self) -> Float[np.ndarray, " levels"]:
        """Densities of the rods from right to left, then of the slab."""
        return np.array([*(rod.density_mg_cm3 for rod in self.rods), self.body_mg_cm3])

    @property
    def levels_water_mg_cm3(self) -> Float[np.ndarray, " levels"]:
        """Water beside the mineral in the rods, then in the slab."""
        return np.array([*(rod.water_mg_cm3 for rod in self.rods), self.body_water_mg_cm3])

    @property
    def expected_hu(self) -> Float[np.ndarray, " levels"]:
        """What the levels should about read at 70 keV: to find them and to tell their order, never to calibrate."""
        return self.levels_water_mg_cm3 - 1000.0 + HU_PER_MG_CM3[self.unit] * self.levels_mg_cm3

    @property
    def is_certified(self) -> np.ndarray:
        """Levels that the line may be fitted to: the rods, and the slab if its density is known."""
        return np.array([True] * len(self.rods) + [self.body_is_level])

    @property
    def level_offsets_mm(self) -> Float[np.ndarray, " levels"]:
        """Where the levels are read, from the middle of the slab along patient left."""
        spots = self.body_offsets_mm
        return np.array([*(rod.offset_mm for rod in self.rods), spots[int(np.abs(spots).argmin())]])

    @property
    def body_offsets_mm(self) -> Float[np.ndarray, " spots"]:
        """Middles of the gaps between neighbouring rods that are wide enough to read the slab there."""
        rods = np.array([rod.offset_mm for rod in self.rods])
        gaps = np.diff(rods)
        # A core of half a rod's diameter must find room beside the blur of both rods.
        wide = gaps >= 1.5 * self.diameter_mm + 2 * CLEARANCE_MM
        middles = (rods[:-1] + gaps / 2)[wide]
        return middles if middles.size else (rods[:-1] + gaps / 2)[[int(gaps.argmax())]]


def _known(where: str, table: Any, allowed: set[str], required: set[str]) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected keys with values, got {table!r}")
    if unknown := sorted(set(table) - allowed):
        raise ValueError(f"{where}: expected no key but {', '.join(sorted(allowed))}, got {', '.join(unknown)}")
    if missing := sorted(required - set(table)):
        raise ValueError(f"{where}: expected {', '.join(sorted(required))}, got no {', '.join(missing)}")


def _number(key: str, value: Any, least: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        kind = "a number" if least == -math.inf else f"a number of at least {least:g}"
        raise ValueError(f"{key}: expected {kind}, got {value!r}")
    return float(value)


def _rod(number: int, row: Any, unit: str) -> Rod:
    where = f"rods[{number}]"
    _known(
        where, row, ROD_KEYS, {"density_mg_cm3", "offset_mm"} | ({"water_mg_cm3"} if unit.startswith("K") else set())
    )
    density, offset = (_number(f"{where}.{key}", row[key]) for key in ("density_mg_cm3", "offset_mm"))
    displaced = 1000.0 - density / HYDROXYAPATITE_G_CM3
    return Rod(density, _number(f"{where}.water_mg_cm3", row.get("water_mg_cm3", displaced)), offset)


def _conversion(table: Mapping[str, Any]) -> Conversion | None:
    """Required of K2HPO4, so that its densities never pass for hydroxyapatite."""
    if table["unit"] == "HA mg/cm3":
        return None
    entry: Any = table.get("conversion")
    _known("conversion", entry, {"k2hpo4_per_ha", "source"}, {"k2hpo4_per_ha", "source"})
    ratios: Any = entry["k2hpo4_per_ha"]
    if not isinstance(ratios, Mapping) or not ratios:
        raise ValueError(f"conversion.k2hpo4_per_ha: expected ratios by tube voltage in kV, got {ratios!r}")
    known = {
        _number("conversion: tube voltage", kvp, 1.0): _number("conversion: ratio", ratios[kvp], 0.1) for kvp in ratios
    }
    kvp = sorted(known)
    return Conversion(tuple(kvp), tuple(known[value] for value in kvp), str(entry["source"]))


def _offset(rod: Rod) -> float:
    return rod.offset_mm


def _fits(phantom: Phantom) -> None:
    """The rods lie beside one another inside the slab, and their densities differ."""
    offsets = np.array([rod.offset_mm for rod in phantom.rods])
    nearest = float(np.diff(offsets).min())
    if nearest <= phantom.diameter_mm:
        raise ValueError(f"rods: expected offset_mm more than a diameter_mm apart, got {nearest:g}")
    if np.abs(offsets).max() + phantom.diameter_mm / 2 > phantom.slab_width_mm / 2:
        raise ValueError(
            f"rods: expected offset_mm inside slab_width_mm {phantom.slab_width_mm:g}, got {offsets.tolist()}"
        )
    if np.ptp(phantom.levels_mg_cm3) < 20:
        raise ValueError(f"rods: expected densities that differ, got {phantom.levels_mg_cm3[:-1].tolist()}")
