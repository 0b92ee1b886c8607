"""Measure the areal and volumetric density of a patient's hip regions in the QCT."""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from osteoray.config.qct import QctConfig
from osteoray.densitometry.qct import LEAST_MM3, measure_regions
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, HIP_REGION, PROXIMAL_FEMUR, HipRegion, Side
from osteoray.store.manifest import Manifest, read_json, read_manifest, recording
from osteoray.store.nifti import read_volume


def masks_of(side: Side, proximal: np.ndarray, hip: np.ndarray | None) -> dict[str, np.ndarray]:
    """Regions of a side by name: the proximal femur, and DXA's regions as far as segmentation found them."""
    masks = {"proximal_femur": proximal == PROXIMAL_FEMUR[side]}
    if hip is not None:
        parts = {str(region): hip == HIP_REGION[side, region] for region in HipRegion}
        masks |= {"total_hip": np.logical_or.reduce(list(parts.values())), **parts}
    return masks


def measure(calibration: Manifest, segmentation: Manifest, config: QctConfig, manifest: Manifest) -> None:
    """Measure every side that has a proximal femur; withhold what is implausible."""
    qct = read_volume(calibration.file("qct"), np.float32)
    bones, proximal = (read_volume(segmentation.file(name)).array for name in ("bones", "proximal_femur"))
    hip = read_volume(segmentation.file("regions")).array if "regions" in segmentation.files else None
    femurs = read_json(segmentation.file("femur"))
    low, high = config.min_abmd_g_cm2, config.max_abmd_g_cm2
    codes = {side: [f.code for f in segmentation.findings if f.side in (None, side)] for side in map(str, Side)}
    manifest.facts |= {"codes": codes, "calibration_level": calibration.facts["level"], "regions": {}}
    for side, femur in femurs.items():
        masks = masks_of(Side(side), proximal, hip)
        # A region that was handed in may reach beyond the femur's label.
        bone = np.logical_or.reduce([bones == FEMUR[Side(side)], *masks.values()])
        axes = (np.array(femur["neck_axis"]), np.array(femur["shaft_axis"]))
        view = {"voxel_mm": config.voxel_mm, "focus_mm": config.focus_mm}
        found = measure_regions(qct, bones, bone, masks, *axes, **view) if any(m.any() for m in masks.values()) else {}
        if "proximal_femur" not in found:
            volume_cm3 = np.count_nonzero(masks["proximal_femur"]) * qct.grid.voxel_mm3 / 1000
            detail = f"proximal femur: expected {LEAST_MM3 / 1000:g} cm3 or more, got {volume_cm3:.1f}"
            manifest.findings.append(Finding("SEG-LANDMARK", detail, side=side))
            codes[side].append("SEG-LANDMARK")
            continue
        areal_g_cm2 = found["proximal_femur"].abmd_g_cm2
        if not low <= areal_g_cm2 <= high:
            detail = f"areal density: expected {low:g} to {high:g} g/cm2, got {areal_g_cm2:.3f}"
            manifest.findings.append(Finding("QCT-RANGE", detail, side=side))
            codes[side].append("QCT-RANGE")
            continue
        manifest.facts[side] = asdict(found["proximal_femur"])
        manifest.facts["regions"][side] = {
            name: asdict(value) if low <= value.abmd_g_cm2 <= high else {"code": "QCT-RANGE"}
            for name, value in found.items()
        }


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
