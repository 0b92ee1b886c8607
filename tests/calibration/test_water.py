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

from osteoray.calibration.hardening import unit_errors_hu
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import (
    COLUMNS,
    WaterCylinder,
    as_row,
    hardening_of,
    measure_cylinder,
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
    volume.array[:, 110:130, 110:130] += 100
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


def test_the_table_keeps_what_rods_told(tmp_path: Path) -> None:
    kept = WaterCylinder(PROTOCOL, 300.02, -3.25, 1.003, 0.07, 0.125)
    write_table(tmp_path / "water.tsv", [as_row(1, kept)], COLUMNS)
    assert water_cylinders(read_table(tmp_path / "water.tsv")) == [kept]


def with_rods(
    hu: float, across: int, share: float = 0.0, wall_hu: float = 0.0, water_hu: float = 0.0, noise_hu: float = 4.0
) -> Volume:
    """A cylinder with two square rods and a wall of 5 mm, as a scanner that cups and leaves a share of bone's error
    shows it; nothing but the rods is bone."""
    volume = cylinder(0.0, noise_hu=noise_hu, water_hu=water_hu)
    distance_mm = from_axis_mm(volume)
    volume.array[1:-1, (distance_mm > 145) & (distance_mm < 150)] += round(wall_hu)
    inner = volume.array[1:-1]
    for aside in (55, 165):
        inner[:, 125 - across : 125 + across, aside - across : aside + across] = round(hu)
    mean_hu = inner.mean(axis=0, dtype=np.float32)
    is_rod = np.zeros(mean_hu.shape, bool)
    for aside in (55, 165):
        is_rod[125 - across : 125 + across, aside - across : aside + across] = True
    squared, bone = unit_errors_hu(mean_hu, is_rod, volume, 120.0)
    # Rounded at random: steps of whole HU in a smooth error would be an error of their own.
    dither = np.random.default_rng(1).uniform(-0.5, 0.5, inner.shape)
    inner += np.rint(9e-5 * squared + share * bone + dither).astype(np.int16)
    return volume


@pytest.mark.parametrize("share", [-0.1, 0.0, 0.5])
def test_a_drawn_share_of_bone_is_found_beside_cupping(share: float) -> None:
    found = measure_cylinder(with_rods(1300.0, 9, share), PROTOCOL)
    assert found.bone_share == pytest.approx(share, abs=0.02)
    assert found.quadratic_per_cm == pytest.approx(9e-5, abs=6e-6)


@pytest.mark.parametrize("surroundings", [{"water_hu": 130.0}, {"wall_hu": 125.0}, {"wall_hu": 800.0}])
def test_plastic_is_no_bone_however_it_reads(surroundings: dict[str, float]) -> None:
    found = measure_cylinder(with_rods(1300.0, 9, 0.2, **surroundings), PROTOCOL)
    assert found.bone_share == pytest.approx(0.2, abs=0.03)
    assert found.quadratic_per_cm == pytest.approx(9e-5, abs=8e-6)


def test_a_dense_wall_is_no_rod() -> None:
    volume = cylinder(9e-5, noise_hu=4.0)
    distance_mm = from_axis_mm(volume)
    volume.array[1:-1, (distance_mm > 145) & (distance_mm < 150)] += 1000
    found = measure_cylinder(volume, PROTOCOL)
    assert found.bone_share is None
    assert found.quadratic_per_cm == pytest.approx(9e-5, abs=6e-6)


def test_a_speck_is_no_rod() -> None:
    volume = cylinder(9e-5, noise_hu=4.0)
    volume.array[1:-1, 120:122, 90:92] = 600
    assert measure_cylinder(volume, PROTOCOL).bone_share is None


def forest() -> Volume:
    volume = cylinder(noise_hu=4.0)
    for row in range(50, 200, 15):
        for column in range(40, 190, 15):
            if np.hypot(row - 125, column - 116) < 80:
                volume.array[1:-1, row : row + 7, column : column + 7] = 1000
    return volume


@pytest.mark.parametrize(
    ("volume", "kvp", "reason"),
    [
        (forest, 120.0, "water between the rods: expected 72 or more of 144 parts of rings, got [0-9]+"),
        (lambda: with_rods(2300.0, 9), 120.0, "rods: expected readings up to 1900 HU, got 2[0-9]{3} HU"),
        (lambda: with_rods(1300.0, 9), None, "rods: expected a voltage of 80 to 140 kV, got none"),
        (lambda: with_rods(1300.0, 9), 70.0, "rods: expected a voltage of 80 to 140 kV, got 70 kV"),
        (lambda: with_rods(1300.0, 9, 2.0), 120.0, r"rods: expected -0.3 to 1.3 of the error by bone, got (1\.9|2\.)"),
        (
            lambda: with_rods(300.0, 5, noise_hu=20.0),
            120.0,
            r"standard error: expected 0\.03 or less of the error by bone, got .*; use larger or denser rods",
        ),
    ],
)
def test_rods_that_do_not_tell_are_refused(volume, kvp: float | None, reason: str) -> None:
    with pytest.raises(Withheld, match=f"CAL-WATER: cylinder of water: {reason}"):
        measure_cylinder(volume(), Protocol("Maker One", kvp, "STANDARD"))


def cylinders(*drops_hu: float, shares: tuple[float | None, ...] = (None, None)) -> list[WaterCylinder]:
    told = zip(drops_hu, shares[: len(drops_hu)], strict=True)
    return [
        WaterCylinder(Protocol("A", 120.0, f"K{n}"), 300.0, hu, 1.0, 0.1, share) for n, (hu, share) in enumerate(told)
    ]


def test_cylinders_of_the_same_scanner_and_voltage_count_whatever_their_kernel() -> None:
    found = hardening_of(cylinders(-2.8, -3.2), Protocol("A", 120.0, ""))
    assert found.quadratic_per_cm == pytest.approx(np.pi * 3 / 1000 / (8 * 15))
    assert found.bone_share is None


@pytest.mark.parametrize(("shares", "mean"), [((0.2, 0.26), 0.23), ((None, 0.26), 0.26)])
def test_shares_of_bone_are_averaged_over_the_cylinders_that_tell_them(shares: tuple, mean: float) -> None:
    found = hardening_of(cylinders(-2.8, -3.2, shares=shares), Protocol("A", 120.0, ""))
    assert found.bone_share == pytest.approx(mean)


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
        hardening_of(cylinders(-3.0), protocol, ["entry 2: ING-EMPTY"])


def test_two_scanners_of_one_model_that_differ_are_not_averaged() -> None:
    with pytest.raises(Withheld, match=r"agree within 1 HU in the middle of 40 cm, got 2\.7 HU; two scanners"):
        hardening_of(cylinders(-2.0, -4.0), Protocol("A", 120.0, ""))
    with pytest.raises(Withheld, match=r"agree within 0\.08 of the error by bone, got 0\.20; two scanners"):
        hardening_of(cylinders(-3.0, -3.0, shares=(0.1, 0.3)), Protocol("A", 120.0, ""))


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
    truth = json.loads((tmp_path / "CT01.json").read_text())["facts"]
    assert unusable(rows) == ["entry 1: TAB-PATH", "entry 3: ING-EMPTY"]
    (found,) = water_cylinders(rows)
    assert found.cupping_hu == pytest.approx(truth["cupping_hu"], abs=0.3)
    assert found.bone_share == pytest.approx(truth["bone_share"], abs=0.04)
    assert found.protocol == Protocol("osteoray virtual hospital Virtual CT 16", 120.0, "STANDARD")
