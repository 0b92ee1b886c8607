"""What c p² did to a CT goes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from tests.calibration.cylinder import cylinder, from_axis_mm
from tests.paths import ROOT
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.calibration.cupping import without_cupping
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import measure_cylinder
from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.imaging.volume import Volume
from osteoray.simulation.ct_examination import examine_ct
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner_unit import scanner_unit
from osteoray.simulation.water_scan import scan_water

DESIGN = PhantomDesign.from_table(yaml.safe_load((ROOT / "resources" / "phantoms" / "b_mas200.yaml").read_text()))


@pytest.mark.parametrize("quadratic_per_cm", [9e-5, -5e-5])
def test_a_cylinder_becomes_flat(quadratic_per_cm: float) -> None:
    volume = cylinder(quadratic_per_cm)
    distance_mm, middle = from_axis_mm(volume), volume.array[10]
    assert abs(middle[distance_mm < 10].mean()) > 1.5
    flat = without_cupping(volume, quadratic_per_cm).array[10]
    for inner, outer in ((0, 30), (60, 70), (100, 110), (130, 140)):
        assert flat[(distance_mm > inner) & (distance_mm < outer)].mean() == pytest.approx(0, abs=0.25)


def test_pixels_need_not_be_square_nor_slices_many() -> None:
    volume = cylinder(9e-5, slices=3, ends=0, noise_hu=3.0, spacing_mm=(2.0, 1.2, 1.8), shape=(320, 230))
    flat = without_cupping(volume, 9e-5)
    assert flat.grid.matches(volume.grid) and flat.array.dtype == np.int16
    assert flat.array[1][from_axis_mm(volume) < 130].mean() == pytest.approx(0, abs=0.3)


def test_nothing_changes_without_an_error_or_where_nothing_was_measured() -> None:
    volume = cylinder(noise_hu=10.0)
    volume.array[:, :20] = -1024
    np.testing.assert_array_equal(without_cupping(volume, 0.0).array, volume.array)
    assert (without_cupping(volume, 9e-5).array[:, :20] == -1024).all()


def test_half_way_between_slabs_the_error_is_that_of_the_slices_there() -> None:
    """A cylinder that ends: its own slices are corrected, air beyond them hardly."""
    volume = cylinder(9e-5, slices=40, spacing_mm=(3.0, 1.6, 1.6))
    volume.array[20:] = -1000
    corrected = without_cupping(volume, 9e-5).array
    assert corrected[10][from_axis_mm(volume) < 30].mean() == pytest.approx(0, abs=0.2)
    assert np.abs(corrected[25] + 1000).max() == 0


@pytest.fixture(scope="module")
def hospital() -> SimulationConfig:
    return SimulationConfig(
        seed=5, ct=CtScannerConfig(matrix=200, pixel_mm=2.4, slice_mm=5, extent_mm=200, noise_hu=0, cupping_hu=12.0)
    )


def test_a_virtual_scanners_cylinder_tells_its_cupping(hospital: SimulationConfig) -> None:
    for number in range(3):
        scanned = scan_water(hospital, number, DESIGN)
        found = measure_cylinder(Volume(scanned.hu, scanned.grid), Protocol("A", 120.0, "B"))
        assert found.cupping_hu == pytest.approx(scanned.cupping_hu, rel=0.06, abs=0.1)
        own_hu = 12.0 * scanner_unit(hospital.seed, number).cupping
        assert scanned.cupping_hu == pytest.approx(own_hu, abs=4 * 0.05 * 12)


def test_the_middle_of_a_patient_reads_as_without_cupping(hospital: SimulationConfig) -> None:
    """The simulation's error is made of true compositions on other pixels; what bone adds to it is left."""
    body, patient = ellipsoid_body(4.0, bone_mg_cm3=0.0), enrolled(hospital, "V001")
    cupped, even = (
        examine_ct(config, patient, body, DESIGN)
        for config in (hospital, hospital.model_copy(update={"ct": hospital.ct.model_copy(update={"cupping_hu": 0.0})}))
    )
    cupping_hu = cupped.scan.cupping_hu
    assert cupping_hu > 1
    quadratic_per_cm = cupping_hu / 1000 * np.pi / (8 * 20)
    corrected = without_cupping(Volume(cupped.ct.hu, cupped.ct.grid), quadratic_per_cm).array
    k, j, i = (n // 2 for n in even.ct.hu.shape)
    j += round(-even.ct.grid.centre_mm[1] / 2.4)
    middle = (slice(k - 4, k + 4), slice(j - 8, j + 8), slice(i - 8, i + 8))
    before, after = (float((hu[middle] - even.ct.hu[middle]).mean()) for hu in (cupped.ct.hu, corrected))
    assert before < -0.4 * cupping_hu
    assert abs(after) < 0.05 * cupping_hu + 0.2
