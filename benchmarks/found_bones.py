"""Bones, landmarks, regions and areal density as a finished run found them, against the truth; prints Markdown tables.

Only patients whose bones the network found count; with `labelled: 10` of 40 virtual patients those are the 30 it has
not seen. The truth of areal density is the noise-free, unblurred, ideally calibrated CT with the true mask and
landmarks, by the workflow's own definition; beside it stand true masks in the scanned CT, which leave the scanner's
share of the error, with the beam hardening that a cylinder of water tells taken out and with all of it left in, and
that share against the cupping of the scan. Last come the seconds that landmarks, regions and density of both hips take.
The angle that was drawn is that of the shaft's nominal axis; a drawn shaft is bowed, so that the line through its
cross-sections, which defines the angle, is another.
Run: snakemake --configfile benchmarks/cohorts/found_bones.yaml --until measure_qct, then
     python benchmarks/found_bones.py --results cohorts/found_bones
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from osteoray.calibration.calibrating import Settings, calibrate
from osteoray.calibration.gates import Gates
from osteoray.calibration.phantom import Phantom
from osteoray.config.calibration import CalibrationConfig
from osteoray.config.qct import QctConfig
from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.agreement import bone_agreements
from osteoray.segmentation.femur import locate_femur
from osteoray.store.manifest import Manifest, read_json, read_manifest
from osteoray.store.nifti import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.measure_qct import measure
from scripts.score_against_truth import ideal_densities, true_mask_densities
from scripts.segment_bones import measure_sides

PHANTOMS = Path(__file__).resolve().parents[1] / "resources" / "phantoms"
TIMED = 4
"""Patients whose seconds are measured, the first of which does not count."""
CUT_MM = SegmentationConfig().distal_cut_mm
DOUBTS = (0.012, 0.015, 0.02, 0.025)
GROUPS = {
    "hip bones": (Bone.LEFT_HIP, Bone.RIGHT_HIP),
    "femurs": (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR),
    "sacrum": (Bone.SACRUM,),
}


@dataclass
class Findings:
    """What is collected over the patients, one entry per bone, femur or hip."""

    agreements: dict[str, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    doubts: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    landmarks: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    densities: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    patients: int = 0
    codes: Counter[str] = field(default_factory=Counter)


def add_bones(findings: Findings, segmentation: Manifest, truth: Manifest) -> None:
    found, true = (read_volume(manifest.file("bones")) for manifest in (segmentation, truth))
    for bone, agreement in bone_agreements(found.array, true.array, true.grid).items():
        group = next(name for name, bones in GROUPS.items() if bone in bones)
        findings.agreements[group].append((agreement.dice, agreement.asd_mm, agreement.hd95_mm))
        doubt = segmentation.facts["doubt"].get(bone.name.lower())
        if doubt is not None:
            findings.doubts[group].append((doubt, agreement.dice))


def add_femurs(findings: Findings, segmentation: Manifest, truth: Manifest) -> None:
    found, true = (read_volume(manifest.file("proximal_femur")).array for manifest in (segmentation, truth))
    bones = read_volume(truth.file("bones"))
    for side, femur in read_json(segmentation.file("femur")).items():
        facts, label = truth.facts["femur"][side], PROXIMAL_FEMUR[Side(side)]
        head_mm = np.linalg.norm(np.subtract(femur["head_centre_mm"], facts["head_centre_mm"]))
        if not (true == label).any():
            continue
        try:
            on_true_mask = locate_femur(Volume(bones.array == FEMUR[Side(side)], bones.grid), Side(side), CUT_MM)
        except Withheld:
            continue
        angles_deg = (
            femur["neck_shaft_angle_deg"] - on_true_mask.neck_shaft_angle_deg,
            femur["neck_shaft_angle_deg"] - facts["neck_shaft_angle_deg"],
        )
        volume = np.count_nonzero(found == label) / np.count_nonzero(true == label) - 1
        true_head_mm = np.linalg.norm(np.subtract(on_true_mask.head.centre_mm, facts["head_centre_mm"]))
        findings.landmarks.append((float(head_mm), float(true_head_mm), *angles_deg, 100 * volume))


def add_densities(
    findings: Findings, measured: Manifest, ingest: Manifest, calibration: Manifest, truth: Manifest
) -> None:
    ideal = ideal_densities(truth)
    on_true_mask = true_mask_densities(read_volume(calibration.file("qct"), np.float32), truth)
    hardened = true_mask_densities(hardened_qct(ingest, calibration), truth)
    cupping_hu = truth.facts["ct"]["cupping_hu"]
    for side, true in ideal.items():
        if "abmd_g_cm2" in measured.facts.get(side, {}):
            found = measured.facts[side]["abmd_g_cm2"]
            findings.densities.append((found, on_true_mask[side], hardened[side], true, cupping_hu))


def hardened_qct(ingest: Manifest, calibration: Manifest) -> Volume:
    """The CT calibrated by its phantom with all of its beam hardening."""
    config = CalibrationConfig()
    gates, settings = (
        part(**{name: getattr(config, name) for name in part.__dataclass_fields__}) for part in (Gates, Settings)
    )
    table = PHANTOMS / f"{calibration.facts['phantom'].lower().replace('-', '_')}.yaml"
    phantom = Phantom.from_table(yaml.safe_load(table.read_text(encoding="utf-8")))
    ct_hu = read_volume(ingest.file("ct"))
    line = calibrate(ct_hu, [phantom], gates, settings, ingest.facts["ct"]["kvp"]).line
    qct = line.slope_mg_cm3_per_hu * ct_hu.array.astype(np.float32) + line.intercept_mg_cm3
    return Volume(qct.astype(np.float32), ct_hu.grid)


def print_bones(findings: Findings) -> None:
    print("| bones | n | Dice mean | least | surface distance mean, mm | most | 95 % Hausdorff mean, mm |")
    print("|---|---|---|---|---|---|---|")
    for name, values in findings.agreements.items():
        dice, asd_mm, hd95_mm = np.array(values).T
        cells = f"{dice.mean():.4f} | {dice.min():.4f} | {np.nanmean(asd_mm):.2f} | {np.nanmax(asd_mm):.2f}"
        print(f"| {name} | {len(values)} | {cells} | {np.nanmean(hd95_mm):.2f} |")
    print(f"\nCodes: {dict(findings.codes) or 'none'}")


def print_doubt(findings: Findings) -> None:
    """Correlation of doubt with Dice, and what limits of doubt find and warn of without need."""
    groups = {name: np.array(pairs).T for name, pairs in findings.doubts.items()}
    groups["all bones"] = np.concatenate(list(groups.values()), axis=1)
    for name, (doubt, dice) in groups.items():
        print(f"Doubt of {name}: {doubt.min():.4f} to {doubt.max():.4f}, ", end="")
        print(f"correlation with Dice {np.corrcoef(doubt, dice)[0, 1]:.2f} ({doubt.size})")
    doubt, dice = groups["all bones"]
    counts = [np.count_nonzero(chosen) for chosen in (dice < 0.9, dice < 0.8, dice >= 0.9)]
    print("\n| limit | found, Dice < 0.9 ({}) | found, Dice < 0.8 ({}) | not warned, Dice ≥ 0.9 ({}) |".format(*counts))
    print("|---|---|---|---|")
    for limit in DOUBTS:
        shares = [np.mean(doubt[dice < least] > limit) if (dice < least).any() else np.nan for least in (0.9, 0.8)]
        print(f"| {limit:g} | {shares[0]:.0%} | {shares[1]:.0%} | {np.mean(doubt[dice >= 0.9] <= limit):.0%} |")


def print_landmarks(findings: Findings) -> None:
    print("\n| found masks, absolute error | median | 95 % | mean of the signed |\n|---|---|---|---|")
    names = (
        "head centre, mm",
        "head centre of true masks, mm",
        "neck-shaft angle, °, against the true mask's",
        "against the angle that was drawn, °",
        "volume of the proximal femur, %",
    )
    for name, errors in zip(names, np.array(findings.landmarks).T, strict=True):
        size = np.abs(errors)
        print(f"| {name} | {np.median(size):.2f} | {np.percentile(size, 95):.2f} | {errors.mean():+.2f} |")
    print(f"\n{len(findings.landmarks)} femurs of {2 * findings.patients} hips; the others were withheld (codes above)")


def print_densities(findings: Findings) -> None:
    found, on_true, hardened, ideal, cupping_hu = np.array(findings.densities).T
    print("\n| aBMD | bias ± standard error % | SD % | largest % | PCC | hips |\n|---|---|---|---|---|---|")
    pairs = {
        "found masks against truth": (found, ideal),
        "true masks against truth": (on_true, ideal),
        "true masks against truth, all beam hardening left in": (hardened, ideal),
        "found against true masks": (found, on_true),
    }
    for name, (values, reference) in pairs.items():
        error = 100 * (values / reference - 1)
        standard_error = error.std(ddof=1) / np.sqrt(error.size)
        numbers = f"{error.mean():+.2f} ± {standard_error:.2f} | {error.std():.2f} | {np.abs(error).max():.2f}"
        print(f"| {name} | {numbers} | {np.corrcoef(values, reference)[0, 1]:.4f} | {error.size} |")
    for name, values in (("all left in", hardened), ("that which water tells taken out", on_true)):
        slope, offset = np.polyfit(cupping_hu, 100 * (values / ideal - 1), 1)
        print(f"\nTrue masks, {name}: error {offset:+.2f} % {slope:+.2f} % per HU of cupping.")


def print_seconds(patients: list[tuple[Manifest, Manifest, Manifest]]) -> None:
    """Landmarks, regions and areal density of both hips, reading of files for the density included."""
    seconds = []
    for ingest, calibration, segmentation in patients[:TIMED]:
        ct_hu, bones = read_volume(ingest.file("ct")), read_volume(segmentation.file("bones")).array
        start = time.perf_counter()
        measure_sides(ct_hu, bones, Manifest("segmentation", ingest.patient_id, Path()), SegmentationConfig())
        halfway = time.perf_counter()
        measure(calibration, segmentation, QctConfig(), Manifest("densitometry", ingest.patient_id, Path()))
        seconds.append((halfway - start, time.perf_counter() - halfway))
    geometry, density = map(statistics.median, zip(*seconds[1:], strict=True))
    print(f"\nBoth hips: landmarks and regions {geometry:.1f} s, areal density of all regions {density:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", required=True, type=Path, help="results folder of a virtual cohort")
    args = parser.parse_args()
    findings, timed = Findings(), []
    for path in sorted((args.results / "segmentation").glob("*/segmentation.json")):
        segmentation = read_manifest(path)
        patient = segmentation.patient_id
        findings.codes.update(f"{finding.code} {finding.verdict}" for finding in segmentation.findings)
        if segmentation.facts.get("method") != "network" or segmentation.is_withheld:
            continue
        truth = read_manifest(args.results / "virtual" / "truth" / patient / "manifest.json")
        findings.patients += 1
        add_bones(findings, segmentation, truth)
        add_femurs(findings, segmentation, truth)
        calibration = read_manifest(args.results / "calibration" / patient / "calibration.json")
        measured = read_manifest(args.results / "densitometry" / f"{patient}.json")
        if not calibration.is_withheld and calibration.facts["level"] == "phantom":
            ingest = read_manifest(args.results / "ingest" / patient / "manifest.json")
            add_densities(findings, measured, ingest, calibration, truth)
            timed.append((ingest, calibration, segmentation))
    if not findings.agreements or len(findings.densities) < 3:
        sys.exit(f"{args.results}: expected bones and densities of two patients or more that the network segmented")
    print_bones(findings)
    print_doubt(findings)
    print_landmarks(findings)
    print_densities(findings)
    print_seconds(timed)


if __name__ == "__main__":
    main()
