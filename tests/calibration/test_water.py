"""A cylinder of water is measured, or refused with the reason; the right one is used."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.calibration.cylinder import cylinder, from_axis_mm
from tests.paths import ROOT

from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import (
    COLUMNS,
    WaterCylinder,
    as_row,
    measure_cylinder,
    quadratic_of,
    unusable,
    water_cylinders,
)
from osteoray.config.calibration import CalibrationConfig
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


def cut_by_a_field_of(radius_mm: float, aside_mm: float = 0.0) -> Volume:
    """The cylinder in a reconstructed circle that is too small for it or does not lie around it."""
    volume = cylinder(noise_hu=4.0)
    volume.array[:, from_axis_mm(volume, (8.0, -5.0 + aside_mm)) > radius_mm] = -1024
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
        (lambda: cylinder(1e-3), r"middle less rim: expected 30 HU at most, got -3[78]\.\d HU"),
        (lambda: cylinder(radius_mm=85.0, slices=16, noise_hu=25.0), "standard error: expected 1 HU or less"),
        (lambda: cut_by_a_field_of(120.0), "field of view: expected air around the cylinder, got its end"),
        (lambda: cut_by_a_field_of(170.0, 60.0), "shape: expected a disc"),
        (lambda: cylinder(radius_mm=260.0, noise_hu=4.0), "(shape: expected a disc|field of view: expected air)"),
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


def cylinders(*drops_hu: float) -> list[WaterCylinder]:
    return [WaterCylinder(Protocol("A", 120.0, f"K{n}"), 300.0, hu, 1.0, 0.1) for n, hu in enumerate(drops_hu)]


def test_cylinders_of_the_same_scanner_and_voltage_count_whatever_their_kernel() -> None:
    found = quadratic_of(cylinders(-2.8, -3.2), Protocol("A", 120.0, ""))
    assert found == pytest.approx(np.pi * 3 / 1000 / (8 * 15))


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (
            Protocol("A", 100.0, "K0"),
            r"A, 100 kV: expected a usable .*, got none \(entry 2: ING-EMPTY; one of A, 120 kV, kernel K0\)",
        ),
        (Protocol("B", 120.0, "K0"), "B, 120 kV: expected a usable"),
        (Protocol("A", None, "K0"), "A, unknown kV: expected a usable"),
        (Protocol("", 120.0, ""), "unknown scanner, 120 kV: expected a usable"),
    ],
)
def test_a_scan_that_no_cylinder_stands_for_is_told_with_what_failed(protocol: Protocol, told: str) -> None:
    with pytest.raises(Withheld, match=f"CAL-WATER: {told}"):
        quadratic_of(cylinders(-3.0), protocol, ["entry 2: ING-EMPTY"])


def test_two_scanners_of_one_model_that_differ_are_not_averaged() -> None:
    with pytest.raises(Withheld, match=r"agree within 1 HU in the middle of 40 cm, got 2\.7 HU; two scanners"):
        quadratic_of(cylinders(-2.0, -4.0), Protocol("A", 120.0, ""))


@pytest.mark.parametrize("folders", [[""], ["/etc"], ["../other"], ["qa/ct1", "qa/ct1"], ["."]])
def test_folders_outside_the_raw_data_or_named_twice_are_refused(folders: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected (folders below the raw folder|every folder once)"):
        CalibrationConfig(water=tuple(folders))


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
    assert unusable(rows) == ["entry 1: TAB-PATH", "entry 3: ING-EMPTY"]
    (found,) = water_cylinders(rows)
    assert found.cupping_hu == pytest.approx(truth_hu, abs=0.3)
    assert found.protocol == Protocol("osteoray virtual hospital Virtual CT 16", 120.0, "STANDARD")
