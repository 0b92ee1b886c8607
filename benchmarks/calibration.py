"""Phantom calibration measured on virtual scans of every phantom; prints Markdown tables.

One body (a pelvis of ellipses with bones) is scanned over every phantom by the simulation's scanner, which knows beam
hardening, noise texture, kernels and drift. Noise, pixels, slices, tube voltage, place, roll, skew, bow and gap vary.
Every scan is calibrated with all tables to choose from, and again with every wrong table alone.
Run: python benchmarks/calibration.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from osteoray.calibration.calibrating import Calibration, Settings, calibrate
from osteoray.calibration.gates import Gates
from osteoray.calibration.hardening import Hardening, without_hardening
from osteoray.calibration.pattern import Plane
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.sampling import core_values
from osteoray.calibration.water import measure_cylinder
from osteoray.config.calibration import CalibrationConfig
from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Verdict, worst
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import ADIPOSE_G_CM3, LEAN_G_CM3, Body
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.phantom import PhantomDesign, PhantomPlacement
from osteoray.simulation.scanner import Scan, Subject, scan_subject
from osteoray.simulation.scanner_unit import scanner_unit
from osteoray.simulation.water_scan import scan_water

TABLES = Path(__file__).resolve().parents[1] / "resources" / "phantoms"
NAMES = ("b_mas200", "mindways_model3", "qrm_bdc3", "qrm_bdc6")
FIELD_MM = 480.0
BACK_MM = 78.0
"""LPS y of the skin of the back; the body's middle lies at 0."""
SCANNERS = tuple(scanner_unit(2026, number) for number in range(4))
WATER_PER_K2HPO4 = 0.2174


@dataclass(frozen=True)
class Case:
    """One virtual scan; lengths in mm."""

    phantom: str
    scanner: int
    kvp: int
    kernel: str
    noise_hu: float
    pixel_mm: float
    slice_mm: float
    x_mm: float
    roll_deg: float
    skew_deg: float
    bow_mm: float
    gap_mm: float
    seed: int


def drawn_cases(phantom: str, count: int) -> Iterator[Case]:
    """Ordinary scans and hard ones in turn."""
    rng = np.random.default_rng([7, NAMES.index(phantom)])
    for number in range(count):
        hard = number % 2
        pixel_mm, slice_mm = ((0.7, 0.6), (0.9, 1.25), (1.4, 2.5), (2.0, 3.0))[number % 4]
        yield Case(
            phantom,
            scanner=int(rng.integers(len(SCANNERS))),
            kvp=int(rng.choice([100, 120, 140])) if hard else 120,
            kernel=str(rng.choice(["soft", "standard"])),
            noise_hu=float(rng.uniform(20, 40) if hard else rng.uniform(5, 20)),
            pixel_mm=pixel_mm,
            slice_mm=slice_mm,
            x_mm=float(rng.uniform(-40, 40) if hard else rng.uniform(-12, 12)),
            roll_deg=float(rng.uniform(-5, 5) if hard else rng.uniform(-1, 1)),
            skew_deg=float(rng.uniform(-5, 5) if hard else rng.uniform(-1, 1)),
            bow_mm=float(rng.uniform(4, 10) if hard else rng.uniform(0, 4)),
            gap_mm=float(rng.uniform(0, 2) if hard else rng.uniform(2, 12)),
            seed=number,
        )


def pelvis(length_mm: float) -> Body:
    """An ellipse of muscle with a rim of fat and two bones, 3 mm voxels."""
    spacing_mm, half_mm = 3.0, FIELD_MM / 2
    shape = (int(length_mm / spacing_mm) + 8, int(FIELD_MM / spacing_mm), int(FIELD_MM / spacing_mm))
    grid = VoxelGrid.axial(shape, (spacing_mm,) * 3, (-half_mm, -half_mm, -length_mm / 2 - 12))
    points_mm = grid.coordinates_mm()
    x_mm, y_mm = points_mm[..., 0], points_mm[..., 1]
    inside = ((np.abs(x_mm) / 175) ** 2.4 + (np.abs(y_mm) / BACK_MM) ** 2.4 < 1).astype(np.float32)
    lean = ((np.abs(x_mm) / 155) ** 2.4 + (np.abs(y_mm) / (BACK_MM - 18)) ** 2.4 < 1) * inside
    ha_mg_cm3 = np.zeros(shape, np.float32)
    for side in (-1, 1):
        distance_mm = np.hypot(x_mm - side * 85, y_mm)
        ha_mg_cm3[distance_mm < 24] = 900.0
        ha_mg_cm3[distance_mm < 20] = 180.0
    soft = 1.0 - ha_mg_cm3 / 3160
    empty = np.zeros(shape, np.uint8)
    adipose_g_cm3 = (ADIPOSE_G_CM3 * (inside - lean)).astype(np.float32)
    lean_g_cm3 = (LEAN_G_CM3 * lean * soft).astype(np.float32)
    return Body(grid, empty, ha_mg_cm3, adipose_g_cm3, lean_g_cm3, {}, empty, {})


