"""Every phantom's rods read what the attenuation of their materials says, in the order and on the arc of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.simulation.ct_examination import examine_ct
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.phantom import PhantomDesign, PhantomPlacement, paint_phantom, rod_centres_mm

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "phantoms"
PHANTOMS = ("b_mas200", "mindways_model3", "qrm_bdc3", "qrm_bdc6")
MINDWAYS_HU = {65: (-76.1, -34.1, 204.0, 387.3, 564.0), 70: (-68.8, -26.5, 195.6, 365.0, 510.6)}
"""HU of rods A to E at one photon energy in keV, by an independent calculation from the certificate."""


def design_of(name: str) -> PhantomDesign:
    return PhantomDesign.from_table(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(5.0)


def rod_values(ct, design: PhantomDesign) -> list[np.ndarray]:
    """Values of the inner pixels of every rod."""
    values = []
    for centres in ct.rods_mm:
        index = np.rint(apply_affine(ct.grid.index_from_world, centres)).astype(int)
        k, j, i = index[(index[:, 0] >= 2) & (index[:, 0] < ct.grid.shape[0] - 2)].T
        reach = range(-1, 2)
        values.append(np.stack([ct.hu[k, j + dj, i + di] for dj in reach for di in reach]).astype(float))
    return values


@pytest.mark.parametrize("kvp", [80, 100, 120, 140])
@pytest.mark.parametrize("name", PHANTOMS)
def test_the_rods_mean_hu_equal_the_physics(body, name, kvp):
    settings = CtScannerConfig(
        matrix=240, pixel_mm=1.8, slice_mm=8, extent_mm=150, kvp=kvp, phantom=name, cupping_hu=0, noise_hu=4
    )
    config, design = SimulationConfig(ct=settings), design_of(name)
    examined = examine_ct(config, enrolled(config, "V001"), body, design)
    scan, response = examined.scan, ct_response(kvp)
    for rod, values in zip(design.rods, rod_values(examined.ct, design), strict=True):
        ideal = 1000 * (design.relative_attenuation(rod, response) - 1)
        assert values.mean() == pytest.approx(scan.gain * ideal + scan.offset_hu, abs=max(2.0, 0.003 * abs(ideal)))


def test_hydroxyapatite_rods_lie_on_one_line_through_water():
    for name in ("b_mas200", "qrm_bdc3", "qrm_bdc6"):
        design, response = design_of(name), ct_response()
        for rod in design.rods:
            hu = 1000 * (design.relative_attenuation(rod, response) - 1)
            assert hu == pytest.approx(response.rod_hu(rod.density_mg_cm3), abs=1e-6)


@pytest.mark.parametrize("energy_kev", MINDWAYS_HU)
def test_mindways_rods_read_as_an_independent_calculation_says(energy_kev):
    design = design_of("mindways_model3")
    energies = np.array([float(energy_kev)])
    ratio = float(
        mass_attenuation_cm2_g("potassium phosphate", energies)[0] / mass_attenuation_cm2_g("water", energies)[0]
    )
    response = replace(ct_response(), potassium_phosphate=ratio)
    read = [1000 * (design.relative_attenuation(rod, response) - 1) for rod in design.rods]
    np.testing.assert_allclose(read, MINDWAYS_HU[energy_kev], atol=0.6)


def test_b_mas200_lies_in_its_order_on_an_arc():
    design = design_of("b_mas200")
    # From patient right to left, which is the image's left to right; the empty middle is the level 0.
    order = sorted(design.rods, key=lambda rod: rod.offset_mm)
    assert [rod.density_mg_cm3 for rod in order] == [200, 100, 50, 150]
    assert [rod.offset_mm for rod in order] == [-52, -26, 26, 52]
    placement = PhantomPlacement((0.0, 100.0, 0.0), 0.0, 0.0, 0.0, 3.0)
    centres = rod_centres_mm(design, placement, np.array([-135.0, 0.0, 135.0]))
    # The outer rods lie higher, and so do the ends.
    assert centres[0, 1, 1] < centres[1, 1, 1] < 100.0 + 1e-9
    assert centres[0, 1, 1] == pytest.approx(centres[3, 1, 1])
    np.testing.assert_allclose(centres[:, 0, 1], centres[:, 1, 1] - 3.0)


def test_painting_conserves_the_rods_attenuation():
    design = design_of("qrm_bdc6")
    x_mm, y_mm, z_mm = np.arange(-120, 120.1, 0.8), np.arange(60, 140.1, 0.8), np.array([0.0])
    values = np.zeros((1, y_mm.size, x_mm.size), np.float32)
    placement = PhantomPlacement((1.3, 100.7, 0.0), 0.01, 0.0, 0.0, 0.0)
    paint_phantom(values, (x_mm, y_mm, z_mm), design, placement, 0.0, (0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    assert values.sum() * 0.64 == pytest.approx(np.pi * (design.diameter_mm / 2) ** 2, rel=0.01)


def test_an_unknown_unit_is_refused():
    table = yaml.safe_load((FOLDER / "b_mas200.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="unit: expected one of HA mg/cm3"):
        PhantomDesign.from_table(table | {"unit": "CaCO3 mg/cm3"})
