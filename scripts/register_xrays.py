"""Register a patient's bones in each of the patient's X-rays."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from osteoray.config.registration import RegistrationConfig
from osteoray.errors.verdict import Finding
from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import Side
from osteoray.imaging.radiograph import Radiograph
from osteoray.ingest.xray_geometry import ASSUMED
from osteoray.radiography.search_renderer import PROCESSOR, GpuRenderer, SearchRenderer, gpu_problem
from osteoray.radiography.shear_warp import render
from osteoray.registration.bone_models import FEMUR_NAME, BoneModel, patient_models
from osteoray.registration.femur_pose import femur_pose
from osteoray.registration.lock_step import in_lock_step
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
        for side in (side for side in heads_mm if FEMUR_NAME[side] not in models):
            manifest.findings.append(Finding("SEG-BONE", "femur: expected bone to compare, got none", side=side.value))
        manifest.facts["xrays"], manifest.facts["refused"] = {}, {}
        for view, result in registered(views(ingest, models, femurs, config), config):
            record(manifest, view, result, config)


@dataclass(frozen=True, eq=False)
class View:
    """An X-ray with the bones that may be found in it, and how they are looked for."""

    xray_id: str
    radiograph: Radiograph
    camera: Camera
    models: dict[str, BoneModel]
    femurs: dict
    plan: Plan
    exposed: tuple[int, int, int, int] | None
    metal: tuple[tuple[int, int, int, int], ...]
    seed: tuple[int, int]

    def register(self, limits: Limits, renderer: SearchRenderer) -> Registration:
        """Find the bones."""
        where = self.xray_id, self.radiograph, self.camera, self.models, self.plan, limits
        rng = np.random.default_rng(self.seed)
        return register_xray(*where, rng, self.exposed, self.metal, renderer)


def views(ingest: Manifest, models: dict[str, BoneModel], femurs: dict, config: RegistrationConfig) -> Iterator[View]:
    """The X-rays that can be used, in order."""
    for number, (xray_id, facts) in enumerate(sorted(ingest.facts["xrays"].items())):
        if ingest.withholds(xray_id):
            continue
        usable = {side: femur for side, femur in femurs.items() if not ingest.withholds(xray_id, side)}
        source_patient_mm = facts["source_patient_mm"] or facts["sid_mm"] - config.object_detector_mm
        geometry = (facts["sid_mm"], tuple(facts["pitch_mm"]), tuple(facts["principal_point"]), tuple(facts["shape"]))
        yield View(
            xray_id=xray_id,
            radiograph=read_radiograph(ingest.file(f"xray_{xray_id}")),
            camera=start_camera(*geometry, source_patient_mm, models["pelvis"].centre_mm),
            models={name: model for name, model in models.items() if name not in unusable_names(usable)},
            femurs=usable,
            plan=plan_of(config, depth_range_mm(facts, config)),
            exposed=tuple(facts["field"]) if facts.get("field") else None,
            metal=tuple(tuple(box) for box in facts.get("metal", ())),
            seed=(config.seed, number),
        )


def limits_of(config: RegistrationConfig) -> Limits:
    """The limits of a configuration."""
    return Limits(**{field.name: getattr(config, field.name) for field in fields(Limits)})


def plan_of(config: RegistrationConfig, depth_range_mm: float) -> Plan:
    """The search as a configuration wants it, within a half width of the pelvis's depth in mm."""
    most, agreement_mm = config.most_searches, config.most_disagreement_mm
    return Plan(
        pixel_mm=config.pixel_mm,
        pelvis_ranges=unit_ranges(config.rotation_range_deg, config.lateral_range_mm, depth_range_mm),
        femur_ranges=unit_ranges(
            config.femur_rotation_range_deg, config.femur_shift_range_mm, config.femur_depth_range_mm
        ),
        pelvis_effort=Effort(config.population, config.generations, most, agreement_mm),
        femur_effort=Effort(config.population, config.femur_generations, most, agreement_mm),
    )


def unusable_names(femurs: dict) -> set[str]:
    """Names of the femurs that are not among the usable ones."""
    return {name for side, name in FEMUR_NAME.items() if side not in femurs}


def registered(views: Iterator[View], config: RegistrationConfig) -> Iterator[tuple[View, Registration]]:
    """Each X-ray with its registration: one after the other on the processor, all in lock-step on a GPU."""
    limits = limits_of(config)
    problem = gpu_problem() if config.device == "cuda" else None
    if problem:
        print(f"registration.device: expected a GPU for cuda, got {problem}. Set cpu; registering on the processor.")
    if config.device == "cpu" or problem:
        for view in views:
            yield view, view.register(limits, PROCESSOR)
        return
    together = list(views)
    results = in_lock_step(GpuRenderer(), [partial(view.register, limits) for view in together])
    for view, result in zip(together, results, strict=True):
        yield view, result.result()


def record(manifest: Manifest, view: View, result: Registration, config: RegistrationConfig) -> None:
    """Record poses, scores and warnings of one X-ray, and draw it; what is refused is drawn too, to be looked at."""
    manifest.findings += result.findings
    if result.refused:
        manifest.facts["refused"][view.xray_id] = result.refused_facts()
    if result.placed or result.refused:
        path = manifest.path.with_suffix("") / f"{view.xray_id}.png"
        draw(path, view.radiograph, view.camera, view.models, result)
        manifest.add_file(f"outlines_{view.xray_id}", path)
    if not result.placed:
        return
    camera = view.camera
    geometry = {"K": camera.K.tolist(), "shape": list(camera.shape), "pitch_mm": list(camera.pitch_mm)}
    entry = geometry | result.facts() | {"pose_deg": {}}
    for side, femur in view.femurs.items():
        if FEMUR_NAME[side] in result.placed:
            pose = result.placed[FEMUR_NAME[side]].camera_from_world
            axes = [np.array(femur[name], float) for name in ("shaft_axis", "head_centre_mm", "neck_centre_mm")]
            angles = femur_pose(pose, *axes, side)
            entry["pose_deg"][side.value] = vars(angles)
            manifest.findings += pose_findings(angles, limits_of(config), view.xray_id, side.value)
    manifest.facts["xrays"][view.xray_id] = entry


def depth_range_mm(facts: dict, config: RegistrationConfig) -> float:
    """How far in depth the pelvis is looked for: farther where a distance or the pixel size is not recorded."""
    is_assumed = ASSUMED in (facts["sources"]["sid_mm"], facts["sources"]["pitch_mm"])
    is_unknown = is_assumed or not facts["source_patient_mm"]
    return config.unknown_depth_range_mm if is_unknown else config.depth_range_mm


def draw(
    path: Path, radiograph: Radiograph, camera: Camera, models: dict[str, BoneModel], result: Registration
) -> None:
    """Write the picture of the outlines."""
    view = picture_camera(camera)
    silhouettes = {
        name: render(models[name].levels[-1], view.K, bone.camera_from_world[None], view.shape)[0] > OUTLINE_G_CM2
        for name, bone in (result.placed | result.refused).items()
    }
    with writing(path) as temporary:
        picture = registration_picture(radiograph, silhouettes, view.shape, frozenset(result.refused))
        picture.save(temporary, optimize=False)


if __name__ == "__main__":
    main()
