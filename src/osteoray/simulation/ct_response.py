"""How a CT answers to composition: attenuation relative to water, linear in adipose, lean and mineral mass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum

CT_KVP = 120
HARDENING_WATER_G_CM2 = 20.0
"""Water that hardens the beam before the voxel that is measured; scanners calibrate water to 0 HU behind the like."""


@dataclass(frozen=True)
class CtResponse:
    """Attenuation relative to water, averaged over the detected CT spectrum.

    Attributes:
        adipose, lean, hydroxyapatite: mass attenuation over that of water, so that times g/cm³ it adds up to
            mu / mu(water).
        rod_hu_per_mg_cm3: HU of 1 mg/cm³ of hydroxyapatite that displaces water.
    """

    adipose: float
    lean: float
    hydroxyapatite: float
    rod_hu_per_mg_cm3: float

    def relative_attenuation(
        self, adipose_g_cm3: np.ndarray, lean_g_cm3: np.ndarray, ha_mg_cm3: np.ndarray
    ) -> np.ndarray:
        """Attenuation over that of water: 0 in air, 1 in water."""
        return self.adipose * adipose_g_cm3 + self.lean * lean_g_cm3 + self.hydroxyapatite * 1e-3 * ha_mg_cm3

    def rod_hu(self, density_mg_cm3: float) -> float:
        """HU of a phantom rod."""
        return self.rod_hu_per_mg_cm3 * density_mg_cm3

    def qct_mg_cm3(self, relative_attenuation: np.ndarray) -> np.ndarray:
        """What an ideal scan with an ideal phantom calibration reads: linear, 0 in water, negative in fat."""
        return 1000.0 / self.rod_hu_per_mg_cm3 * (relative_attenuation - 1.0)


@cache
def ct_response() -> CtResponse:
    """Response of the CT at `CT_KVP` behind `HARDENING_WATER_G_CM2` of water."""
    spectrum = tube_spectrum(CT_KVP).behind("water", HARDENING_WATER_G_CM2)
    water, adipose, lean, hydroxyapatite = (
        spectrum.effective(mass_attenuation_cm2_g(material, spectrum.energies_kev))
        for material in ("water", "adipose", "lean", "hydroxyapatite")
    )
    rod = spectrum.effective(hydroxyapatite_in_water_per_cm(0.1, spectrum.energies_kev))
    return CtResponse(adipose / water, lean / water, hydroxyapatite / water, 1000.0 * (rod / water - 1.0) / 100.0)
