"""True errors of a registered bone: in 3-D, in its image, by degree of freedom, and in its density map."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from osteoray.geometry.camera import Camera
from osteoray.geometry.rigid import angle_between_deg
from osteoray.imaging.volume import Volume
from osteoray.projection.density_maps import density_map
from osteoray.registration.articulated import Placed
from osteoray.registration.bone_models import BoneModel
from osteoray.registration.verdict import SD_PER_UNIT, Quality
from osteoray.simulation.scoring import target_errors_mm

MAP_PITCH_MM = 0.9


def bone_row(placed: Placed, score: Quality, model: BoneModel, camera: Camera, true: Camera) -> dict:
    """True errors and all scores of one bone.

    Args:
        placed: where it was found.
        score: its scores.
        model: the bone.
        camera: the X-ray's detector as it was assumed.
        true: the true camera of the bone.
    """
    found = camera.at(placed.camera_from_world)
    target_mm, projected_mm = errors_mm(model.landmarks_mm, found, true)
    off = placed.units - placed.space.units(true.camera_from_world)
    return {
        "target_mm": target_mm,
        "projected_mm": projected_mm,
        "rotation_deg": angle_between_deg(found.camera_from_world[:3, :3], true.camera_from_world[:3, :3]),
        "off": (off * SD_PER_UNIT).tolist(),
        "scores": asdict(score) | {"sd": score.sd.tolist()},
    }


def errors_mm(points_mm: np.ndarray, found: Camera, true: Camera) -> tuple[float, float]:
    """Mean target error in 3-D and mean projected error at the bone; only the pose counts, not the assumed detector."""
    target_mm, _ = target_errors_mm(points_mm, found, true)
    on_detector = (found.project(points_mm) - true.project(points_mm)) * np.asarray(true.pitch_mm)
    depth_mm = (points_mm @ true.camera_from_world[:3, :3].T + true.camera_from_world[:3, 3])[:, 2]
    return target_mm, float((np.linalg.norm(on_detector, axis=1) * depth_mm / true.sid_mm).mean())


def map_error_percent(part: Volume, found: Camera, true: Camera) -> float:
    """Change of a part's mean areal density by the pose."""
    means = []
    for camera in (found, true):
        areal = density_map(part, camera, finest_pitch_mm=MAP_PITCH_MM).areal_g_cm2
        means.append(float(areal[areal > 0].mean()) if (areal > 0).any() else np.nan)
    return 100 * (means[0] / means[1] - 1)
