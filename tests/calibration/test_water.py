"""A cylinder of water is measured, or refused with the reason; the right one is used."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.calibration.cylinder import cylinder
from tests.paths import ROOT

from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import COLUMNS, WaterCylinder, as_row, measure_cylinder, quadratic_of, water_cylinders
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.volume import Volume
from osteoray.store.tables import read_table, write_table

PROTOCOL = Protocol("Maker One", 120.0, "STANDARD")


@pytest.mark.parametrize("quadratic_per_cm", [1.2e-4, 0.0, -6e-5])
@pytest.mark.parametrize("water_hu", [0.0, 100.0])
def test_the_drawn_error_is_found(quadratic_per_cm: float, water_hu: float) -> None:
    found = measure_cylinder(cylinder(quadratic_per_cm, water_hu=water_hu, noise_hu=4.0), PROTOCOL)
    assert found.quadratic_per_cm == pytest.approx(quadratic_per_cm, abs=4e-6)
    assert found.diameter_mm == pytest.approx(300, abs=1.5)
    assert found.relative == pytest.approx(1 + water_hu / 1000, abs=5e-4)


def with_insert() -> Volume:
    volume = cylinder(noise_hu=5.0)
    volume.array[:, 110:130, 110:130] += 300
    return volume


def with_half_filled_ends() -> Volume:
    volume = cylinder(9e-5, noise_hu=4.0)
    for k in (1, -2):
        volume.array[k] = (volume.array[k] - 1000) // 2
    return volume


def test_slices_that_the_cylinder_half_fills_do_not_count() -> None:
    assert measure_cylinder(with_half_filled_ends(), PROTOCOL).quadratic_per_cm == pytest.approx(9e-5, abs=4e-6)


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (lambda: Volume(np.full((20, 240, 240), -1000, np.int16), cylinder().grid), "diameter: .* got 0 mm"),
        (lambda: cylinder(radius_mm=60.0), "diameter: expected 160 mm or more, got 1[12]"),
        (lambda: cylinder(slices=10), "length: expected 20 mm or more, got 10 mm"),
        (lambda: cylinder(squash=1.2), r"shape: expected a disc, got axes that differ by (19|20)%"),
        (lambda: cylinder(water_hu=400.0), "reading: expected water, -100 to 150 HU, got (399|400|401) HU"),
        (with_insert, "rim to middle: expected a smooth change within 2 HU, got rings off by"),
    ],
)
def test_what_is_no_cylinder_of_water_is_refused(volume, reason: str) -> None:
    with pytest.raises(Withheld, match=f"CAL-WATER: cylinder of water: {reason}"):
        measure_cylinder(volume(), PROTOCOL)


def test_the_table_keeps_what_was_measured_and_leaves_out_what_was_not(tmp_path: Path) -> None:
    kept = WaterCylinder(PROTOCOL, 300.02, -3.25, 1.003, 0.07)
    failed = {"water": 2, "code": "ING-EMPTY", "detail": "nothing there"}
    write_table(tmp_path / "water.tsv", [as_row(1, kept), failed], COLUMNS)
    assert water_cylinders(read_table(tmp_path / "water.tsv")) == [kept]


def test_cylinders_of_the_same_scanner_and_voltage_count_whatever_their_kernel() -> None:
    drops_hu = {"STANDARD": -2.0, "BONE": -4.0}
    cylinders = [WaterCylinder(Protocol("A", 120.0, k), 300.0, hu, 1.0, 0.1) for k, hu in drops_hu.items()]
    assert quadratic_of(cylinders, Protocol("A", 120.0, "")) == pytest.approx(np.pi * 3 / 1000 / (8 * 15))
    for other in (Protocol("A", 100.0, "STANDARD"), Protocol("B", 120.0, "STANDARD"), Protocol("A", None, "STANDARD")):
        assert quadratic_of(cylinders, other) is None
    unknown = Protocol("", 120.0, "")
    assert quadratic_of([WaterCylinder(unknown, 300.0, -2.0, 1.0, 0.1)], unknown) is None


def run(script: str, **arguments: object) -> None:
    argv = [f"{script}.py"]
    for name, value in arguments.items():
        argv += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        import_module(f"scripts.{script}").main()


def test_a_folder_that_cannot_be_used_is_a_row_and_the_others_are_measured(tmp_path: Path) -> None:
    config = {"seed": 3, "ct": {"matrix": 200, "pixel_mm": 2.4}}
    phantom = ROOT / "resources" / "phantoms" / "b_mas200.yaml"
    made = {"raw": tmp_path / "raw" / "CT01", "output": tmp_path / "CT01.json"}
    run("scan_water", scanner=1, config=json.dumps(config), phantom=phantom, **made)
    (tmp_path / "raw" / "empty").mkdir()
    run("measure_water", raw=tmp_path / "raw", folders=["gone", "CT01", "empty"], output=tmp_path / "water.tsv")
    rows = read_table(tmp_path / "water.tsv")
    assert [row["code"] for row in rows] == ["TAB-PATH", "", "ING-EMPTY"]
    assert rows[0]["detail"] == "calibration.water, entry 1: path: expected a folder, got none there"
    truth_hu = json.loads((tmp_path / "CT01.json").read_text())["facts"]["cupping_hu"]
    (found,) = water_cylinders(rows)
    assert found.quadratic_per_cm * 1000 * 160 / np.pi == pytest.approx(truth_hu, abs=0.2)
    assert found.protocol == Protocol("osteoray virtual hospital Virtual CT 16", 120.0, "STANDARD")
