"""How strongly materials attenuate X-rays, by photon energy (xraylib)."""

from __future__ import annotations

from functools import cache

import numpy as np
import xraylib
from jaxtyping import Float

XRAYLIB_NAMES = {
    "adipose": "Adipose Tissue (ICRP)",
    "lean": "Muscle, Skeletal",
    "hydroxyapatite": "Ca10P6O26H2",
    "water": "Water, Liquid",
    "aluminium": "Al",
    "caesium iodide": "CsI",
    "barium fluorobromide": "BaFBr",
    "potassium phosphate": "K2HPO4",
    "iodine": "I",
    "titanium": "Ti",
}
"""Formula or NIST compound of every material. Water displaced by tissue or mineral is the caller's business."""

HYDROXYAPATITE_G_CM3 = 3.16
"""Mass density of pure hydroxyapatite."""


def mass_attenuation_cm2_g(material: str, energies_kev: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Total mass attenuation, coherent scatter included, in cm²/g.

    Args:
        material: key of `XRAYLIB_NAMES`.
        energies_kev: photon energies, 1 to 800 keV.

    Raises:
        ValueError: an unknown material.
    """
    if material not in XRAYLIB_NAMES:
        raise ValueError(f"material: expected one of {', '.join(XRAYLIB_NAMES)}, got {material!r}")
    return np.array([_cross_section(material, float(energy_kev)) for energy_kev in energies_kev])


@cache
def _cross_section(material: str, energy_kev: float) -> float:
    return xraylib.CS_Total_CP(XRAYLIB_NAMES[material], energy_kev)


def hydroxyapatite_in_water_per_cm(
    density_g_cm3: float, energies_kev: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Linear attenuation in 1/cm of hydroxyapatite that displaces water, as in a solid phantom rod.

    Args:
        density_g_cm3: mass of hydroxyapatite per volume of the mixture.
        energies_kev: photon energies.
    """
    water_g_cm3 = 1.0 - density_g_cm3 / HYDROXYAPATITE_G_CM3
    mineral_per_cm = density_g_cm3 * mass_attenuation_cm2_g("hydroxyapatite", energies_kev)
    return mineral_per_cm + water_g_cm3 * mass_attenuation_cm2_g("water", energies_kev)
