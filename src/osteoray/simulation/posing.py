"""How a patient is placed for an X-ray: pelvis tilt, and each femur turned about the centre of its head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.bones import Side

POSE_MEAN_SD_DEG: dict[str, dict[str, tuple[float, float]]] = {
    "standing": {"tilt": (5, 4), "abduction": (0, 2.5), "flexion": (0, 3), "rotation": (-4, 6)},
    "supine": {"tilt": (0, 3), "abduction": (2, 2.5), "flexion": (2, 3), "rotation": (6, 5)},
    "rest": {"tilt": (-1, 3), "abduction": (5, 3), "flexion": (5, 4), "rotation": (-12, 5)},
    "abduction": {"tilt": (0, 3), "abduction": (17, 3), "flexion": (2, 3), "rotation": (0, 5)},
    "adduction": {"tilt": (0, 3), "abduction": (-12, 3), "flexion": (3, 3), "rotation": (0, 5)},
}
"""Angles relative to the pose of the CT; tilt is posterior, rotation internal."""

LIMIT_DEG = {"tilt": 15.0, "abduction": 22.0, "flexion": 15.0, "rotation": 25.0}

_LATERAL = {Side.LEFT: 1.0, Side.RIGHT: -1.0}


@dataclass(frozen=True)
class PatientPose:
    """Placement of the patient for an X-ray; angles in degrees relative to the pose of the CT.

    Attributes:
        tilt_deg: pelvis, posterior positive.
        femur_deg: flexion, abduction and (internal) rotation per side.
        turn_deg: whole patient about the long axis, left side forward positive.
        lean_deg: whole patient in the image plane.
    """

    name: str
    tilt_deg: float
    femur_deg: dict[Side, dict[str, float]]
    turn_deg: float
    lean_deg: float


@dataclass(frozen=True, eq=False)
class PosedBones:
    """Rigid motion of every bone: posed world from the world of the CT."""

    pelvis: Float[np.ndarray, "4 4"]
    femur: dict[Side, Float[np.ndarray, "4 4"]]
    whole: Float[np.ndarray, "4 4"]


def draw_pose(name: str, rng: np.random.Generator) -> PatientPose:
    """Draw the angles of a pose.

    Args:
        name: key of `POSE_MEAN_SD_DEG`.
        rng: source of randomness.
    """
    table = POSE_MEAN_SD_DEG[name]

    def draw(angle: str) -> float:
        return float(np.clip(rng.normal(*table[angle]), -LIMIT_DEG[angle], LIMIT_DEG[angle]))

    return PatientPose(
        name=name,
        tilt_deg=draw("tilt"),
        femur_deg={side: {angle: draw(angle) for angle in ("flexion", "abduction", "rotation")} for side in Side},
        turn_deg=float(np.clip(rng.normal(0, 2), -5, 5)),
        lean_deg=float(np.clip(rng.normal(0, 1.5), -4, 4)),
    )


def femur_rotation(side: Side, angles_deg: dict[str, float]) -> Float[np.ndarray, "3 3"]:
    """Rotation of a femur: internal rotation first, then flexion, then abduction, about fixed LPS axes."""
    angles_rad = {name: np.radians(angle) for name, angle in angles_deg.items()}
    lateral = _LATERAL[side]
    rotation = rotation_from_vector(np.array([0.0, 0.0, -lateral * angles_rad["rotation"]]))
    flexion = rotation_from_vector(np.array([-angles_rad["flexion"], 0.0, 0.0]))
    abduction = rotation_from_vector(np.array([0.0, -lateral * angles_rad["abduction"], 0.0]))
    return abduction @ flexion @ rotation


def pose_bones(pose: PatientPose, head_centre_mm: dict[Side, Float[np.ndarray, 3]]) -> PosedBones:
    """Motion of pelvis and femurs; the hip joints stay where the pelvis carries them.

    Args:
        pose: drawn angles.
        head_centre_mm: femoral heads in the pose of the CT.
    """
    hips_mm = np.mean(list(head_centre_mm.values()), axis=0)
    tilt = rotation_about(hips_mm, rotation_from_vector(np.radians([-pose.tilt_deg, 0.0, 0.0])))
    turn = rotation_from_vector(np.radians([0.0, 0.0, pose.turn_deg]))
    whole = rotation_about(hips_mm, rotation_from_vector(np.radians([0.0, pose.lean_deg, 0.0])) @ turn)
    femur = {}
    for side, centre_mm in head_centre_mm.items():
        motion = rotation_about(centre_mm, femur_rotation(side, pose.femur_deg[side]))
        motion[:3, 3] += apply_affine(tilt, centre_mm) - centre_mm
        femur[side] = whole @ motion
    return PosedBones(whole @ tilt, femur, whole)
