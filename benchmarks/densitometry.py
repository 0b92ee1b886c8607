"""QCT areal density against truth, what each error costs, and how well repeated scans agree; prints Markdown tables.

Masks are the true ones unless a table says otherwise, so that the numbers are those of densitometry alone. "Plain" is
the density inside the mask over the silhouette of the mask, without partial volume.
Run: python benchmarks/densitometry.py --results FOLDER --patients V001 V002 ... [--bodies 4]
The folder is a run of a virtual cohort with `truth: full`, up to calibration.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from scipy import ndimage

from osteoray.calibration.calibrating import Settings, calibrate
from osteoray.calibration.gates import Gates
from osteoray.calibration.hardening import Hardening, without_hardening
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.water import measure_cylinder
from osteoray.config.calibration import CalibrationConfig
from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.densitometry.qct import measure_regions, silhouette, standard_view
from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Side
from osteoray.imaging.partial_volume import depth_below
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.simulation.anatomy import AnatomyParameters, draw_anatomy
from osteoray.simulation.ct_examination import examine_ct
from osteoray.simulation.enrolment import enrolled, generator
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.procedural import procedural_body
from osteoray.simulation.water_scan import scan_water
from osteoray.store.manifest import read_manifest
from osteoray.store.nifti import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.thick_slices import in_thick_slices

TABLE = Path(__file__).resolve().parents[1] / "resources" / "phantoms" / "b_mas200.yaml"
MARGIN_MM = 22.0
SCANS = 3


@dataclass(frozen=True, eq=False)
class Hip:
    """One femur with its surroundings; `femur` and `region` are masks, `bones` labels."""

    density: Volume
    bones: np.ndarray
    femur: np.ndarray
    region: np.ndarray
    axes: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, density: Volume, bones: np.ndarray, proximal: np.ndarray, side: Side, axes: tuple) -> Hip:
        """The hip of a side out of a whole CT and its labels."""
        window = density.window(proximal == PROXIMAL_FEMUR[side], MARGIN_MM)
        inside = bones[window]
        femur, region = inside == FEMUR[side], proximal[window] == PROXIMAL_FEMUR[side]
        return cls(density.cut(window), inside, femur, region, axes)

    def with_femur(self, femur: np.ndarray) -> Hip:
        """The hip with another mask; the region keeps its cut faces."""
        nearest = ndimage.distance_transform_edt(~self.femur, return_distances=False, return_indices=True)
        femur = femur & ((self.bones == 0) | self.femur)
        bones = np.where(femur, 1, np.where(self.femur, 0, self.bones))
        return replace(self, bones=bones, femur=femur, region=femur & self.region[tuple(nearest)])

    def abmd(self, voxel_mm: float = 1.0, focus_mm: float | None = None) -> float:
        """Areal density as the pipeline measures it, g/cm²."""
        view = {"voxel_mm": voxel_mm, "focus_mm": focus_mm}
        found = measure_regions(self.density, self.bones, self.femur, {"all": self.region}, *self.axes, **view)
        return found["all"].abmd_g_cm2

    def plain(self) -> float:
        """Areal density without partial volume, g/cm²."""
        region = Volume(self.region, self.density.grid)
        view = standard_view(region, *self.axes, 1.0)
        area_mm2 = silhouette(Volume(depth_below(region), region.grid), view).sum()
        content = self.density.array[self.region].sum(dtype=float) * region.grid.voxel_mm3
        return float(content / area_mm2 * 1e-4)


def hips_of(results: Path, patient: str) -> Iterator[tuple[Hip, dict]]:
    """Both hips of a patient as scanned, with what else is known: the ideal hip, the true line's hip, stored truth."""
    truth = read_manifest(results / "virtual" / "truth" / patient / "manifest.json")
    calibration = read_manifest(results / "calibration" / patient / "calibration.json")
    measured = read_volume(calibration.file("qct"), np.float32)
    ideal, ha = (read_volume(truth.file(name), np.float32) for name in ("qct_ideal", "ha"))
    bones, proximal = (read_volume(truth.file(name)).array for name in ("bones", "proximal_femur"))
    found, true = calibration.facts, truth.facts["ct"]
    slope = true["slope_mg_cm3_per_hu"] / found["slope_mg_cm3_per_hu"]
    offset = true["intercept_mg_cm3"] - slope * found["intercept_mg_cm3"]
    for side in Side:
        facts, density = truth.facts["femur"][str(side)], truth.facts["density"][str(side)]
        axes = np.array(facts["neck_axis"]), np.array(facts["shaft_axis"])
        hips = [Hip.of(volume, bones, proximal, side, axes) for volume in (measured, ideal, ha)]
        true_line = replace(
            hips[0],
            density=Volume(hips[0].density.array * np.float32(slope) + np.float32(offset), hips[0].density.grid),
        )
        known = {
            "ideal": hips[1],
            "ha": hips[2],
            "true line": true_line,
            "facts": density,
            "trochanter": facts["lesser_trochanter_mm"],
        }
        yield hips[0], known


