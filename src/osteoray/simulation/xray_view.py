"""One X-ray view of a virtual patient: where focus, detector and bones are, and what lies along every ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.imaging.bones import Side
from osteoray.imaging.resampling import resize_image
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.simulation.body import Body
from osteoray.simulation.parts import METAL, BodyParts
from osteoray.simulation.posing import PatientPose, PosedBones, pose_bones
from osteoray.simulation.raycast import cast, cast_volume
from osteoray.simulation.soft_posing import pose_soft_tissue

SKIN_TO_DETECTOR_MM = {"standing": (35.0, 60.0), "lying": (55.0, 80.0)}
"""Wall stand, or table with bucky."""
CENTRE_ABOVE_HIPS_MM = 12.0
"""The beam is centred this far above the hip joints."""
SOFT_TISSUE_PIXEL_MM = 1.5
"""Soft tissue is cast on detector pixels of about this size; it has no finer detail."""


@dataclass(frozen=True, eq=False)
class XrayView:
    """Geometry of one X-ray.

    Attributes:
        camera: the system; its pose is that of the unmoved patient's world.
        pose: how the patient was placed.
        posed: motion of the bones.
        source_patient_mm: from the focus to the middle of the patient.
    """

    camera: Camera
    pose: PatientPose
    posed: PosedBones
    source_patient_mm: float

    @property
    def pelvis(self) -> Camera:
        """Camera that sees the pelvis, from the world of the CT."""
        return self.camera.at(self.camera.camera_from_world @ self.posed.pelvis)

    def femur(self, side: Side) -> Camera:
        """Camera that sees a femur, from the world of the CT."""
        return self.camera.at(self.camera.camera_from_world @ self.posed.femur[side])


def draw_view(
    body: Body,
    pose: PatientPose,
    shape: tuple[int, int],
    pitch_mm: float,
    sid_mm_mean_sd: tuple[float, float],
    rng: np.random.Generator,
) -> XrayView:
    """Draw where the X-ray system stands.

    Args:
        body: the patient.
        pose: how the patient is placed.
        shape: detector rows and columns.
        pitch_mm: detector pixel size.
        sid_mm_mean_sd: distance from focus to detector, mean and standard deviation over X-rays.
        rng: source of randomness.
    """
    heads_mm = {side: femur.head_centre_mm for side, femur in body.femurs.items()}
    hips_mm = np.mean(list(heads_mm.values()), axis=0)
    front_mm, back_mm = _skin_at(body, hips_mm)
    sid_mm = float(round(rng.normal(*sid_mm_mean_sd)))
    gap_mm = rng.uniform(*SKIN_TO_DETECTOR_MM["standing" if pose.name == "standing" else "lying"])
    middle_y_mm = (front_mm + back_mm) / 2
    source_patient_mm = sid_mm - gap_mm - (back_mm - front_mm) / 2
    offset_mm = np.clip(rng.normal(0, 7, 2), -15, 15)
    isocentre_mm = np.array([hips_mm[0] + offset_mm[0], middle_y_mm, hips_mm[2] + CENTRE_ABOVE_HIPS_MM + offset_mm[1]])
    camera = Camera.from_geometry(
        sid_mm,
        (pitch_mm, pitch_mm),
        ((shape[0] - 1) / 2, (shape[1] - 1) / 2),
        shape,
        ap_camera_from_world(isocentre_mm, source_patient_mm),
    )
    return XrayView(camera, pose, pose_bones(pose, heads_mm), source_patient_mm)


def project_body(
    parts: BodyParts, view: XrayView, body: Body, soft_tissue_mm: float
) -> tuple[Float32[np.ndarray, "rows columns materials"], dict[str, Float32[np.ndarray, "rows columns"]]]:
    """What lies along every ray, and the true maps of the X-ray.

    Args:
        parts: the body taken apart.
        view: geometry of the X-ray.
        body: the patient, for the hip joints.
        soft_tissue_mm: voxel size at which soft tissue is placed.

    Returns:
        Adipose, lean, hydroxyapatite and, where there is any, metal along the rays in g/cm². Maps in g/cm²: `bone`,
        `proximal_femur_left`, `proximal_femur_right`: hydroxyapatite along the ray inside the labels; the same names
        with `_qct`: what an ideal calibrated CT would read there.
    """
    metals = [rays.count - METAL for rays in parts.femur_rays.values()]
    areal_g_cm2 = np.zeros((*view.camera.shape, 3 + max(metals)), np.float32)
    areal_g_cm2[..., :2] = _soft_tissue(parts, view, body, soft_tissue_mm)
    trunk = cast_volume(parts.trunk_rays, view.pelvis)
    areal_g_cm2[..., :3] += trunk[..., :3]
    total = trunk[..., 3:5]
    maps = {}
    for side in Side:
        femur = cast_volume(parts.femur_rays[side], view.femur(side))
        areal_g_cm2[..., :3] += femur[..., :3]
        areal_g_cm2[..., 3:] += femur[..., METAL:]
        total += femur[..., 3:5]
        for name, channel in (("", 5), ("_qct", 6)):
            maps[f"proximal_femur_{side}{name}"] = femur[..., channel] * np.float32(AREAL_G_CM2_FROM_MG_CM3_MM)
    areal_g_cm2 /= 10.0  # g/cm³ mm to g/cm²
    for name, channel in (("bone", 0), ("bone_qct", 1)):
        maps[name] = total[..., channel] * np.float32(AREAL_G_CM2_FROM_MG_CM3_MM)
    return areal_g_cm2, maps


def _soft_tissue(
    parts: BodyParts, view: XrayView, body: Body, soft_tissue_mm: float
) -> Float32[np.ndarray, "rows columns 2"]:
    """Adipose and lean tissue along the rays in g/cm³ mm; coarse, for it has no fine detail."""
    heads_mm = {side: femur.head_centre_mm for side, femur in body.femurs.items()}
    soft, grid = pose_soft_tissue(parts.soft.channels, parts.soft.grid, view.posed, heads_mm, soft_tissue_mm)
    camera = view.camera.at(view.camera.camera_from_world @ view.posed.whole)
    binning = max(1, round(SOFT_TISSUE_PIXEL_MM / camera.pitch_mm[0]))
    coarse = camera.resized((max(1, camera.shape[0] // binning), max(1, camera.shape[1] // binning)))
    image = cast(soft, grid, coarse)
    # Rays meet values linear between voxels, which shows as a comb of creases along the skin; averaged over the
    # shadow of a voxel they are as smooth as quadratic splines. A box of width 1 has the standard deviation 12^-1/2.
    magnification = camera.sid_mm / view.source_patient_mm
    shadow_px = soft_tissue_mm * magnification / np.array(coarse.pitch_mm)
    image = ndimage.gaussian_filter(image, (*(shadow_px / np.sqrt(12.0)), 0.0), mode="nearest", truncate=3.0)
    return np.stack([resize_image(image[..., channel], camera.shape) for channel in range(2)], axis=-1)


def _skin_at(body: Body, point_mm: Float[np.ndarray, 3]) -> tuple[float, float]:
    """Anterior and posterior skin (y) in the axial slice of a point, within 100 mm of it sideways."""
    k, _, i = (body.grid.index_from_world @ np.append(point_mm, 1.0))[:3]
    reach = int(100.0 / body.grid.spacing_mm[2])
    columns = slice(max(int(i) - reach, 0), int(i) + reach)
    inside = (body.adipose_g_cm3[int(k), :, columns] + body.lean_g_cm3[int(k), :, columns] > 0.3).any(axis=1)
    rows = np.flatnonzero(inside)
    y_mm = body.grid.world_from_index[1, 3] + body.grid.spacing_mm[1] * rows
    return float(y_mm[0]), float(y_mm[-1])
