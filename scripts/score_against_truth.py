"""Score every stage against the truth of a virtual cohort."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from osteoray.densitometry.qct import measure_regions
from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Side
from osteoray.imaging.partial_volume import bone_density
from osteoray.imaging.volume import Volume
from osteoray.segmentation.agreement import Agreement, bone_agreements, mask_agreement
from osteoray.simulation.parts import Part
from osteoray.simulation.scoring import (
    areal_map_g_cm2,
    map_errors,
    sample_points,
    target_errors_mm,
)
from osteoray.simulation.truth_maps import whole_maps
from osteoray.store.arrays import read_arrays
from osteoray.store.manifest import Manifest, read_json, read_manifest
from osteoray.store.nifti import read_volume
from osteoray.store.tables import number, read_table, write_table

COLUMNS = ("stage", "quantity", "unit", "value", "p95", "n", "note")
POINTS = 300
SEED = 0
NOISE_FREE = "against a noise-free CT of the same resolution, with its rim"
UNBLURRED = "against the body's own voxels, whose edge is lost"

Scores = dict[tuple[str, str, str, str], list[float]]


def score_calibration(scores: Scores, truth: Manifest, calibration: Manifest) -> None:
    true, found = truth.facts["ct"], calibration.facts
    slope = found["slope_mg_cm3_per_hu"] / true["slope_mg_cm3_per_hu"] - 1
    add(scores, "calibration", "slope error", "%", 100 * abs(slope), "absolute")
    offset = found["intercept_mg_cm3"] - true["intercept_mg_cm3"]
    add(scores, "calibration", "intercept error", "mg/cm³", abs(offset), "absolute")


def score_segmentation(scores: Scores, truth: Manifest, segmentation: Manifest) -> None:
    if segmentation.facts["method"] != "network":
        return
    found, true = (read_volume(manifest.file("bones")) for manifest in (segmentation, truth))
    for bone, agreement in bone_agreements(found.array, true.array, true.grid).items():
        add_agreement(scores, bone.name.lower().replace("_", " "), agreement)
    found, true = (read_volume(manifest.file("proximal_femur")) for manifest in (segmentation, truth))
    for label in PROXIMAL_FEMUR.values():
        if (found.array == label).any():
            agreement = mask_agreement(found.array == label, true.array == label, true.grid)
            add_agreement(scores, "proximal femur", agreement)
            error = agreement.volume_error_percent
            add(scores, "segmentation", "proximal femur volume error", "%", abs(error), "absolute")
    femurs = read_json(segmentation.file("femur"))
    for side, femur in femurs.items():
        true_femur = truth.facts["femur"][side]
        shift = np.subtract(femur["head_centre_mm"], true_femur["head_centre_mm"])
        angle = femur["neck_shaft_angle_deg"] - true_femur["neck_shaft_angle_deg"]
        add(scores, "segmentation", "head centre error", "mm", float(np.linalg.norm(shift)))
        add(scores, "segmentation", "neck-shaft angle error", "°", abs(angle), "absolute")


def add_agreement(scores: Scores, name: str, agreement: Agreement) -> None:
    """Overlap and, where both have a surface, its distance."""
    add(scores, "segmentation", f"Dice {name}", "", agreement.dice)
    if not np.isnan(agreement.asd_mm):
        add(scores, "segmentation", f"surface distance {name}", "mm", agreement.asd_mm, "average, symmetric")
        add(scores, "segmentation", f"95 % Hausdorff distance {name}", "mm", agreement.hd95_mm)


def score_registration(scores: Scores, truth: Manifest, registration: Manifest) -> None:
    bones = read_volume(truth.file("bones"))
    labels = {"pelvis": PELVIS} | {f"{side}_femur": (FEMUR[side],) for side in Side}
    rng = np.random.default_rng(SEED)
    points = {
        name: sample_points(np.isin(bones.array, values), bones.grid, POINTS, rng) for name, values in labels.items()
    }
    for xray_id, found in registration.facts["xrays"].items():
        true = truth.facts["xrays"][xray_id]
        for name, pose in found["camera_from_world"].items():
            target_mm, projected_mm = target_errors_mm(
                points[name], camera(found, pose), camera(true, true["camera_from_world"][name])
            )
            bone = name.replace("left_", "").replace("right_", "")
            add(scores, "registration", f"{bone} projected error", "mm", projected_mm, "in the plane of the bone")
            add(scores, "registration", f"{bone} target error", "mm", target_mm, "3-D, depth included")


def score_projection(scores: Scores, truth: Manifest, projection: Manifest) -> None:
    parts = proximal_femurs(truth)
    for xray_id in projection.files:
        found, fine = read_arrays(projection.file(xray_id)), whole_maps(read_arrays(truth.file(xray_id)))
        true = truth.facts["xrays"][xray_id]
        for side in Side:
            name = f"proximal_femur_{side}"
            if name in found:
                if side in parts:
                    at_ct = areal_map_g_cm2(parts[side], camera(true, true["camera_from_world"][f"{side}_femur"]))
                    bias, rmse = map_errors(found[name], at_ct)
                    add(scores, "projection", "proximal femur map mean error", "%", 100 * abs(bias), NOISE_FREE)
                    add(scores, "projection", "proximal femur map RMSE", "g/cm²", rmse, NOISE_FREE)
                bias, _ = map_errors(found[name], fine[f"{name}_qct"])
                add(scores, "projection", "proximal femur map mean error, unblurred", "%", 100 * abs(bias), UNBLURRED)


def proximal_femurs(truth: Manifest) -> dict[Side, Part]:
    """The true proximal femurs as a noise-free CT of the same resolution shows them; none if the truth is compact."""
    if "qct_ideal" not in truth.files:
        return {}
    qct, bones, regions = (read_volume(truth.file(name)) for name in ("qct_ideal", "bones", "proximal_femur"))
    return {
        side: part_with_rim(qct, bones.array, bones.array == FEMUR[side], regions.array == label)
        for side, label in PROXIMAL_FEMUR.items()
        if (regions.array == label).any()
    }


def part_with_rim(qct: Volume, bones: np.ndarray, femur: np.ndarray, region: np.ndarray) -> Part:
    """A region as the pipeline defines its content, twice: ray integrals read the second channel."""
    part = bone_density(qct, bones, femur).of_part(femur, region)
    return Part(np.stack([part.array, part.array], axis=-1), part.grid)


def ideal_densities(truth: Manifest) -> dict[str, float]:
    """Areal density of the true proximal femurs in a noise-free CT without blur, as the pipeline defines it."""
    if "qct_ideal" not in truth.files:
        return {}
    return true_mask_densities(read_volume(truth.file("qct_ideal")), truth)


def true_mask_densities(qct: Volume, truth: Manifest) -> dict[str, float]:
    """Areal density of the true proximal femurs in a calibrated CT on the grid of the true bones, by side.

    Without a side whose region the CT does not show as it is: cropped, moved or with an implant.
    """
    bones, regions = (read_volume(truth.file(name)) for name in ("bones", "proximal_femur"))
    found = {}
    for side, label in PROXIMAL_FEMUR.items():
        if "abmd_g_cm2_ct" in truth.facts["density"][side]:
            masks = {"proximal_femur": regions.array == label}
            femur = truth.facts["femur"][str(side)]
            axes = (np.array(femur["neck_axis"]), np.array(femur["shaft_axis"]))
            measured = measure_regions(qct, bones.array, bones.array == FEMUR[side], masks, *axes, voxel_mm=1.0)
            found[str(side)] = measured["proximal_femur"].abmd_g_cm2
    return found


def regions_against_dxa(truths: dict[str, Manifest], path: Path) -> list[dict]:
    """QCT areal density of DXA's regions against the true DXA of the same hips, which reads mineral alone."""
    rows = []
    for region, quantity in (("total_hip", "total_hip_true_g_cm2"), ("neck", "neck_true_g_cm2")):
        measured = [row for row in read_table(path) if row["region"] == region and row["abmd_g_cm2"]]
        found = [number(row["abmd_g_cm2"]) for row in measured]
        true = [truths[row["patient_id"]].facts["dxa"][row["side"]][quantity] for row in measured]
        rows += agreement("densitometry", f"QCT aBMD of {region.replace('_', ' ')} against true DXA", found, true)
    return rows


