"""How a CT answers to composition: attenuation relative to water at a tube voltage, linear in every material's mass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.radiography.spectra import Spectrum, tube_spectrum

CT_KVP = 120
CT_FILTER_MM_AL = 7.0
"""Total filtration of a CT tube; tables of radiography hold 3 mm and get the rest."""
RADIOGRAPHY_FILTER_MM_AL, HIGHEST_RADIOGRAPHY_KVP = 3.0, 90
ALUMINIUM_G_CM3 = 2.699
HARDENING_WATER_G_CM2 = 20.0
"""Water that hardens the beam before the voxel that is measured; scanners calibrate water to 0 HU behind the like."""
TITANIUM_G_CM3 = 4.43
"""Mass density of the alloy Ti-6Al-4V, whose attenuation is taken as titanium's."""


@dataclass(frozen=True)
class CtResponse:
    """Attenuation relative to water, averaged over the detected CT spectrum.

    Attributes:
        adipose, lean, hydroxyapatite, potassium_phosphate, iodine, titanium: mass attenuation over that of water, so
            that times g/cm³ it adds up to mu / mu(water).
        rod_hu_per_mg_cm3: HU of 1 mg/cm³ of hydroxyapatite that displaces water.
    """

    adipose: float
    lean: float
    hydroxyapatite: float
    potassium_phosphate: float
    iodine: float
    titanium: float
    rod_hu_per_mg_cm3: float

    def relative_attenuation(
        self, adipose_g_cm3: np.ndarray, lean_g_cm3: np.ndarray, ha_mg_cm3: np.ndarray
    ) -> np.ndarray:
        """Attenuation over that of water: 0 in air, 1 in water."""
        return self.adipose * adipose_g_cm3 + self.lean * lean_g_cm3 + self.hydroxyapatite * 1e-3 * ha_mg_cm3

    def rod_hu(self, density_mg_cm3: float) -> float:
        """HU of a phantom rod of hydroxyapatite."""
        return self.rod_hu_per_mg_cm3 * density_mg_cm3

    def qct_mg_cm3(self, relative_attenuation: np.ndarray) -> np.ndarray:
        """What an ideal scan with an ideal phantom calibration reads: linear, 0 in water, negative in fat."""
        return 1000.0 / self.rod_hu_per_mg_cm3 * (relative_attenuation - 1.0)


@cache
def ct_spectrum(kvp: int) -> Spectrum:
    """Spectrum of a CT tube behind `CT_FILTER_MM_AL`, before the patient.

    Raises:
        ValueError: no table for this voltage.
    """
    held_mm = RADIOGRAPHY_FILTER_MM_AL if kvp <= HIGHEST_RADIOGRAPHY_KVP else CT_FILTER_MM_AL
    return tube_spectrum(kvp).behind("aluminium", (CT_FILTER_MM_AL - held_mm) / 10 * ALUMINIUM_G_CM3)


@cache
def ct_response(kvp: int = CT_KVP) -> CtResponse:
    """Response of the CT at a tube voltage behind `HARDENING_WATER_G_CM2` of water."""
    spectrum = ct_spectrum(kvp).behind("water", HARDENING_WATER_G_CM2)
    materials = ("adipose", "lean", "hydroxyapatite", "potassium phosphate", "iodine", "titanium")
    mass_cm2_g = {name: _effective_cm2_g(spectrum, name) for name in ("water", *materials)}
    rod = spectrum.effective(hydroxyapatite_in_water_per_cm(0.1, spectrum.energies_kev))
    relative = {name.replace(" ", "_"): mass_cm2_g[name] / mass_cm2_g["water"] for name in materials}
    return CtResponse(**relative, rod_hu_per_mg_cm3=1000.0 * (rod / mass_cm2_g["water"] - 1.0) / 100.0)


def relative_noise(kvp: int, water_mm: np.ndarray) -> np.ndarray:
    """Noise in HU behind water at a tube load, over that at 120 kVp behind 28 cm.

    Photons of every energy arrive independently and count with their energy, so the relative variance of the signal is
    sum(n E²) / sum(n E)² (Swank 1973), and a HU is a thousandth of the attenuation of water at this voltage.

    Args:
        kvp: tube voltage.
        water_mm: length of the path in water.
    """
    return _noise(kvp, np.asarray(water_mm, float)) / _noise(CT_KVP, np.array(280.0))


def _noise(kvp: int, water_mm: np.ndarray) -> np.ndarray:
    spectrum = ct_spectrum(kvp)
    water_cm2_g = mass_attenuation_cm2_g("water", spectrum.energies_kev)
    photons = spectrum.photons_per_cm2_mas * np.exp(-np.multiply.outer(water_mm / 10, water_cm2_g))
    energy = spectrum.energies_kev
    relative = np.sqrt((photons * energy**2).sum(-1)) / (photons * energy).sum(-1)
    hardened = spectrum.behind("water", HARDENING_WATER_G_CM2)
    return relative / _effective_cm2_g(hardened, "water")


def _effective_cm2_g(spectrum: Spectrum, material: str) -> float:
    return spectrum.effective(mass_attenuation_cm2_g(material, spectrum.energies_kev))
