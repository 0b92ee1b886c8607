"""The CT reads what physics says, on the grid it claims, and its truth is the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.ndimage import binary_erosion
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.simulation.beam_hardening import Rays, hardening_error, noise_strength, rays_through, water_reading_cm
from osteoray.simulation.ct_acquisition import AIR_HU, KERNELS, Reading, acquire
from osteoray.simulation.ct_examination import ct_facts, examine_ct
from osteoray.simulation.ct_response import ct_response, relative_noise
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.footprint import CoarseField, average, footprints
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner_unit import scanner_unit

CONFIG = SimulationConfig(ct=CtScannerConfig(matrix=200, pixel_mm=2.4, slice_mm=5, noise_hu=8, extent_mm=200))
TABLE = Path(__file__).resolve().parents[2] / "resources" / "phantoms" / "b_mas200.yaml"


def with_ct(**changes) -> SimulationConfig:
    return CONFIG.model_copy(update={"ct": CONFIG.ct.model_copy(update=changes)})


@pytest.fixture(scope="module")
def design():
    return PhantomDesign.from_table(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(4.0)


@pytest.fixture(scope="module")
def scanned(body, design):
    return examine_ct(CONFIG, enrolled(CONFIG, "V001"), body, design)


@pytest.fixture(scope="module")
def ideal(body, design):
    """A scanner without noise and beam hardening."""
    config = with_ct(noise_hu=0.0, cupping_hu=0.0)
    return examine_ct(config, enrolled(config, "V001"), body, design)


@pytest.mark.parametrize(("kvp", "low_kev", "high_kev"), [(80, 52, 58), (100, 58, 65), (120, 64, 71), (140, 68, 76)])
def test_response_is_that_of_a_plausible_effective_energy(kvp, low_kev, high_kev):
    response = ct_response(kvp)
    energies = np.linspace(45, 85, 401)
    water, rod = (hydroxyapatite_in_water_per_cm(density, energies) for density in (0.0, 0.1))
    effective = energies[np.argmin(np.abs(10 * (rod / water - 1) - response.rod_hu_per_mg_cm3))]
    assert low_kev < effective < high_kev
    ratio = (
        mass_attenuation_cm2_g("adipose", np.array([effective]))[0]
        / mass_attenuation_cm2_g("water", np.array([effective]))[0]
    )
    assert response.adipose == pytest.approx(ratio, abs=0.004)


def test_tissues_and_contrast_agent_read_as_in_the_literature():
    response = ct_response(120)
    assert 1000 * (response.adipose * 0.92 - 1) == pytest.approx(-105, abs=15)
    assert 1000 * (response.lean * 1.05 - 1) == pytest.approx(45, abs=15)
    # 25 to 30 HU per mg/ml of iodine at 120 kV, and 1.6 times that at 80 kV.
    assert response.iodine == pytest.approx(27, abs=3)
    assert ct_response(80).iodine / response.iodine == pytest.approx(1.6, abs=0.1)


def test_low_voltage_costs_photons_and_water_noise_doubles_with_its_half_value_layers():
    assert relative_noise(120, np.array(280.0)) == pytest.approx(1.0)
    noise = [float(relative_noise(kvp, np.array(280.0))) for kvp in (80, 100, 120, 140)]
    assert noise == sorted(noise, reverse=True)
    # The attenuation of water is near 0.19 /cm: 7.3 cm more halve the noise's square root twice.
    assert float(relative_noise(120, np.array(353.0))) == pytest.approx(2.0, rel=0.1)


def test_the_slab_reads_zero(scanned, design):
    ct = scanned.ct
    middle = np.rint(apply_affine(ct.grid.index_from_world, ct.rods_mm[1:3].mean(axis=0))).astype(int)
    k, j, i = middle.T
    values = np.stack([ct.hu[k, j + dj, i + di] for dj in (0, 1) for di in (-1, 0, 1)]).astype(float)
    assert ct.slope_mg_cm3_per_hu * values.mean() + ct.intercept_mg_cm3 == pytest.approx(0, abs=8)


def test_the_phantom_lies_below_the_skin(scanned):
    ct = scanned.ct
    tissue = ct.qct_ideal_mg_cm3 > -300
    y_skin = apply_affine(ct.grid.world_from_index, np.array([0.0, np.flatnonzero(tissue.any(axis=(0, 2)))[-1], 0]))[1]
    assert scanned.scan.placement.middle_mm[1] - 14 > y_skin


def test_bone_reads_mineral_minus_what_marrow_and_collagen_take(ideal):
    ct, response = ideal.ct, ct_response()
    inside = binary_erosion(ct.bones > 0, iterations=3)
    assert ct.ha_mg_cm3[inside] == pytest.approx(400, abs=1)
    lean_g_cm3 = 1.05 * (1 - 400 / 3160)
    relative = response.lean * lean_g_cm3 + response.hydroxyapatite * 0.4
    expected = float(response.qct_mg_cm3(np.array(relative)))
    assert float(np.mean(ct.qct_ideal_mg_cm3[inside])) == pytest.approx(expected, abs=1)
    measured = ct.slope_mg_cm3_per_hu * ct.hu[inside].astype(float) + ct.intercept_mg_cm3
    assert measured.mean() == pytest.approx(expected, abs=2)


def test_air_is_minus_thousand_whatever_the_scanners_drift(ideal):
    hu = ideal.ct.hu
    assert ideal.scan.gain != 1.0
    front = hu[:, 12:20, 90:110]
    assert (front == -1000).all() and (hu[:, 0, 0] == AIR_HU).all()


def test_mineral_mass_survives_resampling(scanned, body):
    ct = scanned.ct
    z = ct.grid.world_from_index[2, 3] + ct.grid.spacing_mm[0] * (np.array([0, ct.grid.shape[0]]) - 0.5)
    body_z = body.grid.coordinates_mm()[:, 0, 0, 2]
    covered = (body_z > z[0]) & (body_z < z[1])
    expected = body.ha_mg_cm3[covered].sum() * body.grid.voxel_mm3
    assert ct.ha_mg_cm3.sum() * ct.grid.voxel_mm3 == pytest.approx(expected, rel=0.02)


def test_an_average_keeps_constants_and_slopes():
    source = VoxelGrid.axial((20, 20, 20), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    target = VoxelGrid.axial((9, 30, 40), (4.0, 0.9, 1.1), (5.0, 12.0, 9.0))
    points = source.coordinates_mm()
    linear = (2 * points[..., 0] - points[..., 1] + 0.5 * points[..., 2] + 7).astype(np.float32)
    wanted = target.coordinates_mm()
    expected = 2 * wanted[..., 0] - wanted[..., 1] + 0.5 * wanted[..., 2] + 7
    np.testing.assert_allclose(average(linear, footprints(source, target)), expected, atol=1e-3)


def test_the_same_patient_is_scanned_alike(body, design, scanned):
    again = examine_ct(CONFIG, enrolled(CONFIG, "V001"), body, design)
    np.testing.assert_array_equal(again.ct.hu, scanned.ct.hu)
    assert ct_facts(again) == ct_facts(scanned)


def test_scanners_differ_and_patients_of_one_scanner_share_it(body, design):
    config = with_ct(scanners=2)
    drawn = [examine_ct(config, enrolled(config, f"V00{n}"), body, design).scan for n in (1, 2, 3)]
    assert drawn[0].unit == drawn[2].unit != drawn[1].unit
    assert abs(drawn[0].gain - drawn[2].gain) < 0.012 and drawn[0].gain != drawn[2].gain
    gains = [scanner_unit(7, n).gain for n in range(200)]
    assert np.std(gains) == pytest.approx(0.012, rel=0.2)


# Reconstruction kernel: what `acquire` does to an edge and to nothing.

SPACING_MM = np.array([1.5, 0.8, 0.8])


def acquired(attenuation, kernel, noise_hu, strength=1.0, spacing_mm=SPACING_MM):
    grid = VoxelGrid.axial(attenuation.shape, tuple(spacing_mm))
    coarse = VoxelGrid.axial((2, 2, 2), tuple(spacing_mm * np.array(attenuation.shape)), (0.0, 0.0, 0.0))
    field = CoarseField(np.full(coarse.shape, strength, np.float32), footprints(coarse, grid))
    reading = Reading(KERNELS[kernel], 0.55, 1.0, 0.0, noise_hu)
    return acquire(attenuation.astype(np.float32), [], field, reading, spacing_mm, np.random.default_rng(3))


@pytest.mark.parametrize(
    ("kernel", "at_2", "at_4"), [("soft", 0.69, 0.22), ("standard", 0.79, 0.385), ("sharp", 1.19, 1.0)]
)
def test_the_edge_of_each_kernel_has_its_modulation_transfer(kernel, at_2, at_4):
    # A slanted edge gives the edge spread at a tenth of a pixel; its derivative's spectrum is the MTF.
    size = 256
    y, x = np.meshgrid(np.arange(size) - 127.5, np.arange(size) - 127.5, indexing="ij")
    across_mm = (x * np.cos(0.06) + y * np.sin(0.06)) * 0.8
    edge = np.clip(0.5 + across_mm / 0.8, 0, 1)
    hu = acquired(1.0 + 0.2 * np.repeat(edge[None], 3, axis=0), kernel, 0.0)[1]
    central = (np.abs(x) < 60) & (np.abs(y) < 60) & (np.abs(across_mm) < 16)
    step_mm = 0.1
    bins = np.floor((across_mm[central] + 16) / step_mm).astype(int)
    spread = np.bincount(bins, hu[central], 320) / np.bincount(bins, minlength=320)
    line = np.diff(spread)
    transfer = np.abs(np.fft.rfft(line)) / line.sum()
    frequency = np.fft.rfftfreq(line.size, step_mm)
    # The edge was averaged over a pixel, and the derivative over a bin.
    for per_mm, expected in ((0.2, at_2), (0.4, at_4)):
        pixel = np.sinc(per_mm * 0.8)
        assert np.interp(per_mm, frequency, transfer) / pixel == pytest.approx(expected, abs=0.04)


def noise_sd(kernel="standard", noise_hu=10.0, strength=1.0, spacing_mm=SPACING_MM):
    hu = acquired(np.ones((5, 160, 160)), kernel, noise_hu, strength, spacing_mm)
    return float(hu[2, 50:110, 50:110].std())


def test_noise_has_the_asked_strength_and_scales_with_voxel_and_kernel():
    expected = 10 * np.sqrt(5.0 / 0.96)
    assert noise_sd() == pytest.approx(expected, rel=0.05)
    assert noise_sd(strength=2.0) == pytest.approx(2 * noise_sd(), rel=0.02)
    assert noise_sd(spacing_mm=np.array([3.0, 0.8, 0.8])) == pytest.approx(expected / np.sqrt(2), rel=0.05)
    assert noise_sd("soft") < 0.85 * noise_sd() and noise_sd("sharp") > 1.7 * noise_sd()


def test_noise_has_few_low_frequencies_and_neighbouring_slices_share_a_quarter():
    hu = acquired(np.ones((12, 160, 160)), "standard", 10.0)[:, 48:112, 48:112].astype(float)
    power = (np.abs(np.fft.fft2(hu * np.hanning(64)[:, None] * np.hanning(64))) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(64, 0.8)[:, None], np.fft.fftfreq(64, 0.8)[None])
    ramp = frequency * KERNELS["standard"].transfer(frequency, 0.55) ** 2
    low, middle = (frequency > 0.03) & (frequency < 0.08), (frequency > 0.25) & (frequency < 0.35)
    assert power[low].mean() / power[middle].mean() == pytest.approx(ramp[low].mean() / ramp[middle].mean(), rel=0.25)
    shared = [np.corrcoef(hu[k].ravel(), hu[k + 1].ravel())[0, 1] for k in range(11)]
    apart = [np.corrcoef(hu[k].ravel(), hu[k + 3].ravel())[0, 1] for k in range(9)]
    assert np.mean(shared) == pytest.approx(0.242, abs=0.03) and abs(np.mean(apart)) < 0.03


# Beam hardening.


def cylinder(radius_mm: float, pixel_mm: float = 5.0, size: int = 100) -> np.ndarray:
    middle = (np.arange(size) - (size - 1) / 2) * pixel_mm
    return (np.hypot(middle[:, None], middle[None, :]) < radius_mm).astype(np.float32)[None]


def test_water_reads_as_long_as_it_is():
    water = np.array([5.0, 20.0, 45.0])
    none = np.zeros(3)
    np.testing.assert_allclose(water_reading_cm(Rays(water, none, none), 120), water, atol=1e-3)


def test_bone_behind_the_calibrated_depth_of_water_reads_as_the_response_says():
    # For a little bone behind 20 cm of water the error is zero by definition of the response; much bone reads too low.
    for kvp in (80, 120):
        little, much = (
            float(water_reading_cm(Rays(np.array(20.0), np.array(bone), np.array(0.0)), kvp) - 20.0) / bone
            for bone in (0.01, 6.0)
        )
        assert little == pytest.approx(ct_response(kvp).hydroxyapatite, rel=2e-3)
        assert much < 0.97 * little


def test_cupping_has_the_drawn_depth_and_shape():
    disc = cylinder(200.0)
    none = np.zeros_like(disc)
    error = 1000 * hardening_error(rays_through(disc, none, none, 5.0, 90), 5.0, 120, 12.0)[0]
    assert error[50, 50] == pytest.approx(-12, rel=0.04)
    assert error[50, 50 + 30] == pytest.approx(-12 * np.sqrt(1 - (150 / 200) ** 2), rel=0.08)


def test_dark_bands_lie_between_dense_parts():
    disc = cylinder(170.0)
    bone = np.zeros_like(disc)
    bone[0, 45:55, 28:38] = bone[0, 45:55, 62:72] = 0.6
    none = np.zeros_like(disc)
    with_bone, without = (
        1000 * hardening_error(rays_through(disc, mineral, none, 5.0, 90), 5.0, 120, 30.0)[0]
        for mineral in (bone, none)
    )
    between = (with_bone - without)[48:52, 46:54].mean()
    above = (with_bone - without)[28:32, 46:54].mean()
    assert between < -10 and between < above - 8


def test_noise_is_highest_in_the_middle_of_the_body():
    disc = cylinder(140.0)
    none = np.zeros_like(disc)
    strength = noise_strength(rays_through(disc, none, none, 5.0, 90), 120)[0]
    assert strength[50, 50] == pytest.approx(1.0, abs=0.03)
    assert strength[50, 50 + 26] < 0.85 and strength[50, 95] < 0.5
