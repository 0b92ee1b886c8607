"""The line of a drawn phantom is found within one per cent, and every defect gets its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.calibration.conftest import Scan

from osteoray.calibration.calibrating import Calibration
from osteoray.calibration.facts import calibration_facts
from osteoray.calibration.phantom import Phantom
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.volume import Volume

Draw = Callable[[Scan], Volume]
Measure = Callable[[Volume], Calibration]
VARIANTS = [
    Scan(seed=1),
    Scan(seed=2, noise_hu=30.0, slope=0.68),
    Scan(seed=3, roll_deg=-5.0, x_mm=-25.0),
    Scan(seed=4, bow_mm=10.0, tilt=0.08, slope=0.85),
    Scan(seed=5, gap_mm=0.5),
    Scan(seed=6, gap_mm=-1.0, noise_hu=20.0),
    Scan(seed=7, size=1.1, x_mm=4.0),
    Scan(seed=8, size=0.92, intercept=-6.0),
    Scan(seed=9, slices=50, spacing_mm=1.0, pixel_mm=0.8, noise_hu=40.0),
    Scan(seed=10, blur_mm=1.2, noise_hu=18.0),
]


@pytest.mark.parametrize("scan", VARIANTS, ids=lambda scan: f"scan {scan.seed}")
def test_slope_is_found_within_one_per_cent(draw: Draw, measure: Measure, scan: Scan) -> None:
    calibration = measure(draw(scan))
    assert calibration.line.slope_mg_cm3_per_hu == pytest.approx(scan.slope, rel=0.01)
    assert calibration.line.intercept_mg_cm3 == pytest.approx(scan.intercept, abs=2.0)
    assert calibration.findings == []
    assert calibration.levels.is_usable.all()
    assert calibration.paths.scale == pytest.approx(scan.size, abs=0.03)


def test_rods_are_found_within_a_third_of_a_pixel(draw: Draw, measure: Measure, phantom: Phantom) -> None:
    scan = Scan(roll_deg=0.0, bow_mm=8.0)
    paths = measure(draw(scan)).paths
    shares = np.linspace(-0.5, 0.5, scan.slices)
    lift_mm = phantom.sagitta_mm * (phantom.level_offsets_mm / (phantom.slab_width_mm / 2)) ** 2
    x_mm = scan.x_mm + phantom.level_offsets_mm[:, None] + scan.tilt * 100 * shares
    y_mm = 34.0 - lift_mm[:, None] - scan.bow_mm * 4 * shares**2
    error_mm = np.linalg.norm(paths.centres_mm - np.stack([y_mm, x_mm], axis=-1), axis=-1)
    assert error_mm.max() < 0.6


@pytest.mark.parametrize(
    ("scan", "code", "words"),
    [
        (Scan(has_phantom=False), "CAL-PHANTOM", "B-MAS200 0"),
        (Scan(shown=(0, 14)), "CAL-LENGTH", "usable length: expected at least 40 mm"),
        (Scan(x_mm=140.0), "CAL-RODS", "expected at least 4 of 5"),
    ],
    ids=["absent", "too short", "half outside"],
)
def test_an_unusable_phantom_is_refused(draw: Draw, measure: Measure, scan: Scan, code: str, words: str) -> None:
    with pytest.raises(Withheld, match=words) as refusal:
        measure(draw(scan))
    assert refusal.value.finding.code == code


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (Scan(mirrored=True), "CAL-ORDER"),
        (Scan(swapped=True), "CAL-ORDER"),
        (Scan(slope=0.40), "CAL-SLOPE"),
        (Scan(intercept=40.0), "CAL-SLOPE"),
        (Scan(gain_along=0.12), "CAL-DRIFT"),
    ],
    ids=["reversed", "swapped", "flat slope", "offset", "drift"],
)
def test_a_doubtful_line_carries_its_code(draw: Draw, measure: Measure, scan: Scan, code: str) -> None:
    assert [finding.code for finding in measure(draw(scan)).findings] == [code]


def test_a_rod_off_its_density_bends_the_line(draw: Draw, measure: Measure, phantom: Phantom) -> None:
    volume = draw(Scan())
    found = measure(volume)
    for k in range(volume.array.shape[0]):
        y_mm, x_mm = found.paths.centres_mm[3, k]
        grid = volume.grid.coordinates_mm()[k]
        volume.array[k][np.hypot(grid[..., 1] - y_mm, grid[..., 0] - x_mm) < 5.5] += 30
    assert [finding.code for finding in measure(volume).findings] == ["CAL-R2"]


def test_metal_in_some_slices_is_left_out(draw: Draw, measure: Measure) -> None:
    volume = draw(Scan())
    clean = measure(volume)
    y_mm, x_mm = clean.paths.centres_mm[0, 20]
    origin, pixel = volume.grid.world_from_index[[1, 0], 3], volume.grid.spacing_mm[1:]
    row, column = np.round((np.array([y_mm, x_mm]) - origin) / pixel).astype(int)
    volume.array[18:22, row - 1 : row + 2, column - 1 : column + 2] = 3071
    spoiled = measure(volume)
    assert spoiled.levels.used_slices.sum() == clean.levels.used_slices.sum() - 4
    assert spoiled.line.slope_mg_cm3_per_hu == pytest.approx(clean.line.slope_mg_cm3_per_hu, rel=0.003)


def test_ends_of_the_phantom_inside_the_scan_are_left_out(draw: Draw, measure: Measure) -> None:
    used = np.flatnonzero(measure(draw(Scan(shown=(6, 36)))).levels.used_slices)
    assert used[0] == pytest.approx(10, abs=1) and used[-1] == pytest.approx(31, abs=1)


def test_facts_tell_the_true_density_of_every_rod(draw: Draw, measure: Measure, phantom: Phantom) -> None:
    volume = draw(Scan())
    calibration = measure(volume)
    facts = calibration_facts(calibration, volume)
    assert [rod["density_mg_cm3"] for rod in facts["rods"]] == [200, 100, 50, 150, 0]
    assert facts["rods"][0]["centre_mm"][0] < facts["rods"][3]["centre_mm"][0]
    assert facts["unit"] == "mg/cm3 HA"
    assert max(abs(rod["residual_mg_cm3"]) for rod in facts["rods"]) == facts["max_residual_mg_cm3"]


def test_the_same_scan_gives_the_same_line(draw: Draw, measure: Measure) -> None:
    volume = draw(Scan(seed=3))
    again = Volume(volume.array.copy(), volume.grid)
    assert measure(volume).line.slope_mg_cm3_per_hu == measure(again).line.slope_mg_cm3_per_hu


def test_moving_the_patient_does_not_move_the_line(draw: Draw, measure: Measure) -> None:
    here, there = (measure(draw(replace(Scan(seed=4), x_mm=x))).line.slope_mg_cm3_per_hu for x in (0.0, 13.0))
    assert here == pytest.approx(there, rel=0.008)
