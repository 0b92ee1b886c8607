"""What a CT should read at a tube voltage: the slope of hydroxyapatite, the HU of fat and muscle, rays through bone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32

from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.radiography.spectra import Spectrum, tube_spectrum

CT_KVP = (80, 100, 120, 140)
"""Tube voltages that are computed; between them values are interpolated."""
FILTER_MM_AL = {80: 4.0, 100: 0.0, 120: 0.0, 140: 0.0}
"""Aluminium that the tabulated spectra lack: CT tubes have about 7 mm, the table of 80 kV has 3 mm."""
ALUMINIUM_G_CM3 = 2.699
PATIENT_WATER_G_CM2 = 20.0
"""Water that hardens the beam in a pelvis; scanners read water behind the like as 0 HU."""
BIN_KEV = 3
"""Width of the energies that rays are summed over."""
LONGEST_CM = 200.0
"""Length of water up to which rays are turned into water."""
FAT_G_CM3, MUSCLE_G_CM3 = 0.92, 1.05
"""Adipose tissue (ICRP, lipid) and skeletal muscle (ICRU Report 44)."""


@dataclass(frozen=True)
class Expected:
    """What an ideal scanner reads.

    Attributes:
        slope_mg_cm3_per_hu: of hydroxyapatite that displaces water.
        fat_hu: adipose tissue.
        muscle_hu: skeletal muscle.
    """

    slope_mg_cm3_per_hu: float
    fat_hu: float
    muscle_hu: float


def expected(kvp: float) -> Expected:
    """Slope and HU of tissues at a tube voltage.

    Raises:
        ValueError: a voltage outside `CT_KVP`.
    """
    known = [(share, _at(voltage)) for voltage, share in _between(kvp)]
    names = Expected.__dataclass_fields__
    return Expected(**{name: sum(share * getattr(e, name) for share, e in known) for name in names})


def kvp_factor(kvp: float | None) -> float:
    """Slope at a tube voltage over that at 120 kV; 1 if it is unknown or beyond what is computed."""
    if kvp is None or not CT_KVP[0] <= kvp <= CT_KVP[-1]:
        return 1.0
    return expected(kvp).slope_mg_cm3_per_hu / expected(120.0).slope_mg_cm3_per_hu


def mineral_over_water(kvp: float) -> float:
    """Relative attenuation that 1 g/cm³ of hydroxyapatite adds, where a pelvis has hardened the beam.

    Raises:
        ValueError: a voltage outside `CT_KVP`.
    """
    return sum(share * _rays_at(voltage).mineral_over_water for voltage, share in _between(kvp))


def misread_by_bone_cm(
    water_cm: Float32[np.ndarray, "..."], mineral_g_cm2: Float32[np.ndarray, "..."], kvp: float
) -> Float32[np.ndarray, "..."]:
    """How much too long, in cm of water, a correction for water alone reads rays that meet bone; mostly negative.

    All energies together are turned into the length of water that attenuates as much, which is right for water; the
    mineral should add `mineral_over_water` and adds less the more there is in the way (Joseph & Spital 1978).

    Args:
        water_cm: water that soft tissue attenuates like.
        mineral_g_cm2: hydroxyapatite on top of it.
        kvp: tube voltage.

    Raises:
        ValueError: a voltage outside `CT_KVP`.
    """
    around = [np.float32(share) * _rays_at(at).misread_cm(water_cm, mineral_g_cm2) for at, share in _between(kvp)]
    return around[0] if len(around) == 1 else around[0] + around[1]


@dataclass(frozen=True, eq=False)
class _Rays:
    """A scanner that corrects for water alone.

    Attributes:
        weights: share of the detected energy in each bin, without a patient.
        water_per_cm, mineral_cm2_g: attenuation in each bin.
        mineral_over_water: of one beam behind `PATIENT_WATER_G_CM2`.
        log, length_cm: table of attenuation by length of water.
    """

    weights: np.ndarray
    water_per_cm: np.ndarray
    mineral_cm2_g: np.ndarray
    mineral_over_water: float
    log: np.ndarray
    length_cm: np.ndarray

    def misread_cm(self, water_cm: np.ndarray, mineral_g_cm2: np.ndarray) -> np.ndarray:
        signal = np.zeros(np.shape(water_cm), np.float32)
        for weight, water, mineral in zip(self.weights, self.water_per_cm, self.mineral_cm2_g, strict=True):
            exponent = np.float32(-water) * water_cm - np.float32(mineral) * mineral_g_cm2
            signal += np.float32(weight) * np.exp(exponent)
        reading_cm = np.interp(-np.log(signal), self.log, self.length_cm)
        return (reading_cm - water_cm - self.mineral_over_water * mineral_g_cm2).astype(np.float32)


@cache
def _rays_at(kvp: int) -> _Rays:
    spectrum = _tube(kvp)
    shares, energies_kev = spectrum.in_bins(BIN_KEV)
    water, mineral = (mass_attenuation_cm2_g(name, energies_kev) for name in ("water", "hydroxyapatite"))
    hardened = spectrum.behind("water", PATIENT_WATER_G_CM2)
    by_one_beam = [
        hardened.effective(mass_attenuation_cm2_g(name, spectrum.energies_kev)) for name in ("hydroxyapatite", "water")
    ]
    length_cm = np.linspace(-2.0, LONGEST_CM, 4041)
    log = -np.log(np.exp(-length_cm[:, None] * water) @ shares)
    return _Rays(shares, water, mineral, by_one_beam[0] / by_one_beam[1], log, length_cm)


def _between(kvp: float) -> list[tuple[int, float]]:
    """The computed voltages around a voltage, and their shares."""
    if not CT_KVP[0] <= kvp <= CT_KVP[-1]:
        raise ValueError(f"kvp: expected {CT_KVP[0]} to {CT_KVP[-1]} kV, got {kvp:g} kV")
    shares = [float(np.interp(kvp, CT_KVP, np.eye(len(CT_KVP))[n])) for n in range(len(CT_KVP))]
    return [(voltage, share) for voltage, share in zip(CT_KVP, shares, strict=True) if share]


def _tube(kvp: int) -> Spectrum:
    """What leaves the tube of a CT."""
    return tube_spectrum(kvp).behind("aluminium", FILTER_MM_AL[kvp] / 10 * ALUMINIUM_G_CM3)


@cache
def _at(kvp: int) -> Expected:
    spectrum = _tube(kvp).behind("water", PATIENT_WATER_G_CM2)
    water, fat, muscle = (
        spectrum.effective(mass_attenuation_cm2_g(name, spectrum.energies_kev)) for name in ("water", "adipose", "lean")
    )
    rod = spectrum.effective(hydroxyapatite_in_water_per_cm(0.1, spectrum.energies_kev))
    return Expected(
        100.0 / (1000.0 * (rod / water - 1.0)),
        1000.0 * (FAT_G_CM3 * fat / water - 1.0),
        1000.0 * (MUSCLE_G_CM3 * muscle / water - 1.0),
    )
