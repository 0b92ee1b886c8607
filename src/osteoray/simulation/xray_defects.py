"""What can be wrong with an X-ray: the patient's pose, the field, the exposure, the picture, the tags, the file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from osteoray.config.simulation import Defect
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.collimation import cropped_above_trochanters
from osteoray.simulation.exposure import Exposure
from osteoray.simulation.posing import PatientPose
from osteoray.simulation.xray_storage import inverted
from osteoray.simulation.xray_system import XrayImage
from osteoray.simulation.xray_view import XrayView

WRONG_POSE_DEG: dict[Defect, tuple[str, float]] = {
    "xray_flexed": ("flexion", 30.0),
    "xray_rotated": ("rotation", -35.0),
    "xray_abducted": ("abduction", 24.0),
}
"""Angle of both femurs, relative to the pose of the CT; rotation is internal."""
MOTION_MM = 4.0
"""Length of the way that the patient moves, at the detector."""
KEPT_OF_FILE = 0.6


def spoil_pose(pose: PatientPose, defects: Collection[Defect]) -> PatientPose:
    """The pose with both femurs flexed, rotated outwards or abducted; the other angles stay as drawn."""
    femur_deg = {side: dict(angles) for side, angles in pose.femur_deg.items()}
    for defect, (angle, value_deg) in WRONG_POSE_DEG.items():
        if defect in defects:
            for angles in femur_deg.values():
                angles[angle] = value_deg
    return replace(pose, femur_deg=femur_deg)


def spoil_exposure(
    exposure: Exposure,
    view: XrayView,
    femurs: dict[Side, FemurTruth],
    defects: Collection[Defect],
    rng: np.random.Generator,
) -> Exposure:
    """The exposure with a cropped field or a patient who moves.

    Args:
        exposure: as drawn.
        view: geometry.
        femurs: landmarks.
        defects: what goes wrong.
        rng: source of the direction of the motion.
    """
    if "xray_cropped" in defects:
        exposure = replace(exposure, collimator=cropped_above_trochanters(exposure.collimator, view, femurs))
    if "xray_motion" in defects:
        angle_rad = rng.uniform(0, np.pi)
        motion_mm = (float(MOTION_MM * np.sin(angle_rad)), float(MOTION_MM * np.cos(angle_rad)))
        exposure = replace(exposure, motion_mm=motion_mm)
    return exposure


def spoil_picture(image: XrayImage, defects: Collection[Defect]) -> XrayImage:
    """The picture mirrored or inverted, while all that is said about it stays."""
    stored = image.stored
    if "xray_flipped" in defects:
        stored = np.ascontiguousarray(stored[:, ::-1])
    if "xray_wrong_photometric" in defects:
        stored = inverted(stored, image.form)
    return replace(image, stored=stored)


def spoil_tags(dataset: Dataset, defects: Collection[Defect]) -> None:
    """Elements removed or made to contradict each other."""
    if "xray_one_hip" in defects:
        dataset.ImageLaterality = "L"
    if "xray_wrong_laterality" in defects:
        # The series says the right side, the image both.
        dataset.Laterality = "R"
    removed: list[str] = []
    if "xray_no_geometry" in defects:
        removed += ["DistanceSourceToDetector", "DistanceSourceToPatient", "EstimatedRadiographicMagnificationFactor"]
    if "xray_no_pitch" in defects:
        removed += ["ImagerPixelSpacing", "PixelSpacing"]
    for keyword in removed:
        if keyword in dataset:
            delattr(dataset, keyword)


def spoil_file(path: Path, defects: Collection[Defect]) -> None:
    """The file cut off in the middle of its pixels."""
    if "xray_unreadable" in defects:
        content = path.read_bytes()
        path.write_bytes(content[: int(KEPT_OF_FILE * len(content))])
