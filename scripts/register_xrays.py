"""Register a patient's bones in each of the patient's X-rays."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import Side
from osteoray.imaging.radiograph import Radiograph
from osteoray.ingest.xray_geometry import ASSUMED
from osteoray.radiography.shear_warp import render
from osteoray.registration.bone_models import FEMUR_NAME, BoneModel, patient_models
from osteoray.registration.femur_pose import femur_pose
from osteoray.registration.parametrisation import unit_ranges
from osteoray.registration.search import Effort
from osteoray.registration.verdict import Limits, pose_findings
from osteoray.registration.xray import Plan, Registration, register_xray, start_camera
from osteoray.report.registration_picture import picture_camera, registration_picture
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_json, read_manifest, recording
from osteoray.store.nifti import read_radiograph, read_volume

MODEL_OPTIONS = ("soft_tissue_mg_cm3", "dilation_voxels", "pelvis_rim_mm")
OUTLINE_G_CM2 = 0.06
"""Areal density of the smoothed model at which a bone's outline is drawn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--calibration", required=True, type=Path, help="manifest of calibration")
    parser.add_argument("--segmentation", required=True, type=Path, help="manifest of segmentation")
    parser.add_argument("--config", required=True, help="registration section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = RegistrationConfig.model_validate_json(args.config)
    upstream = [read_manifest(path) for path in (args.ingest, args.calibration, args.segmentation)]
    ingest, calibration, segmentation = upstream
    with recording("registration", ingest.patient_id, args.output, *upstream) as manifest:
        if manifest.blocked_by:
            return
        femurs = read_json(segmentation.file("femur"))
        femurs = {side: femurs[side] for side in Side if side in femurs and not segmentation.withholds(side=side)}
        qct, bones = read_volume(calibration.file("qct")), read_volume(segmentation.file("bones"))
        heads_mm = {side: np.array(femur["head_centre_mm"], float) for side, femur in femurs.items()}
        options = {name: getattr(config, name) for name in MODEL_OPTIONS}
        models = patient_models(qct, bones, heads_mm, config.voxel_mm, **options)
        manifest.facts["xrays"] = {}
        for number, (xray_id, facts) in enumerate(sorted(ingest.facts["xrays"].items())):
            if not ingest.withholds(xray_id):
                radiograph = read_radiograph(ingest.file(f"xray_{xray_id}"))
                rng = np.random.default_rng([config.seed, number])
                usable = {side: femur for side, femur in femurs.items() if not ingest.withholds(xray_id, side)}
                shown = {name: model for name, model in models.items() if name not in unusable_names(usable)}
                register_one(manifest, xray_id, radiograph, facts, shown, usable, config, rng)


def unusable_names(femurs: dict) -> set[str]:
    """Names of the femurs that are not among the usable ones."""
    return {name for side, name in FEMUR_NAME.items() if side not in femurs}


def register_one(
    manifest: Manifest,
    xray_id: str,
    radiograph: Radiograph,
    facts: dict,
    models: dict[str, BoneModel],
    femurs: dict,
    config: RegistrationConfig,
    rng: np.random.Generator,
) -> None:
    """Register one X-ray and record poses, scores, warnings and the picture."""
    source_patient_mm = facts["source_patient_mm"] or facts["sid_mm"] - config.object_detector_mm
    geometry = (facts["sid_mm"], tuple(facts["pitch_mm"]), tuple(facts["principal_point"]), tuple(facts["shape"]))
    camera = start_camera(*geometry, source_patient_mm, models["pelvis"].centre_mm)
    limits = Limits(**{name: getattr(config, name) for name in Limits.__dataclass_fields__})
    exposed = tuple(facts["field"]) if facts.get("field") else None
    metal = tuple(tuple(box) for box in facts.get("metal", ()))
    search = plan(config, depth_range_mm(facts, config))
    result = register_xray(xray_id, radiograph, camera, models, search, limits, rng, exposed, metal)
    manifest.findings += result.findings
    if not result.placed:
        return
    geometry_facts = {"K": camera.K.tolist(), "shape": list(camera.shape), "pitch_mm": list(camera.pitch_mm)}
    entry = geometry_facts | result.facts() | {"pose_deg": {}}
    for side, femur in femurs.items():
        if FEMUR_NAME[side] in result.placed:
            pose = result.placed[FEMUR_NAME[side]].camera_from_world
            axes = [np.array(femur[name], float) for name in ("shaft_axis", "head_centre_mm", "neck_centre_mm")]
            angles = femur_pose(pose, *axes, side)
            entry["pose_deg"][side.value] = vars(angles)
            manifest.findings += pose_findings(angles, limits, xray_id, side.value)
    manifest.facts["xrays"][xray_id] = entry
    path = manifest.path.with_suffix("") / f"{xray_id}.png"
    draw(path, radiograph, camera, models, result)
    manifest.add_file(f"outlines_{xray_id}", path)


def depth_range_mm(facts: dict, config: RegistrationConfig) -> float:
    """How far in depth the pelvis is looked for: farther where a distance or the pixel size is not recorded."""
    is_assumed = ASSUMED in (facts["sources"]["sid_mm"], facts["sources"]["pitch_mm"])
    is_unknown = is_assumed or not facts["source_patient_mm"]
    return config.unknown_depth_range_mm if is_unknown else config.depth_range_mm


def plan(config: RegistrationConfig, depth_range_mm: float) -> Plan:
    """The search as the configuration wants it, within a range of depths of the pelvis."""
    most, agreement_mm = config.most_searches, config.most_disagreement_mm
    return Plan(
        config.pixel_mm,
        unit_ranges(config.rotation_range_deg, config.lateral_range_mm, depth_range_mm),
        unit_ranges(config.femur_rotation_range_deg, config.femur_shift_range_mm, config.femur_depth_range_mm),
        Effort(config.population, config.generations, most, agreement_mm),
        Effort(config.population, config.femur_generations, most, agreement_mm),
    )


def draw(
    path: Path, radiograph: Radiograph, camera: Camera, models: dict[str, BoneModel], result: Registration
) -> None:
    """Write the picture of the outlines."""
    view = picture_camera(camera)
    silhouettes = {
        name: render(models[name].levels[-1], view.K, bone.camera_from_world[None], view.shape)[0] > OUTLINE_G_CM2
        for name, bone in result.placed.items()
    }
    with writing(path) as temporary:
        registration_picture(radiograph, silhouettes, view.shape).save(temporary, optimize=False)


if __name__ == "__main__":
    main()
