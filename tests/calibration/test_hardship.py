"""What the phantom has to bear in a hospital: lost rods, twist, metal, a tilted field, a circle of reconstruction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.calibration.conftest import Scan

from osteoray.calibration.calibrating import Calibration
from osteoray.calibration.field import field_across
from osteoray.imaging.volume import Volume

Draw = Callable[[Scan], Volume]
Measure = Callable[[Volume], Calibration]


@pytest.mark.parametrize(
    "scan",
    [
        Scan(seed=31, x_mm=40.0, roll_deg=5.0, tilt=0.087, bow_mm=8.0),
        Scan(seed=32, x_mm=-40.0, roll_deg=-5.0, tilt=-0.087, gap_mm=0.0),
        Scan(seed=33, twist_deg=4.0, noise_hu=25.0),
        Scan(seed=34, pixel_mm=2.0, spacing_mm=3.0, noise_hu=40.0),
        Scan(seed=35, pixel_mm=0.7, spacing_mm=0.6, slices=130, noise_hu=40.0),
        Scan(seed=36, circle=True),
    ],
    ids=["tilted left", "tilted right", "twisted", "coarse", "fine", "circle"],
)
def test_the_line_survives(draw: Draw, measure: Measure, scan: Scan) -> None:
    calibration = measure(draw(scan))
    assert calibration.line.slope_mg_cm3_per_hu == pytest.approx(scan.slope, rel=0.01)
    assert calibration.line.intercept_mg_cm3 == pytest.approx(scan.intercept, abs=2.0)
    assert calibration.findings == []


def test_a_rod_outside_the_field_of_view_costs_a_warning(draw: Draw, measure: Measure) -> None:
    calibration = measure(draw(Scan(x_mm=102.0, tilt=0.0, roll_deg=0.5)))
    assert [finding.code for finding in calibration.findings] == ["CAL-PARTIAL"]
    assert "not read: 150 mg/cm3; line through the other 4 levels" in calibration.findings[0].detail
    assert calibration.line.slope_mg_cm3_per_hu == pytest.approx(Scan.slope, rel=0.01)


def test_streaks_of_metal_are_left_out(draw: Draw, measure: Measure) -> None:
    volume = draw(Scan())
    array = volume.array.copy()
    y, x = np.mgrid[: array.shape[1], : array.shape[2]]
    implant = np.hypot(y - 30, x - 45) < 8
    streaks = 250 * np.cos((x - 45) / 3.0)
    for k in range(8, 18):
        array[k] = np.clip(array[k] + streaks, -1024, 3000)
        array[k][implant] = 3071
    calibration = measure(Volume(array, volume.grid))
    assert calibration.levels.metal_slices == 10
    assert not calibration.levels.used_slices[8:18].any()
    assert calibration.line.slope_mg_cm3_per_hu == pytest.approx(Scan.slope, rel=0.01)
    assert calibration.findings == []


def test_a_tilted_field_is_told(draw: Draw, measure: Measure) -> None:
    calibration = measure(draw(Scan(field_tilt_hu=10.0)))
    assert "CAL-TILT" in [finding.code for finding in calibration.findings]
    assert calibration.field.tilt_hu == pytest.approx(7.8, abs=1.5)


def test_field_of_known_shape() -> None:
    offsets = np.array([-39.0, 0.0, 39.0])
    field = field_across(offsets, np.array([-3.0, 5.0, 3.0]))
    assert field.tilt_hu == pytest.approx(6.0)
    assert field.cupping_hu == pytest.approx(5.0)
    assert field_across(offsets, np.array([np.nan, 5.0, np.nan])).tilt_hu is None
