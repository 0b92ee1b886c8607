"""Read BMD off the predicted bone maps, with intervals from the other folds and the quality of the maps."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from osteoray.config.densitometry import DensitometryConfig
from osteoray.densitometry.measurement import Bmd, HalfXray, Settings, measure
from osteoray.densitometry.readout import sweep, threshold_curve
from osteoray.imaging.resampling import resize_image
from osteoray.statistics.experiments import QUALITIES
from osteoray.statistics.image_quality import quality
from osteoray.store.arrays import read_arrays
from osteoray.store.manifest import read_manifest
from osteoray.store.tables import number, read_table, write_table

COLUMNS = (
    *("patient_id", "xray_id", "side", "pose", "fold", "predicted_bmd_g_cm2", "low_g_cm2", "high_g_cm2"),
    *("map_bmd_g_cm2", "qct_abmd_g_cm2", "dxa_bmd_g_cm2", "area_cm2", *QUALITIES),
    *("dxa_equivalent_g_cm2", "dxa_low_g_cm2", "dxa_high_g_cm2", "threshold_g_cm2", "slope", "offset_g_cm2"),
    *("verdict", "codes", "qct_calibration_level"),
)

CONFIDENCE = 0.95
"""Coverage of the interval of a predicted BMD; every report prints it as 95 %."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, help="fold*.tsv; the maps lie beside")
    parser.add_argument("--halves", required=True, nargs="+", type=Path, help="manifests of laterality")
    parser.add_argument("--folds", required=True, type=Path, help="folds of the release")
    parser.add_argument("--qct", required=True, type=Path, help="densitometry/qct.tsv")
    parser.add_argument("--patients", required=True, help="JSON: per patient dxa_bmd_g_cm2 and target_side")
    parser.add_argument("--config", required=True, help="densitometry section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="bmd.tsv to write")
    args = parser.parse_args()
    config = DensitometryConfig.model_validate_json(args.config)
    thresholds = sweep(*config.threshold_range_g_cm2, config.threshold_step_g_cm2, config.threshold_g_cm2)
    folds = {row["patient_id"]: int(row["fold"]) for row in read_table(args.folds)}
    qct = {(r["patient_id"], r["side"]): r for r in read_table(args.qct) if r["verdict"] != "withheld"}
    patients = json.loads(args.patients)
    halves, rows = [], []
    for facts, predicted, reference in read_maps(args.predictions, args.halves):
        patient_id, side = facts["patient_id"], facts["side"]
        if patients.get(patient_id, {}).get("target_side", "both") not in (side, "both"):
            continue  # The other side was excluded by the table: it has no value to report.
        curves = [
            None if areal is None else threshold_curve(areal, thresholds, config.maximum_g_cm2)
            for areal in (predicted, reference)
        ]
        abmd_g_cm2, level = qct_of(qct.get((patient_id, side)))
        known = abmd_g_cm2, dxa_of(patients.get(patient_id, {}), side), level
        fold = folds.get(patient_id)
        halves.append(
            HalfXray(patient_id, facts["xray_id"], side, fold, *curves, pixel_cm2(facts, config.magnification), *known)
        )
        row = {"pose": facts["pose"]}
        rows.append(row if reference is None else row | quality(predicted, reference, config.maximum_g_cm2))
    measured = measure(halves, settings_of(config, thresholds)) if halves else []
    table = [row | row_of(half, bmd) for half, bmd, row in zip(halves, measured, rows, strict=True)]
    write_table(args.output, table, COLUMNS)


def read_maps(tables: list[Path], manifests: list[Path]) -> Iterator[tuple[dict, np.ndarray, np.ndarray | None]]:
    """Facts, predicted map at native size and reference map of every predicted half."""
    laterality = {manifest.patient_id: manifest for manifest in map(read_manifest, manifests)}
    for table in tables:
        maps = read_arrays(table.with_suffix(".npz"))["maps"]
        rows = enumerate(read_table(table))
        for patient_id, group in groupby(rows, key=lambda item: item[1]["patient_id"]):
            manifest = laterality[patient_id]
            arrays = read_arrays(manifest.file("halves"))
            facts = {(half["xray_id"], half["side"]): half for half in manifest.facts["halves"]}
            for index, row in group:
                key = (row["xray_id"], row["side"])
                shape = arrays[f"{key[0]}_{key[1]}_xray"].shape
                reference = arrays.get(f"{key[0]}_{key[1]}_proximal_femur")
                yield facts[key] | {"patient_id": patient_id}, resize_image(maps[index], shape), reference


def qct_of(row: dict[str, str] | None) -> tuple[float, str]:
    """Reference aBMD of a hip and what calibrated it; a density without any calibration is no reference."""
    if row is None:
        return float("nan"), ""
    level = row["calibration_level"]
    return float("nan") if level == "none" else number(row["abmd_g_cm2"]), level


def dxa_of(patient: dict, side: str) -> float:
    """DXA of this hip; a value without a side is taken for both."""
    value = patient.get("dxa_bmd_g_cm2")
    return float(value) if value is not None and patient.get("target_side") in (side, "both") else float("nan")


def pixel_cm2(facts: dict, magnification: float) -> float:
    """Area of a pixel at the hip."""
    rows_mm, columns_mm = facts["spacing_mm"]
    return rows_mm * columns_mm / 100 / magnification**2


def settings_of(config: DensitometryConfig, thresholds: np.ndarray) -> Settings:
    return Settings(
        tuple(thresholds.tolist()),
        config.threshold_g_cm2,
        config.scale == "line",
        config.minimum_training_maps,
        CONFIDENCE,
        config.minimum_interval_patients,
        config.minimum_dxa_patients,
        config.plausible_area_cm2,
        config.plausible_bmd_g_cm2,
    )


def row_of(half: HalfXray, bmd: Bmd) -> dict:
    return {
        "patient_id": half.patient_id,
        "xray_id": half.xray_id,
        "side": half.side,
        "fold": half.fold,
        "predicted_bmd_g_cm2": bmd.value_g_cm2,
        "low_g_cm2": max(bmd.value_g_cm2 - bmd.half_width_g_cm2, 0.0),
        "high_g_cm2": bmd.value_g_cm2 + bmd.half_width_g_cm2,
        "map_bmd_g_cm2": bmd.map_g_cm2,
        "qct_abmd_g_cm2": half.qct_g_cm2,
        "dxa_bmd_g_cm2": half.dxa_g_cm2,
        "area_cm2": bmd.area_cm2,
        "dxa_equivalent_g_cm2": bmd.dxa_g_cm2,
        "dxa_low_g_cm2": max(bmd.dxa_g_cm2 - bmd.dxa_half_width_g_cm2, 0.0),
        "dxa_high_g_cm2": bmd.dxa_g_cm2 + bmd.dxa_half_width_g_cm2,
        "threshold_g_cm2": bmd.read_out.threshold_g_cm2,
        "slope": bmd.read_out.line.slope,
        "offset_g_cm2": bmd.read_out.line.offset_g_cm2,
        "verdict": bmd.verdict.value,
        "codes": " ".join(finding.code for finding in bmd.findings),
        "qct_calibration_level": half.qct_level,
    }


if __name__ == "__main__":
    main()