def camera(facts: dict, camera_from_world: list[list[float]]) -> Camera:
    return Camera(np.array(facts["K"]), np.array(camera_from_world), tuple(facts["shape"]), tuple(facts["pitch_mm"]))


def add(scores: Scores, stage: str, quantity: str, unit: str, value: float, note: str = "") -> None:
    scores[stage, quantity, unit, note].append(value)


def summaries(scores: Scores) -> list[dict]:
    """Median and 95th percentile of every quantity; of a Dice coefficient the 5th, its bad end."""
    rows = []
    for (stage, quantity, unit, note), values in scores.items():
        bad_end = 5 if quantity.startswith("Dice") else 95
        rows.append(
            {"stage": stage, "quantity": quantity, "unit": unit, "value": float(np.median(values))}
            | {"p95": float(np.percentile(values, bad_end)), "n": len(values)}
            | {"note": ", ".join(filter(None, (f"median; {bad_end}th percentile", note)))}
        )
    return rows


def agreement(stage: str, name: str, found: list[float], true: list[float]) -> list[dict]:
    """Correlation, mean absolute error and bias of densities against the truth."""
    pairs = np.array([pair for pair in zip(found, true, strict=True) if not np.isnan(pair).any()])
    if len(pairs) < 3:
        return []
    error = pairs[:, 0] - pairs[:, 1]
    pcc = np.corrcoef(pairs.T)[0, 1] if pairs.std(axis=0).all() else np.nan
    values = {"PCC": pcc, "MAE": np.abs(error).mean(), "bias": error.mean()}
    units = {"PCC": "", "MAE": "g/cm²", "bias": "g/cm²"}
    return [
        {"stage": stage, "quantity": f"{key} {name}", "unit": units[key], "value": float(value), "n": len(pairs)}
        for key, value in values.items()
    ]