def thick_slices(hip: Hip, factor: int) -> Hip:
    """Slices averaged, labels by half-filled voxels."""
    grid, density = hip.density.grid, in_thick_slices(hip.density, factor)
    masks = (hip.femur, hip.region, (hip.bones > 0) & ~hip.femur)
    femur, region, other = (in_thick_slices(Volume(mask, grid), factor).array >= 0.5 for mask in masks)
    bones = np.where(femur, 1, np.where(other, 2, 0))
    return Hip(density, bones, femur, region & femur, hip.axes)


def flexed(hip: Hip, degrees: float) -> Hip:
    """The hip turned about the left-right axis, on the same voxels."""
    rotation = rotation_from_vector(np.array([-np.radians(degrees), 0.0, 0.0]))
    grid = hip.density.grid
    middle_mm = grid.centre_mm
    turned = VoxelGrid(grid.shape, affine(rotation, middle_mm - rotation @ middle_mm) @ grid.world_from_index)
    half_mm = np.array(grid.shape) * grid.spacing_mm / 2
    shape = tuple(int(n) for n in np.ceil(2 * np.array([np.hypot(*half_mm[:2])] * 2 + [half_mm[2]]) / grid.spacing_mm))
    target = VoxelGrid.axial(
        shape, tuple(grid.spacing_mm), tuple(middle_mm - (np.array(shape)[::-1] - 1) / 2 * grid.spacing_mm[::-1])
    )

    def moved(array: np.ndarray, outside: float = 0.0) -> np.ndarray:
        return resample(Volume(array.astype(np.float32), turned), target, outside=outside).array

    femur, region, other = (moved(m) >= 0.5 for m in (hip.femur, hip.region, (hip.bones > 0) & ~hip.femur))
    bones = np.where(femur, 1, np.where(other, 2, 0))
    soft = float(np.median(hip.density.array[hip.bones == 0]))
    density = Volume(moved(hip.density.array, soft), target)
    return Hip(density, bones, femur, region & femur, tuple(rotation @ axis for axis in hip.axes))


def cut_lower(hip: Hip, trochanter_mm: list[float], by_mm: float) -> Hip:
    """The distal cut moved down the shaft."""
    points_mm = hip.density.grid.coordinates_mm()
    along_mm = (points_mm - np.array(trochanter_mm)) @ hip.axes[1]
    shaft = hip.femur & (along_mm < 0)
    lowest_mm = float(np.quantile(along_mm[hip.region], 0.0005))
    return replace(hip, region=(hip.region & ~shaft) | (shaft & (along_mm >= lowest_mm - by_mm)))