def scanned(case: Case, body: Body, design: PhantomDesign, length_mm: float) -> tuple[Volume, Scan, np.ndarray]:
    """The CT of a case, how it was made, and the true centres of the rods."""
    # Finer slices cover less, for time; the phantom is as long as the scan but for a few cm.
    unit = SCANNERS[case.scanner]
    reach_mm = min(length_mm, 150 * case.slice_mm)
    middle_mm = (case.x_mm, BACK_MM + case.gap_mm + design.slab_height_mm / 2 + design.sagitta_mm, 0.0)
    slopes = np.tan(np.radians([case.roll_deg, case.skew_deg, case.skew_deg / 4]))
    short = replace(design, slab_length_mm=min(design.slab_length_mm, reach_mm - 24))
    placement = PhantomPlacement(middle_mm, *(float(s) for s in slopes), case.bow_mm * short.slab_length_mm / 270)
    couch_mm = (0.0, middle_mm[1] + design.slab_height_mm / 2 + 12)
    drift = (unit.gain, unit.offset_hu)
    scan = Scan(case.kvp, case.kernel, unit, *drift, 0.55, 4.0, case.noise_hu, placement, couch_mm)
    matrix = round(FIELD_MM / case.pixel_mm)
    half_mm = (matrix - 1) / 2 * case.pixel_mm
    slices = int(reach_mm / case.slice_mm)
    origin_mm = (-half_mm, -half_mm, -(slices - 1) / 2 * case.slice_mm)
    grid = VoxelGrid.axial((slices, matrix, matrix), (case.slice_mm, case.pixel_mm, case.pixel_mm), origin_mm)
    found = scan_subject(Subject(body), scan, short, grid, np.random.default_rng(case.seed))
    return Volume(found.hu, grid), scan, found.rods_mm


def settings() -> tuple[Gates, Settings]:
    config = CalibrationConfig()
    return tuple(  # type: ignore[return-value]
        part(**{name: getattr(config, name) for name in part.__dataclass_fields__}) for part in (Gates, Settings)
    )


def attempt(volume: Volume, tables: list[Phantom], kvp: int) -> Calibration | str:
    """The calibration, or the code for which it was refused."""
    try:
        found = calibrate(volume, tables, *settings(), float(kvp))
    except Withheld as refusal:
        return refusal.finding.code
    withheld = [f.code for f in found.findings if f.verdict is Verdict.WITHHELD]
    return withheld[0] if worst(found.findings) is Verdict.WITHHELD else found


def true_slope(design: PhantomDesign, scan: Scan) -> float:
    """Slope of the scan in the phantom's own mineral."""
    response = ct_response(scan.kvp)
    if design.unit == "HA mg/cm3":
        return 1 / (response.rod_hu_per_mg_cm3 * scan.gain)
    return 1 / ((response.potassium_phosphate - WATER_PER_K2HPO4) * scan.gain)


def ideal_errors_hu(design: PhantomDesign, scan: Scan, found: Calibration) -> np.ndarray:
    """HU read in the rods less those that an ideal scanner with this gain and offset reads: hardening is in it."""
    response = ct_response(scan.kvp)
    ordered = sorted(design.rods, key=lambda rod: rod.offset_mm)
    ideal = np.array([1000 * (design.relative_attenuation(rod, response) - 1) for rod in ordered])
    return (found.levels.mean_hu[:-1] - scan.gain * ideal - scan.offset_hu)[found.is_used[:-1]]


