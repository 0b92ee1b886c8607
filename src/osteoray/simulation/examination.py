"""A virtual patient's examinations: the CT with the phantom, and each X-ray, with their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from osteoray.config.simulation import SimulationConfig
from osteoray.imaging.bones import Side
from osteoray.simulation.body import Body
from osteoray.simulation.enrolment import VirtualPatient, VirtualXray, generator
from osteoray.simulation.parts import BodyParts
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.posing import draw_pose
from osteoray.simulation.scanner import CtScan, Scan, ct_grid, draw_scan, scan_body
from osteoray.simulation.truth import camera_facts, femur_facts, grid_facts, neutral_density
from osteoray.simulation.xray_system import Exposure, XrayImage, draw_exposure, take_xray
from osteoray.simulation.xray_view import XrayView, areal_density_maps, areal_masses, draw_view


@dataclass(frozen=True, eq=False)
class XrayExamination:
    """An X-ray with its truth.

    Attributes:
        maps_g_cm2: true areal density on the detector, by name.
    """

    view: XrayView
    exposure: Exposure
    image: XrayImage
    maps_g_cm2: dict[str, Float32[np.ndarray, "rows columns"]]


def examine_ct(
    config: SimulationConfig, patient: VirtualPatient, body: Body, design: PhantomDesign
) -> tuple[Scan, CtScan]:
    """Scan the patient over the phantom."""
    rng = generator(config.seed, patient.index, "ct")
    scan = draw_scan(body, design, config.ct.noise_hu, rng)
    grid = ct_grid(body, scan, config.ct.matrix, config.ct.pixel_mm, config.ct.slice_mm, config.ct.extent_mm)
    return scan, scan_body(body, scan, design, grid, rng)


def examine_xray(
    config: SimulationConfig, patient: VirtualPatient, body: Body, parts: BodyParts, xray: VirtualXray
) -> XrayExamination:
    """Take one X-ray of the patient."""
    rng = generator(config.seed, patient.index, "xrays", int(xray.xray_id[1:]))
    system = config.xray
    pose = draw_pose(xray.pose, rng)
    view = draw_view(body, pose, (system.rows, system.columns), system.pitch_mm, (system.sid_mm, system.sid_sd_mm), rng)
    exposure = draw_exposure(system.kvp, rng)
    areal_g_cm2 = areal_masses(parts, view, body, system.soft_tissue_mm)
    image = take_xray(areal_g_cm2, system.pitch_mm, view.camera.sid_mm, exposure, rng)
    return XrayExamination(view, exposure, image, areal_density_maps(parts, view))


def ct_facts(scan: Scan, ct: CtScan, design: PhantomDesign) -> dict:
    """The CT's truth as JSON values."""
    return {
        "grid": grid_facts(ct.grid),
        "slope_mg_cm3_per_hu": ct.slope_mg_cm3_per_hu,
        "intercept_mg_cm3": ct.intercept_mg_cm3,
        "noise_hu": scan.noise_hu,
        "cupping_hu": scan.cupping_hu,
        "blur_mm": scan.blur_mm,
        "rods": [
            {"density_mg_cm3": density, "centre_mm": centres.mean(axis=0).tolist(), "path_mm": centres[::10].tolist()}
            for (density, _), centres in zip(design.rods, ct.rods_mm, strict=True)
        ],
    }


def xray_facts(examination: XrayExamination) -> dict:
    """An X-ray's truth as JSON values."""
    view, exposure = examination.view, examination.exposure
    poses = {"pelvis": view.pelvis.camera_from_world}
    poses |= {f"{side}_femur": view.femur(side).camera_from_world for side in Side}
    return camera_facts(view.camera, poses) | {
        "pose": view.pose.name,
        "pose_deg": {str(side): angles for side, angles in view.pose.femur_deg.items()},
        "pelvis_tilt_deg": view.pose.tilt_deg,
        "sid_mm": view.camera.sid_mm,
        "source_patient_mm": view.source_patient_mm,
        "kvp": exposure.kvp,
        "mas": examination.image.mas,
        "scatter_ratio": exposure.scatter_ratio,
        "aec_factor": exposure.aec_factor,
    }


def femur_truth(body: Body, parts: BodyParts) -> tuple[dict, dict]:
    """Landmarks and densities of both femurs as JSON values."""
    landmarks = {str(side): femur_facts(femur) for side, femur in body.femurs.items()}
    density = {str(side): neutral_density(body.femurs[side], parts.proximal_density[side]) for side in body.femurs}
    return landmarks, density