def changes(hip: Hip, trochanter_mm: list[float]) -> Iterator[tuple[str, Hip, dict]]:
    """Everything that is varied, by name."""
    yield "mask one voxel too large", hip.with_femur(ndimage.binary_dilation(hip.femur)), {}
    yield "mask one voxel too small", hip.with_femur(ndimage.binary_erosion(hip.femur)), {}
    for degrees in (0, 10, 20, 30):
        yield f"flexed by {degrees}° (resampled)", flexed(hip, degrees), {}
    for factor in (2, 3, 5):
        yield f"slices of {factor} mm", thick_slices(hip, factor), {}
    for by_mm in (-2.0, 2.0):
        yield f"distal cut {by_mm:+g} mm", cut_lower(hip, trochanter_mm, by_mm), {}
    for focus_mm in (10_000.0, 1000.0):
        yield f"cone, focus at {focus_mm:g} mm", hip, {"focus_mm": focus_mm}
    for voxel_mm in (0.5, 2.0):
        yield f"`voxel_mm` {voxel_mm:g}", hip, {"voxel_mm": voxel_mm}
    for offset in (-5.0, 5.0):
        yield (
            f"calibration {offset:+g} mg/cm³",
            replace(hip, density=Volume(hip.density.array + np.float32(offset), hip.density.grid)),
            {},
        )
    yield (
        "calibration slope +1 %",
        replace(hip, density=Volume(hip.density.array * np.float32(1.01), hip.density.grid)),
        {},
    )


def agreement(name: str, found: list[float], true: list[float]) -> str:
    pairs = np.array([found, true])
    error = pairs[0] / pairs[1] - 1
    correlation = np.corrcoef(pairs)[0, 1]
    numbers = f"{100 * error.mean():+.2f} | {100 * error.std():.2f} | {100 * np.abs(error).max():.2f}"
    return f"| {name} | {numbers} | {correlation:.4f} | {error.size} |"


def print_truth(results: Path, patients: list[str], varied: int) -> None:
    found, effects, seconds = defaultdict(list), defaultdict(list), []
    for patient in patients:
        for hip, known in hips_of(results, patient):
            start = time.process_time()
            value = hip.abmd()
            seconds.append(time.process_time() - start)
            facts = known["facts"]
            found["measured"].append(value)
            found["measured, plain"].append(hip.plain())
            found["true calibration line"].append(known["true line"].abmd())
            found["ideal"].append(known["ideal"].abmd())
            found["ideal, plain"].append(known["ideal"].plain())
            found["truth of the CT"].append(facts.get("abmd_g_cm2_ct", np.nan))
            found["truth of the body"].append(facts["abmd_g_cm2_qct"])
            found["true mineral"].append(known["ha"].abmd())
            if len(found["measured"]) <= varied:
                plain = hip.plain()
                for name, other, view in changes(hip, known["trochanter"]):
                    effects[name].append((other.abmd(**view) / value - 1, other.plain() / plain - 1))
    print("\n| measured aBMD against | bias % | SD % | largest % | PCC | hips |\n|---|---|---|---|---|---|")
    names = ("ideal", "true calibration line", "true mineral", "truth of the CT", "truth of the body")
    for name in names:
        print(agreement(name, found["measured"], found[name]))
    print(agreement("(plain against ideal)", found["measured, plain"], found["ideal"]))
    print(agreement("(ideal plain against truth of the CT)", found["ideal, plain"], found["truth of the CT"]))
    print(agreement("(true line against ideal: noise, blur, field)", found["true calibration line"], found["ideal"]))
    print(f"\n{np.median(seconds):.2f} CPU-s per hip, {len(seconds)} hips")
    print("\n| change | aBMD % mean | SD | plain % mean | SD | hips |\n|---|---|---|---|---|---|")
    for name, pairs in effects.items():
        mean, spread = 100 * np.mean(pairs, axis=0), 100 * np.std(pairs, axis=0)
        print(f"| {name} | {mean[0]:+.2f} | {spread[0]:.2f} | {mean[1]:+.2f} | {spread[1]:.2f} | {len(pairs)} |")


def moved_femurs(parameters: AnatomyParameters, rng: np.random.Generator) -> AnatomyParameters:
    """The same patient, laid down again: both femurs in another pose."""
    femurs = {
        side: replace(
            femur,
            flexion_deg=femur.flexion_deg + rng.normal(0, 5),
            adduction_deg=femur.adduction_deg + rng.normal(0, 3),
            rotation_deg=femur.rotation_deg + rng.normal(0, 8),
        )
        for side, femur in parameters.femurs.items()
    }
    return replace(parameters, femurs=femurs)


