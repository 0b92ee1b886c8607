"""The photon spectrum of an X-ray tube: a table in `resources/spectra`, filtered and weighted by what detects it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from osteoray.radiography.attenuation import mass_attenuation_cm2_g

FOLDER = Path(__file__).resolve().parents[3] / "resources" / "spectra"
TABULATED_KVP = (70, 75, 80, 85, 90, 100, 120, 140)
"""Tube voltages with a table: 3 mm aluminium up to 90 kVp, 7 mm from 100 kVp (CT)."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Photons per energy bin.

    Attributes:
        energies_kev: centres of 1 keV bins.
        photons_per_cm2_mas: photons in each bin per cm² and mAs, 1 m from the focus.
    """

    energies_kev: Float[np.ndarray, "n"]
    photons_per_cm2_mas: Float[np.ndarray, "n"]

    @property
    def mean_kev(self) -> float:
        """Mean photon energy."""
        return float(np.average(self.energies_kev, weights=self.photons_per_cm2_mas))

    def behind(self, material: str, areal_g_cm2: float) -> Spectrum:
        """The spectrum after a layer of material, in g/cm²."""
        transmission = np.exp(-mass_attenuation_cm2_g(material, self.energies_kev) * areal_g_cm2)
        return Spectrum(self.energies_kev, self.photons_per_cm2_mas * transmission)

    def in_bins(self, width_kev: int) -> tuple[Float[np.ndarray, "bins"], Float[np.ndarray, "bins"]]:
        """Share of the detected energy (photons x keV), and mean photon energy in keV, in wider bins with any."""
        energy = self.photons_per_cm2_mas * self.energies_kev
        starts = np.arange(0, energy.size, width_kev)
        weights = np.add.reduceat(energy, starts)
        kept = weights > 1e-6 * weights.sum()
        energies_kev = np.add.reduceat(energy * self.energies_kev, starts)[kept] / weights[kept]
        return weights[kept] / weights[kept].sum(), energies_kev

    def effective(self, values: Float[np.ndarray, "n"]) -> float:
        """Mean of an energy-dependent value, weighted by detected energy (photons x keV)."""
        return float(np.average(values, weights=self.photons_per_cm2_mas * self.energies_kev))


@cache
def tube_spectrum(kvp: int) -> Spectrum:
    """Spectrum of a tungsten tube at one of `TABULATED_KVP`.

    Raises:
        ValueError: no table for this voltage.
    """
    if kvp not in TABULATED_KVP:
        raise ValueError(f"kvp: expected one of {TABULATED_KVP}, got {kvp}")
    energies_kev, photons = np.loadtxt(FOLDER / f"w_{kvp}kvp.csv", delimiter=",", unpack=True)
    return Spectrum(energies_kev, photons)
