"""What a scanner's correction left of beam hardening goes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from tests.calibration.cylinder import cylinder, from_axis_mm
from tests.paths import ROOT
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.calibration.hardening import Hardening, without_hardening
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import measure_cylinder
from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.imaging.volume import Volume
from osteoray.simulation.beam_hardening import bone_share_left
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
    flat = without_hardening(volume, Hardening(quadratic_per_cm), 120.0).array[10]
    for inner, outer in ((0, 30), (60, 70), (100, 110), (130, 140)):
        assert flat[(distance_mm > inner) & (distance_mm < outer)].mean() == pytest.approx(0, abs=0.25)


def test_pixels_need_not_be_square_nor_slices_many() -> None:
    volume = cylinder(9e-5, slices=3, ends=0, noise_hu=3.0, spacing_mm=(2.0, 1.2, 1.8), shape=(320, 230))
    flat = without_hardening(volume, Hardening(9e-5), 120.0)
    assert flat.grid.matches(volume.grid) and flat.array.dtype == np.int16
    assert flat.array[1][from_axis_mm(volume) < 130].mean() == pytest.approx(0, abs=0.3)


def test_nothing_changes_without_an_error_or_where_nothing_was_measured() -> None:
    volume = cylinder(noise_hu=10.0)
    volume.array[:, :20] = -1024
    np.testing.assert_array_equal(without_hardening(volume, Hardening(0.0), 120.0).array, volume.array)
    assert (without_hardening(volume, Hardening(9e-5), 120.0).array[:, :20] == -1024).all()


def test_slices_may_be_thicker_than_slabs() -> None:
    volume = cylinder(9e-5, slices=12, spacing_mm=(8.0, 1.6, 1.6))
    flat = without_hardening(volume, Hardening(9e-5), 120.0).array[6]
    assert flat[from_axis_mm(volume) < 130].mean() == pytest.approx(0, abs=0.3)


def test_what_cortex_encloses_counts_as_bone(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = cylinder(0.0)
    distance_mm = from_axis_mm(volume, (8.0, -65.0))
    volume.array[:, distance_mm < 19] = 110
    volume.array[:, (distance_mm > 16) & (distance_mm < 19)] = 900

    def added_hu() -> float:
        corrected = without_hardening(volume, Hardening(0.0, 1.0), 120.0).array[10]
        return float((corrected - volume.array[10])[distance_mm < 19].mean())

    whole = added_hu()
    monkeypatch.setattr("osteoray.calibration.hardening.LARGEST_HOLE_MM2", 0.0)
    assert whole > 1.1 * added_hu() > 0


def test_half_way_between_slabs_the_error_is_that_of_the_slices_there() -> None:
    """A cylinder that ends: its own slices are corrected, air beyond them hardly."""
    volume = cylinder(9e-5, slices=40, spacing_mm=(3.0, 1.6, 1.6))
    volume.array[20:] = -1000
    corrected = without_hardening(volume, Hardening(9e-5), 120.0).array
    assert corrected[10][from_axis_mm(volume) < 30].mean() == pytest.approx(0, abs=0.2)
    assert np.abs(corrected[25] + 1000).max() == 0


@pytest.fixture(scope="module")
def hospital() -> SimulationConfig:
    return SimulationConfig(
        seed=5, ct=CtScannerConfig(matrix=200, pixel_mm=2.4, slice_mm=5, extent_mm=200, noise_hu=0, cupping_hu=12.0)
    )


def test_a_virtual_scanners_cylinder_tells_its_cupping(hospital: SimulationConfig) -> None:
    for number in range(3):
        scanned = scan_water(hospital, number, DESIGN, has_rods=False)
        found = measure_cylinder(Volume(scanned.hu, scanned.grid), Protocol("A", 120.0, "B"))
        assert found.cupping_hu == pytest.approx(scanned.cupping_hu, rel=0.06, abs=0.1)
        assert found.bone_share is None
        own_hu = 12.0 * scanner_unit(hospital.seed, number).cupping
        assert scanned.cupping_hu == pytest.approx(own_hu, abs=4 * 0.05 * 12)


@pytest.mark.parametrize("kvp", [80, 120])
def test_rods_in_the_water_tell_what_is_left_of_bone_as_well(kvp: int) -> None:
    config = SimulationConfig(seed=5, ct=CtScannerConfig(cupping_hu=12.0, kvp=kvp))
    for number in range(3):
        scanned = scan_water(config, number, DESIGN)
        found = measure_cylinder(Volume(scanned.hu, scanned.grid), Protocol("A", float(kvp), "B"))
        assert found.cupping_hu == pytest.approx(scanned.cupping_hu, rel=0.06, abs=0.1)
        assert found.bone_share == pytest.approx(scanned.bone_share, abs=0.02 + 0.1 * scanned.bone_share)
        assert found.residual_hu < 1.5


@pytest.mark.parametrize("bone_mg_cm3", [0.0, 700.0])
def test_a_patient_reads_as_by_a_perfect_scanner(hospital: SimulationConfig, bone_mg_cm3: float) -> None:
    """The simulation's errors are made of true compositions on other pixels; of bone's a tenth may stay."""
    body, patient = ellipsoid_body(4.0, bone_mg_cm3=bone_mg_cm3), enrolled(hospital, "V001")
    wrong, right = (
        examine_ct(config, patient, body, DESIGN)
        for config in (hospital, hospital.model_copy(update={"ct": hospital.ct.model_copy(update={"cupping_hu": 0.0})}))
    )
    cupping_hu = wrong.scan.cupping_hu
    assert cupping_hu > 1
    left = Hardening(cupping_hu / 1000 * np.pi / (8 * 20), bone_share_left(cupping_hu))
    volume = Volume(wrong.ct.hu, wrong.ct.grid)
    by_water, by_both = (
        without_hardening(volume, part, 120.0).array for part in (Hardening(left.quadratic_per_cm), left)
    )
    k, j, i = (n // 2 for n in right.ct.hu.shape)
    j += round(-right.ct.grid.centre_mm[1] / 2.4)
    middle = (slice(k - 4, k + 4), slice(j - 8, j + 8), slice(i - 8, i + 8))
    before, water, both = (float((hu[middle] - right.ct.hu[middle]).mean()) for hu in (volume.array, by_water, by_both))
    assert before < -0.4 * cupping_hu
    assert abs(both) < 0.05 * cupping_hu + 0.2
    if bone_mg_cm3:
        bone = right.ct.bones[k - 4 : k + 4] > 0
        water, both = (
            float((hu[k - 4 : k + 4] - right.ct.hu[k - 4 : k + 4])[bone].mean()) for hu in (by_water, by_both)
        )
        assert water < -2 and abs(both) < 0.15 * abs(water)
    else:
        assert water == pytest.approx(both, abs=0.1)
