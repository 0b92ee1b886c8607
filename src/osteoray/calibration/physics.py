"""What a CT should read at a tube voltage: the slope of hydroxyapatite and the HU of fat and muscle, from physics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum

CT_KVP = (80, 100, 120, 140)
"""Tube voltages that are computed; between them values are interpolated."""
FILTER_MM_AL = {80: 4.0, 100: 0.0, 120: 0.0, 140: 0.0}
"""Aluminium that the tabulated spectra lack: CT tubes have about 7 mm, the table of 80 kV has 3 mm."""
ALUMINIUM_G_CM3 = 2.699
PATIENT_WATER_G_CM2 = 20.0
"""Water that hardens the beam in a pelvis; scanners read water behind the like as 0 HU."""
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
    if not CT_KVP[0] <= kvp <= CT_KVP[-1]:
        raise ValueError(f"kvp: expected {CT_KVP[0]} to {CT_KVP[-1]} kV, got {kvp:g} kV")
    known = [_at(voltage) for voltage in CT_KVP]
    names = Expected.__dataclass_fields__
    return Expected(**{name: float(np.interp(kvp, CT_KVP, [getattr(e, name) for e in known])) for name in names})


def kvp_factor(kvp: float | None) -> float:
    """Slope at a tube voltage over that at 120 kV; 1 if it is unknown or beyond what is computed."""
    if kvp is None or not CT_KVP[0] <= kvp <= CT_KVP[-1]:
        return 1.0
    return expected(kvp).slope_mg_cm3_per_hu / expected(120.0).slope_mg_cm3_per_hu


@cache
def _at(kvp: int) -> Expected:
    spectrum = tube_spectrum(kvp).behind("aluminium", FILTER_MM_AL[kvp] / 10 * ALUMINIUM_G_CM3)
    spectrum = spectrum.behind("water", PATIENT_WATER_G_CM2)
    water, fat, muscle = (
        spectrum.effective(mass_attenuation_cm2_g(name, spectrum.energies_kev)) for name in ("water", "adipose", "lean")
    )
    rod = spectrum.effective(hydroxyapatite_in_water_per_cm(0.1, spectrum.energies_kev))
    return Expected(
        100.0 / (1000.0 * (rod / water - 1.0)),
        1000.0 * (FAT_G_CM3 * fat / water - 1.0),
        1000.0 * (MUSCLE_G_CM3 * muscle / water - 1.0),
    )