def densities(truths: dict[str, Manifest], results: Path, tables: list[Path]) -> list[dict]:
    """QCT and predicted areal density against three readings of the truth."""
    readings: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for patient, truth in truths.items():
        ideal = ideal_densities(truth)
        for side, values in truth.facts["density"].items():
            readings["noise-free CT"][patient, side] = ideal.get(side, float("nan"))
            readings["the body's own voxels, edge lost"][patient, side] = values["abmd_g_cm2_qct"]
            readings["true hydroxyapatite, edge lost"][patient, side] = values["abmd_g_cm2"]
    rows = []
    sources = {"QCT": (results / "densitometry" / "qct.tsv", "abmd_g_cm2")}
    sources |= {f"X-ray, {'/'.join(t.parts[-4:-1])}": (t, "predicted_bmd_g_cm2") for t in tables}
    for name, (path, column) in sources.items():
        measured = [row for row in read_table(path) if row[column]]
        found = [number(row[column]) for row in measured]
        for label, true in readings.items():
            reference = [true[row["patient_id"], row["side"]] for row in measured]
            rows += agreement("densitometry", f"{name} aBMD against {label}", found, reference)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="results folder")
    parser.add_argument("--truth", required=True, type=Path, help="folder of the truth, one folder per patient")
    parser.add_argument("--patients", required=True, nargs="+", help="patient_ids to score")
    parser.add_argument("--bmd", required=True, nargs="+", type=Path, help="{task}/{backbone}/{size}/bmd.tsv")
    parser.add_argument("--output", required=True, type=Path, help="truth.tsv to write")
    args = parser.parse_args()
    truths = {patient: read_manifest(args.truth / patient / "manifest.json") for patient in args.patients}
    stages = {
        "calibration/{}/calibration.json": score_calibration,
        "segmentation/{}/segmentation.json": score_segmentation,
        "registration/{}.json": score_registration,
        "projection/{}/projection.json": score_projection,
    }
    scores: Scores = defaultdict(list)
    for path, score in stages.items():
        for patient, truth in truths.items():
            manifest = read_manifest(args.results / path.format(patient))
            if not manifest.is_withheld:
                score(scores, truth, manifest)
    write_table(
        args.output,
        summaries(scores)
        + densities(truths, args.results, args.bmd)
        + regions_against_dxa(truths, args.results / "densitometry" / "regions.tsv"),
        COLUMNS,
    )


if __name__ == "__main__":
    main()
