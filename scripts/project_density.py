"""Project a patient's bone density onto each registered X-ray."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.projection import ProjectionConfig
from osteoray.errors.verdict import Finding
from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Side
from osteoray.imaging.partial_volume import bone_density
from osteoray.imaging.volume import Volume
from osteoray.projection.density_maps import DensityMap, density_map, magnification
from osteoray.store.arrays import write_arrays
from osteoray.store.manifest import read_manifest, recording
from osteoray.store.nifti import read_volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration", required=True, type=Path, help="manifest of calibration")
    parser.add_argument("--segmentation", required=True, type=Path, help="manifest of segmentation")
    parser.add_argument("--registration", required=True, type=Path, help="manifest of registration")
    parser.add_argument("--config", required=True, help="projection section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = ProjectionConfig.model_validate_json(args.config)
    upstream = [read_manifest(path) for path in (args.calibration, args.segmentation, args.registration)]
    calibration, segmentation, registration = upstream
    with recording("projection", registration.patient_id, args.output, *upstream) as manifest:
        if manifest.blocked_by:
            return
        qct = read_volume(calibration.file("qct"))
        bones = read_volume(segmentation.file("bones")).array
        proximal = read_volume(segmentation.file("proximal_femur")).array
        manifest.facts["xrays"] = {}
        for xray_id, facts in registration.facts["xrays"].items():
            maps = project(qct, bones, proximal, facts, config)
            for side in (s for s in Side if f"{s}_femur" in facts["camera_from_world"]):
                if f"proximal_femur_{side}" not in maps:
                    detail = "proximal femur: expected voxels, got none"
                    manifest.findings.append(Finding("SEG-LANDMARK", detail, xray_id, side.value))
            path = manifest.path.parent / f"{xray_id}.npz"
            write_arrays(path, maps)
            manifest.add_file(xray_id, path)
            manifest.facts["xrays"][xray_id] = {"maps": sorted(maps), "unit": "g/cm2", "shape": facts["shape"]}


def project(
    qct: Volume, bones: np.ndarray, proximal: np.ndarray, facts: dict, config: ProjectionConfig
) -> dict[str, np.ndarray]:
    """The maps of one X-ray by name."""
    poses = {name: np.array(pose) for name, pose in facts["camera_from_world"].items()}
    detector = Camera(np.array(facts["K"]), poses["pelvis"], tuple(facts["shape"]), tuple(facts["pitch_mm"]))

    def cast(density: Volume, body: str) -> DensityMap:
        options = {"supersample": config.supersample, "finest_pitch_mm": config.finest_pitch_mm}
        return density_map(density, detector.at(poses[body]), **options)

    bodies = [cast(bone_density(qct, bones, np.isin(bones, PELVIS)).density_mg_cm3, "pelvis")]
    maps = {}
    for side in Side:
        body = f"{side.value}_femur"
        if body in poses:
            mask, region = bones == FEMUR[side], proximal == PROXIMAL_FEMUR[side]
            femur = bone_density(qct, bones, mask)
            bodies.append(cast(femur.density_mg_cm3, body))
            if region.any():
                part = femur.of_part(mask, region)
                maps[f"proximal_femur_{side.value}"] = cast(part, body).areal_g_cm2
    bone = sum(part.areal_g_cm2 for part in bodies)
    return {"bone": bone, **maps, "magnification": magnification(bodies, detector.sid_mm)}


if __name__ == "__main__":
    main()