def print_repeats(bodies: int, spacing_mm: float, pixel_mm: float, slice_mm: float) -> None:
    """Same bodies and scanner, other pose, phantom place, day and noise; calibrated by the phantom, without and with
    the beam hardening that a cylinder of water with rods tells taken out."""
    scanner = CtScannerConfig(matrix=round(430 / pixel_mm), pixel_mm=pixel_mm, slice_mm=slice_mm, extent_mm=290)
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    config, measured = CalibrationConfig(), defaultdict(list)
    gates, settings = (
        part(**{name: getattr(config, name) for name in part.__dataclass_fields__}) for part in (Gates, Settings)
    )
    cohort = SimulationConfig(patients=99, labelled=0, seed=7, anatomy_spacing_mm=spacing_mm, ct=scanner)
    scanned = scan_water(cohort, 0, PhantomDesign.from_table(table))
    water = measure_cylinder(Volume(scanned.hu, scanned.grid), Protocol("virtual", 120.0, ""))
    left = Hardening(water.quadratic_per_cm, water.bone_share)
    for number in range(bodies):
        patient = enrolled(cohort, f"V{number + 1:03d}")
        for scan in range(SCANS):
            rng = generator(cohort.seed, patient.index, "anatomy")
            drawn = draw_anatomy(patient.sex, patient.age_years, patient.height_cm, patient.weight_kg, rng)
            drawn = moved_femurs(drawn, np.random.default_rng([number, scan]))
            body = procedural_body(drawn, spacing_mm, rng)
            # The same scanner on another day: its table of the enrolled goes on, its unit stays.
            day = replace(patient, index=patient.index + 100 * (scan + 1))
            ct = examine_ct(cohort, day, body, PhantomDesign.from_table(table)).ct
            cupped = Volume(ct.hu, ct.grid)
            for name, volume in (("all left in", cupped), ("taken out", without_hardening(cupped, left, 120.0))):
                line = calibrate(volume, [Phantom.from_table(table)], gates, settings, 120.0).line
                qct = (volume.array * line.slope_mg_cm3_per_hu + line.intercept_mg_cm3).astype(np.float32)
                for side, femur in body.femurs.items():
                    axes = femur.neck_axis, femur.shaft_axis
                    hip = Hip.of(Volume(qct, ct.grid), ct.bones, ct.proximal_femur, side, axes)
                    measured[name, number, side].append((hip.abmd(), hip.plain()))
    print(f"\nRMS-CV over {SCANS} scans of {2 * bodies} hips, {pixel_mm:g} x {pixel_mm:g} x {slice_mm:g} mm, ", end="")
    print(f"scanner with {water.cupping_hu:.1f} HU of cupping:")
    for name in ("all left in", "taken out"):
        table_of = np.array([values for key, values in measured.items() if key[0] == name])
        precision = np.sqrt((table_of.std(axis=1, ddof=1) ** 2 / table_of.mean(axis=1) ** 2).mean(axis=0))
        print(f"{name}: {100 * precision[0]:.2f} % (plain {100 * precision[1]:.2f} %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="results folder of a virtual cohort")
    parser.add_argument("--patients", nargs="*", default=[], help="patient_ids")
    parser.add_argument("--varied", type=int, default=6, help="hips in the table of changes")
    parser.add_argument("--bodies", type=int, default=0, help="bodies that are scanned three times")
    parser.add_argument("--spacing", type=float, default=1.5, help="voxels of these bodies, mm")
    parser.add_argument("--voxel", type=float, nargs=2, default=(1.5, 1.5), help="pixels and slices of these scans, mm")
    args = parser.parse_args()
    if args.patients:
        print_truth(args.results, args.patients, args.varied)
    if args.bodies:
        print_repeats(args.bodies, args.spacing, *args.voxel)


if __name__ == "__main__":
    main()
