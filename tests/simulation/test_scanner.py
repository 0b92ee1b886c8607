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
from osteoray.radiography.attenuation import hydroxyapatite_in_water_per_cm, mass_attenuation_cm2_g
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.examination import examine_ct
from osteoray.simulation.phantom import PhantomDesign

CONFIG = SimulationConfig(ct=CtScannerConfig(matrix=200, pixel_mm=2.4, slice_mm=5, noise_hu=8, extent_mm=200))
TABLE = Path(__file__).resolve().parents[2] / "resources" / "phantoms" / "b_mas200.yaml"


@pytest.fixture(scope="module")
def design():
    return PhantomDesign.from_table(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(4.0)


@pytest.fixture(scope="module")
def scanned(body, design):
    return examine_ct(CONFIG, enrolled(CONFIG, "V001"), body, design)


def test_response_is_that_of_a_plausible_effective_energy():
    # Between 65 and 75 keV the slope of a hydroxyapatite rod lies between 1.46 and 1.19 HU per mg/cm3.
    response = ct_response()
    assert 1.19 < response.rod_hu_per_mg_cm3 < 1.46
    energies = np.linspace(60, 80, 201)
    water, rod = (hydroxyapatite_in_water_per_cm(density, energies) for density in (0.0, 0.1))
    effective = energies[np.argmin(np.abs(10 * (rod / water - 1) - response.rod_hu_per_mg_cm3))]
    ratio = (
        mass_attenuation_cm2_g("adipose", np.array([effective]))[0]
        / mass_attenuation_cm2_g("water", np.array([effective]))[0]
    )
    assert response.adipose == pytest.approx(ratio, abs=0.004)
    assert 1000 * (response.adipose * 0.92 - 1) == pytest.approx(-105, abs=15)
    assert 1000 * (response.lean * 1.05 - 1) == pytest.approx(45, abs=15)


def test_rods_read_their_density_under_the_true_calibration(scanned, design):
    _, ct = scanned
    inverse = ct.grid.index_from_world
    for (density, _), centres in zip(design.rods, ct.rods_mm, strict=True):
        index = np.rint(apply_affine(inverse, centres)).astype(int)
        inside = (index[:, 0] >= 0) & (index[:, 0] < ct.grid.shape[0])
        k, j, i = index[inside].T
        core = np.stack([ct.hu[k, j + dj, i + di] for dj in (-1, 0, 1) for di in (-1, 0, 1)]).astype(float)
        read = ct.slope_mg_cm3_per_hu * core.mean() + ct.intercept_mg_cm3
        assert read == pytest.approx(density, abs=8)


def test_the_slab_reads_zero(scanned, design):
    _, ct = scanned
    middle = np.rint(apply_affine(ct.grid.index_from_world, ct.rods_mm[1:3].mean(axis=0))).astype(int)
    k, j, i = middle.T
    values = np.stack([ct.hu[k, j + dj, i + di] for dj in (0, 1) for di in (-1, 0, 1)]).astype(float)
    assert ct.slope_mg_cm3_per_hu * values.mean() + ct.intercept_mg_cm3 == pytest.approx(0, abs=8)


def test_the_phantom_lies_below_the_skin(scanned, body):
    scan, ct = scanned
    tissue = ct.qct_ideal_mg_cm3 > -300
    y_skin = apply_affine(ct.grid.world_from_index, np.array([0.0, np.flatnonzero(tissue.any(axis=(0, 2)))[-1], 0]))[1]
    assert scan.placement.middle_mm[1] - 14 > y_skin


def test_bone_reads_mineral_minus_what_marrow_and_collagen_take(scanned):
    _, ct = scanned
    response = ct_response()
    inside = binary_erosion(ct.bones > 0, iterations=3)
    assert ct.ha_mg_cm3[inside] == pytest.approx(400, abs=1)
    lean_g_cm3 = 1.05 * (1 - 400 / 3160)
    relative = response.lean * lean_g_cm3 + response.hydroxyapatite * 0.4
    expected = response.qct_mg_cm3(np.array(relative))
    assert float(np.mean(ct.qct_ideal_mg_cm3[inside])) == pytest.approx(float(expected), abs=1)
    measured = ct.slope_mg_cm3_per_hu * ct.hu[inside].astype(float) + ct.intercept_mg_cm3
    assert measured.mean() == pytest.approx(float(expected), abs=8)


def test_mineral_mass_survives_resampling(scanned, body):
    _, ct = scanned
    z = ct.grid.world_from_index[2, 3] + ct.grid.spacing_mm[0] * (np.array([0, ct.grid.shape[0]]) - 0.5)
    body_z = body.grid.coordinates_mm()[:, 0, 0, 2]
    covered = (body_z > z[0]) & (body_z < z[1])
    expected = body.ha_mg_cm3[covered].sum() * body.grid.voxel_mm3
    assert ct.ha_mg_cm3.sum() * ct.grid.voxel_mm3 == pytest.approx(expected, rel=0.02)


def test_noise_has_the_asked_strength_and_few_low_frequencies(scanned, body, design):
    noisy = scanned[1]
    quiet_config = CONFIG.model_copy(update={"ct": CONFIG.ct.model_copy(update={"noise_hu": 0.0})})
    quiet = examine_ct(quiet_config, enrolled(CONFIG, "V001"), body, design)[1]
    muscle = (quiet.hu > 20) & (quiet.hu < 70)
    muscle = binary_erosion(muscle, np.ones((1, 3, 3), bool), iterations=4)
    noise = (noisy.hu.astype(float) - quiet.hu)[muscle]
    voxel_factor = np.sqrt(5.0 / noisy.grid.voxel_mm3)
    assert 0.5 < noise.std() / (8 * voxel_factor) < 3
    assert abs(noise.mean()) < 0.3


def test_the_same_patient_is_scanned_alike(body, design, scanned):
    again = examine_ct(CONFIG, enrolled(CONFIG, "V001"), body, design)[1]
    np.testing.assert_array_equal(again.hu, scanned[1].hu)
