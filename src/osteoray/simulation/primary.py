"""Unscattered X-rays behind a body: the tube's spectrum through four materials, absorbed in the detector.

A spectrum of some 70 bins acts through the few energies and weights that reproduce its transmission everywhere: a
quadrature of the spectrum, found by non-negative least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import nnls

from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum
from osteoray.simulation.detector import DETECTORS

MATERIALS = ("adipose", "lean", "hydroxyapatite", "titanium")
"""What lies along a ray, in the order of the areal masses."""

TOLERANCE = 2e-4
"""Largest relative error of the transmitted energy over the bodies that the quadrature is fitted to."""

ROWS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Energies that stand for a spectrum.

    Attributes:
        attenuation_cm2_g: mass attenuation by material and energy.
        energy_kev: weight of every energy in the absorbed energy, keV per cm² and mAs at 1 m.
        variance_kev2: weight in its variance, keV² per cm² and mAs at 1 m.
    """

    attenuation_cm2_g: Float32[np.ndarray, "materials n"]
    energy_kev: Float32[np.ndarray, "n"]
    variance_kev2: Float32[np.ndarray, "n"]


def primary(
    areal_g_cm2: Float[np.ndarray, "rows columns materials"], kvp: int, modality: str = "DX"
) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]:
    """Energy absorbed from unscattered photons, and its variance, per cm² and mAs at 1 m (keV, keV²).

    Args:
        areal_g_cm2: masses of the first of `MATERIALS` along each ray; may be slightly negative where mineral displaces
            lean tissue.
        kvp: tube voltage.
        modality: key of `DETECTORS`.
    """
    rule = quadrature(kvp, modality)
    shape, count = areal_g_cm2.shape[:2], areal_g_cm2.shape[2]
    signal, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for start in range(0, shape[0], ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        exponents = np.asarray(areal_g_cm2[rows], np.float32) @ -rule.attenuation_cm2_g[:count]
        transmission = np.exp(exponents, out=exponents)
        signal[rows] = transmission @ rule.energy_kev
        variance[rows] = transmission @ rule.variance_kev2
    return signal, variance


def spectrum_weights(kvp: int, modality: str) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Energies of the full spectrum in keV and the energy absorbed in each bin without a body."""
    spectrum, detector = tube_spectrum(kvp), DETECTORS[modality]
    energies_kev = spectrum.energies_kev
    return energies_kev, spectrum.photons_per_cm2_mas * detector.absorbed(energies_kev) * energies_kev


@cache
def quadrature(kvp: int, modality: str) -> Quadrature:
    """The few energies that stand for a spectrum and detector."""
    energies_kev, weights = spectrum_weights(kvp, modality)
    attenuation = np.stack([mass_attenuation_cm2_g(material, energies_kev) for material in MATERIALS])
    absorbed = np.exp(-_bodies_g_cm2() @ attenuation) * weights
    chosen, shares = _few_columns(absorbed / absorbed.sum(axis=1, keepdims=True))
    variance = absorbed * energies_kev
    variance_shares, _ = nnls(variance[:, chosen] / variance.sum(axis=1, keepdims=True), np.ones(len(variance)))
    return Quadrature(
        attenuation[:, chosen].astype(np.float32),
        (shares * weights[chosen]).astype(np.float32),
        (variance_shares * (weights * energies_kev)[chosen]).astype(np.float32),
    )


def _bodies_g_cm2() -> Float[np.ndarray, "n 4"]:
    """Masses along rays from air to the thickest body, with bone and with metal."""
    soft = np.concatenate([[0.0, 0.1, 0.3], np.geomspace(0.7, 60.0, 14)])
    fat_share, mineral, metal = (0.0, 0.5, 1.0), (-0.1, 0.0, 0.3, 1.0, 2.0, 4.0), (0.0, 1.0, 4.0, 15.0)
    mass, share, bone, alloy = (axis.ravel() for axis in np.meshgrid(soft, fat_share, mineral, metal))
    return np.stack([mass * share, mass * (1 - share), bone, alloy], axis=1)


def _few_columns(shares: Float[np.ndarray, "bodies n"]) -> tuple[list[int], Float[np.ndarray, "m"]]:
    """Columns, and factors for them, whose sum is 1 in every row within `TOLERANCE` (Lawson and Hanson, stopped)."""
    chosen: list[int] = []
    factors = np.zeros(0)
    residual = np.ones(len(shares))
    while np.abs(residual).max() > TOLERANCE and len(chosen) < shares.shape[1]:
        pull = shares.T @ residual
        pull[chosen] = -np.inf
        chosen = sorted([*chosen, int(np.argmax(pull))])
        factors, _ = nnls(shares[:, chosen], np.ones(len(shares)))
        residual = 1.0 - shares[:, chosen] @ factors
    return chosen, factors
