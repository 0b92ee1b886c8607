"""Attenuation and spectra agree with published tables and with each other."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.radiography.spectra import TABULATED_KVP, Spectrum, tube_spectrum

# NIST XCOM totals with coherent scatter, cm2/g, at 30, 60 and 100 keV.
NIST = {
    "water": (0.3756, 0.2059, 0.1707),
    "adipose": (0.3028, 0.1977, 0.1695),
    "lean": (0.3783, 0.2048, 0.1693),
    "hydroxyapatite": (2.0992, 0.4067, 0.2019),
    "aluminium": (1.128, 0.2778, 0.1704),
}


@pytest.mark.parametrize("material", NIST)
def test_mass_attenuation_agrees_with_nist(material):
    values = mass_attenuation_cm2_g(material, np.array([30.0, 60.0, 100.0]))
    np.testing.assert_allclose(values, NIST[material], rtol=5e-3)


def test_an_unknown_material_is_refused():
    with pytest.raises(ValueError, match="material: expected one of adipose"):
        mass_attenuation_cm2_g("kryptonite", np.array([60.0]))


@pytest.mark.parametrize(("energy_kev", "hu_per_mg"), [(55, 1.92), (60, 1.66), (65, 1.46), (70, 1.31), (80, 1.09)])
def test_hydroxyapatite_in_water_has_the_expected_hounsfield_slope(energy_kev, hu_per_mg):
    energies = np.array([float(energy_kev)])
    water, rod = (hydroxyapatite_in_water_per_cm(density, energies)[0] for density in (0.0, 0.1))
    assert 1000 * (rod / water - 1) / 100 == pytest.approx(hu_per_mg, abs=0.012)


def half_value_layer_mm_al(spectrum: Spectrum) -> float:
    """Aluminium that halves the air kerma, by bisection; air absorbs like water in energy."""
    kerma_per_photon = spectrum.energies_kev * energy_absorption_air_cm2_g(spectrum.energies_kev)

    def kerma(mm_al: float) -> float:
        return float((spectrum.behind("aluminium", mm_al * 0.2699).photons_per_cm2_mas * kerma_per_photon).sum())

    low, high = 0.0, 20.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if kerma(middle) > kerma(0.0) / 2 else (low, middle)
    return low


def energy_absorption_air_cm2_g(energies_kev: np.ndarray) -> np.ndarray:
    """Mass energy absorption of air in cm2/g, NIST table, log-log interpolated."""
    energies = [8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150]
    values = [9.446, 4.742, 1.334, 0.5389, 0.1537, 0.06833, 0.04098, 0.03041, 0.02407, 0.02325, 0.02496]
    return np.exp(np.interp(np.log(energies_kev), np.log(energies), np.log(values)))


@pytest.mark.parametrize(
    ("kvp", "mean_kev", "hvl_mm"),
    [(70, 39.5, 2.40), (75, 41.2, 2.57), (80, 43.0, 2.74), (85, 44.7, 2.92), (90, 46.2, 3.1)],
)
def test_half_value_layers_are_those_of_the_tube_with_the_same_filter(kvp, mean_kev, hvl_mm):
    # The reference values are for 2.5 mm Al; the tables have 3.0 mm, which hardens them a little.
    spectrum = tube_spectrum(kvp)
    unhardened = Spectrum(spectrum.energies_kev, spectrum.behind("aluminium", -0.05 * 2.699).photons_per_cm2_mas)
    assert unhardened.mean_kev == pytest.approx(mean_kev, abs=0.3)
    assert half_value_layer_mm_al(unhardened) == pytest.approx(hvl_mm, rel=0.02)
    assert half_value_layer_mm_al(spectrum) > hvl_mm


def test_water_hardens_the_beam():
    spectrum = tube_spectrum(85)
    # 85 kVp, 3 mm Al: 45.6 keV in air, 55.8 keV behind 15 cm, 57.7 keV behind 20 cm of water.
    means = [spectrum.behind("water", depth).mean_kev for depth in (0.0, 15.0, 20.0)]
    np.testing.assert_allclose(means, [45.6, 55.8, 57.7], atol=0.3)


def test_every_table_is_there_and_an_unknown_voltage_is_refused():
    for kvp in TABULATED_KVP:
        assert tube_spectrum(kvp).energies_kev.max() < kvp
    with pytest.raises(ValueError, match="kvp: expected one of"):
        tube_spectrum(63)
