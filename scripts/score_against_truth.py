"""Score every stage against the truth of a virtual cohort."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Bone, Side
from osteoray.simulation.parts import Part
from osteoray.simulation.scoring import (
    areal_map_g_cm2,
    dice,
    map_errors,
    sample_points,
    target_errors_mm,
)
from osteoray.simulation.truth import part_of_ct
from osteoray.simulation.truth_maps import whole_maps
from osteoray.store.arrays import read_arrays
from osteoray.store.manifest import Manifest, read_json, read_manifest
from osteoray.store.nifti import read_volume
from osteoray.store.tables import number, read_table, write_table

COLUMNS = ("stage", "quantity", "unit", "value", "p95", "n", "note")
POINTS = 300
SEED = 0
NOISE_FREE = "against a noise-free CT of the same resolution"
UNBLURRED = "against a CT without blur: the edge that voxels lose"

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
    found, true = read_volume(segmentation.file("bones")).array, read_volume(truth.file("bones")).array
    for bone in Bone:
        add(
            scores, "segmentation", f"Dice {bone.name.lower().replace('_', ' ')}", "", dice(found == bone, true == bone)
        )
    found = read_volume(segmentation.file("proximal_femur")).array
    true = read_volume(truth.file("proximal_femur")).array
    for label in PROXIMAL_FEMUR.values():
        if (found == label).any():
            volume = 100 * ((found == label).sum() / (true == label).sum() - 1)
            add(scores, "segmentation", "Dice proximal femur", "", dice(found == label, true == label))
            add(scores, "segmentation", "proximal femur volume error", "%", abs(volume), "absolute")
    femurs = read_json(segmentation.file("femur"))
    for side, femur in femurs.items():
        true_femur = truth.facts["femur"][side]
        shift = np.subtract(femur["head_centre_mm"], true_femur["head_centre_mm"])
        angle = femur["neck_shaft_angle_deg"] - true_femur["neck_shaft_angle_deg"]
        add(scores, "segmentation", "head centre error", "mm", float(np.linalg.norm(shift)))
        add(scores, "segmentation", "neck-shaft angle error", "°", abs(angle), "absolute")


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
    ha, qct, regions = (read_volume(truth.file(name)) for name in ("ha", "qct_ideal", "proximal_femur"))
    return {
        side: part_of_ct(ha.array, qct.array, regions.array == label, regions.grid)
        for side, label in PROXIMAL_FEMUR.items()
        if (regions.array == label).any()
    }


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
        for side, values in truth.facts["density"].items():
            readings["noise-free CT"][patient, side] = values.get("abmd_g_cm2_ct", float("nan"))
            readings["CT without blur"][patient, side] = values["abmd_g_cm2_qct"]
            readings["true hydroxyapatite"][patient, side] = values["abmd_g_cm2"]
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
    write_table(args.output, summaries(scores) + densities(truths, args.results, args.bmd), COLUMNS)


if __name__ == "__main__":
    main()
