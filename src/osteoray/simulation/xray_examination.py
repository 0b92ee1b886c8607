"""A virtual patient's X-rays with their truth, and what goes wrong with the first one on demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from osteoray.config.simulation import Defect, SimulationConfig
from osteoray.imaging.bones import Side
from osteoray.simulation.body import Body
from osteoray.simulation.defects import defects_of
from osteoray.simulation.enrolment import VirtualPatient, VirtualXray, generator
from osteoray.simulation.exposure import Exposure, draw_exposure
from osteoray.simulation.fracture import broken_body
from osteoray.simulation.implant import IMPLANT_SIDE, hip_replacement, replace_hip
from osteoray.simulation.parts import BodyParts, take_apart
from osteoray.simulation.posing import draw_pose
from osteoray.simulation.truth import camera_facts
from osteoray.simulation.xray_defects import spoil_exposure, spoil_picture, spoil_pose
from osteoray.simulation.xray_storage import PixelFormat
from osteoray.simulation.xray_system import XrayImage, take_xray
from osteoray.simulation.xray_view import XrayView, draw_view, project_body


@dataclass(frozen=True, eq=False)
class XrayExamination:
    """An X-ray with its truth.

    Attributes:
        maps_g_cm2: true areal density on the detector, by name.
        defects: what is wrong with this X-ray.
    """

    view: XrayView
    exposure: Exposure
    image: XrayImage
    maps_g_cm2: dict[str, Float32[np.ndarray, "rows columns"]]
    defects: frozenset[Defect]


def is_altered(config: SimulationConfig, patient: VirtualPatient) -> bool:
    """Whether the patient has an implant or a fracture by the time of the X-rays."""
    return bool({"implant_ct", "implant_xray", "fracture_ct"} & defects_of(config, patient.patient_id))


def altered_parts(config: SimulationConfig, patient: VirtualPatient, body: Body) -> BodyParts:
    """The body with its implant or fracture, taken apart, as the X-rays of a patient who `is_altered` meet it.

    A broken femur moves in one piece, as a splinted one does.

    Args:
        config: of the cohort.
        patient: who.
        body: the patient, without either.
    """
    if "fracture_ct" in defects_of(config, patient.patient_id):
        return take_apart(broken_body(config, patient, body)[0], config.ct.kvp)
    metal = hip_replacement(body.femurs[IMPLANT_SIDE], IMPLANT_SIDE, body.grid)
    return take_apart(replace_hip(body, IMPLANT_SIDE), config.ct.kvp, metal)


def xray_defects(config: SimulationConfig, patient: VirtualPatient, xray: VirtualXray) -> frozenset[Defect]:
    """What is wrong with an X-ray: the patient's first one has all that the configuration asks for, the others only
    what the patient carries in himself."""
    asked = defects_of(config, patient.patient_id)
    is_first = xray.xray_id == patient.xrays[0].xray_id
    return frozenset(d for d in asked if d.startswith(("implant", "fracture")) or (is_first and d.startswith("xray_")))


def examine_xray(
    config: SimulationConfig, patient: VirtualPatient, body: Body, parts: BodyParts, xray: VirtualXray
) -> XrayExamination:
    """Take one X-ray of the patient.

    Args:
        config: of the cohort.
        patient: who.
        body: the patient, without implant or fracture.
        parts: the body taken apart, or `altered_parts` of a patient who `is_altered`.
        xray: which one.
    """
    rng = generator(config.seed, patient.index, "xrays", int(xray.xray_id[1:]))
    system, defects = config.xray, xray_defects(config, patient, xray)
    pose = spoil_pose(draw_pose(xray.pose, rng), defects)
    view = draw_view(body, pose, (system.rows, system.columns), system.pitch_mm, (system.sid_mm, system.sid_sd_mm), rng)
    exposure = draw_exposure(system, view, body.femurs, rng)
    exposure = spoil_exposure(exposure, view, body.femurs, defects, rng)
    areal_g_cm2, maps_g_cm2 = project_body(parts, view, body, system.soft_tissue_mm)
    form = PixelFormat(system.modality, system.storage, system.vendor, system.photometric)
    image = take_xray(areal_g_cm2, view.camera, view.source_patient_mm, exposure, form, rng)
    return XrayExamination(view, exposure, spoil_picture(image, defects), maps_g_cm2, defects)


def xray_facts(examination: XrayExamination) -> dict:
    """An X-ray's truth as JSON values.

    Camera, maps and field are those of the picture before it was mirrored: where `is_mirrored`, column c of the truth
    is column `columns - 1 - c` of the file.
    """
    view, exposure, image = examination.view, examination.exposure, examination.image
    poses = {"pelvis": view.pelvis.camera_from_world}
    poses |= {f"{side}_femur": view.femur(side).camera_from_world for side in Side}
    return camera_facts(view.camera, poses) | {
        "pose": view.pose.name,
        "pose_deg": {str(side): angles for side, angles in view.pose.femur_deg.items()},
        "pelvis_tilt_deg": view.pose.tilt_deg,
        "sid_mm": view.camera.sid_mm,
        "source_patient_mm": view.source_patient_mm,
        "kvp": exposure.kvp,
        "mas": image.mas,
        "exposure_index": image.exposure_index,
        "scatter_ratio": exposure.scatter_ratio,
        "aec_factor": exposure.aec_factor,
        "focal_spot_mm": exposure.focal_spot_mm,
        "shading_per_100_mm": list(exposure.shading),
        "motion_mm": list(exposure.motion_mm),
        "field_corners": exposure.collimator.corners().tolist(),
        "marker": exposure.marker.letter,
        "marker_text": exposure.marker.text,
        "storage": image.form.storage,
        "defects": sorted(examination.defects),
        "is_mirrored": "xray_flipped" in examination.defects,
        "is_inverted": "xray_wrong_photometric" in examination.defects,
        "has_metal": any(defect.startswith("implant") for defect in examination.defects),
    }
