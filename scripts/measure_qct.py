"""Measure the areal and volumetric density of a patient's proximal femurs in the QCT."""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from osteoray.config.qct import QctConfig
from osteoray.densitometry.qct import measure_region
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import PROXIMAL_FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.store.manifest import Manifest, read_json, read_manifest, recording
from osteoray.store.nifti import read_volume


def measure(calibration: Manifest, segmentation: Manifest, config: QctConfig, manifest: Manifest) -> None:
    """Measure every side that has a proximal femur; withhold what is implausible."""
    qct = read_volume(calibration.file("qct"), np.float32)
    region = read_volume(segmentation.file("proximal_femur"))
    femurs = read_json(segmentation.file("femur"))
    codes = {side: [f.code for f in segmentation.findings if f.side in (None, side)] for side in map(str, Side)}
    for side, femur in femurs.items():
        mask = Volume(region.array == PROXIMAL_FEMUR[Side(side)], region.grid)
        if not mask.array.any():
            manifest.findings.append(Finding("SEG-LANDMARK", "the proximal femur is empty", side=side))
            codes[side].append("SEG-LANDMARK")
            continue
        axes = (np.array(femur["neck_axis"]), np.array(femur["shaft_axis"]))
        found = measure_region(qct, mask, *axes, config.voxel_mm)
        low, high = config.min_abmd_g_cm2, config.max_abmd_g_cm2
        if not low <= found.abmd_g_cm2 <= high:
            detail = f"areal density: expected {low:g} to {high:g} g/cm2, got {found.abmd_g_cm2:.3f}"
            manifest.findings.append(Finding("QCT-RANGE", detail, side=side))
            codes[side].append("QCT-RANGE")
            continue
        manifest.facts[side] = asdict(found)
    manifest.facts |= {"codes": codes, "calibration_level": calibration.facts["level"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration", required=True, type=Path, help="manifest of calibration")
    parser.add_argument("--segmentation", required=True, type=Path, help="manifest of segmentation")
    parser.add_argument("--config", required=True, help="qct section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = QctConfig.model_validate_json(args.config)
    calibration, segmentation = read_manifest(args.calibration), read_manifest(args.segmentation)
    with recording("densitometry", calibration.patient_id, args.output, calibration, segmentation) as manifest:
        if not manifest.blocked_by:
            measure(calibration, segmentation, config, manifest)


if __name__ == "__main__":
    main()