def reading_errors_hu(volume: Volume, rods_mm: np.ndarray, design: PhantomDesign, found: Calibration) -> np.ndarray:
    """HU read in the rods less the plain mean of cores laid at their true centres, in the same slices."""
    plane, radius_mm = Plane.of(volume), CalibrationConfig().core_fraction * design.diameter_mm / 2
    order = np.argsort([rod.offset_mm for rod in design.rods])
    slices = np.rint((rods_mm[0, :, 2] - volume.grid.world_from_index[2, 3]) / volume.grid.spacing_mm[0]).astype(int)
    errors = []
    for level in np.flatnonzero(found.is_used[:-1]):
        centres = dict(zip(slices, rods_mm[order[level], :, 1::-1], strict=True))
        means = [
            core_values(volume.array[k], plane, centres[k], radius_mm).mean()
            for k in np.flatnonzero(found.levels.used_slices)
        ]
        errors.append(found.levels.mean_hu[level] - np.mean(means))
    return np.array(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=14, help="scans of every phantom")
    args = parser.parse_args()
    length_mm = 290.0
    body = pelvis(length_mm)
    raw = {name: yaml.safe_load((TABLES / f"{name}.yaml").read_text()) for name in NAMES}
    designs = {name: PhantomDesign.from_table(table) for name, table in raw.items()}
    tables = {name: Phantom.from_table(table) for name, table in raw.items()}
    rows: dict[str, list] = {name: [] for name in NAMES}
    wrong = reversed_accepted = trials = turned = 0
    for name in NAMES:
        for case in drawn_cases(name, args.scans):
            volume, scan, rods_mm = scanned(case, body, designs[name], length_mm)
            begin = time.process_time()
            found = attempt(volume, list(tables.values()), case.kvp)
            seconds = time.process_time() - begin
            if isinstance(found, str):
                rows[name].append((found, case))
                print(f"<!-- {found} {case} -->")
            else:
                wrong += found.phantom.name != tables[name].name
                error = 100 * (found.own_line.slope_mg_cm3_per_hu / true_slope(designs[name], scan) - 1)
                codes = [finding.code for finding in found.findings]
                read = reading_errors_hu(volume, rods_mm, designs[name], found)
                ideal = ideal_errors_hu(designs[name], scan, found)
                rows[name].append((error, read, codes, ideal, seconds, case))
            for other, table in tables.items():
                if other != name:
                    trials += 1
                    wrong += not isinstance(attempt(volume, [table], case.kvp), str)
            if case.seed < 4:
                mirror = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), volume.grid)
                turned += 1
                reversed_accepted += not isinstance(attempt(mirror, list(tables.values()), case.kvp), str)
    report(rows)
    report_water(6, (80, 120))
    print(f"\nWrong table alone: {trials} tries, accepted or recognised wrongly: {wrong}.")
    print(f"Mirrored scans: {turned} tries, accepted: {reversed_accepted}.")


def report_water(scanners: int, voltages: tuple[int, ...]) -> None:
    """What cylinders of water tell, with rods of bone and without, against the truth, and what taking it out costs."""
    design = PhantomDesign.from_table(yaml.safe_load((TABLES / "b_mas200.yaml").read_text()))
    print("\n| cylinder | kV | scans | cupping in 40 cm: error, HU | largest | share of bone: error | largest |")
    print("|---|---|---|---|---|---|---|")
    for has_rods in (False, True):
        for kvp in voltages:
            errors = []
            for number in range(scanners):
                config = SimulationConfig(ct=CtScannerConfig(kvp=kvp))
                scan = scan_water(config, number, design, has_rods=has_rods)
                found = measure_cylinder(Volume(scan.hu, scan.grid), Protocol("virtual", float(kvp), ""))
                share = np.nan if found.bone_share is None else found.bone_share - scan.bone_share
                errors.append((found.cupping_hu - scan.cupping_hu, share))
            mean, spread, largest = np.mean(errors, 0), np.std(errors, 0), np.abs(errors).max(0)
            cells = [f"{mean[n]:+.{2 + n}f} ± {spread[n]:.{2 + n}f} | {largest[n]:.{2 + n}f}" for n in (0, 1)]
            kept = cells if has_rods else [cells[0], " | "]
            print(f"| {'rods' if has_rods else 'water alone'} | {kvp} | {scanners} | {' | '.join(kept)} |")
    large = Volume(np.zeros((400, 512, 512), np.int16), VoxelGrid.axial((400, 512, 512), (1.0, 0.8, 0.8)))
    small = Volume(large.array[:8], large.grid.crop((0, 0, 0), (8, 512, 512)))
    for name, left in (("cupping alone", Hardening(1e-5)), ("cupping and bone's share", Hardening(1e-5, 0.1))):
        without_hardening(small, left, 120.0)
        begin = time.process_time()
        without_hardening(large, left, 120.0)
        print(f"\nTaking {name} out of 400 x 512 x 512 voxels: {time.process_time() - begin:.1f} CPU-s.")


def report(rows: dict[str, list]) -> None:
    heads = ("phantom", "scans", "calibrated", "flagged", "slope error % median", "99th", "rod reading error HU median")
    heads += ("95th", "to an ideal scanner HU median", "CPU-s")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    groups = {**rows, "all": [row for group in rows.values() for row in group]}
    for name, group in groups.items():
        good = [row for row in group if not isinstance(row[0], str)]
        slope = np.abs([row[0] for row in good])
        read, ideal = (np.abs(np.concatenate([row[part] for row in good])) for part in (1, 3))
        cells = [f"{np.median(slope):.2f}", f"{np.quantile(slope, 0.99):.2f}", f"{np.median(read):.3f}"]
        cells += [f"{np.quantile(read, 0.95):.2f}", f"{np.median(ideal):.1f}", f"{np.median([r[4] for r in good]):.2f}"]
        flagged = sum(bool(row[2]) for row in good)
        print(f"| {name} | {len(group)} | {len(good)} | {flagged} | {' | '.join(cells)} |")
    for row in groups["all"]:
        if not isinstance(row[0], str) and (row[2] or abs(row[0]) > 1):
            print(f"<!-- slope {row[0]:+.2f} % {row[2]} {row[5]} -->")


if __name__ == "__main__":
    main()
