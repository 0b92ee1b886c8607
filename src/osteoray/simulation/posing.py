"""How a patient is placed for an X-ray: pelvis tilt, and each femur turned about the centre of its head.

Bones move rigidly. Soft tissue follows the pelvis above the groin and the femur below it, with a smooth blend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid, rotation_about, rotation_from_vector
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

GROIN_SLOPE = 0.75
"""The groin's plane falls this much per millimetre towards the midline."""
GROIN_BLEND_MM = (-45.0, 45.0)
"""Soft tissue follows the pelvis above and the femur below this range of distances below the groin's plane."""

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


def pose_soft_tissue(
    channels: Float[np.ndarray, "k j i channels"],
    grid: VoxelGrid,
    posed: PosedBones,
    head_centre_mm: dict[Side, Float[np.ndarray, 3]],
    spacing_mm: float,
) -> tuple[Float[np.ndarray, "k2 j2 i2 channels"], VoxelGrid]:
    """Soft tissue after the patient was placed, without the motion `posed.whole`.

    Args:
        channels: tissue in the pose of the CT; it is mirrored beyond its first and last slices.
        grid: axial voxels of the tissue.
        posed: motion of the bones.
        head_centre_mm: femoral heads in the pose of the CT.
        spacing_mm: voxel size of the result.

    Returns:
        Tissue and its axial grid, which reaches 60 mm further on every side.
    """
    extent_mm = np.array(grid.shape) * grid.spacing_mm + 120.0
    k, j, i = (int(n) for n in np.ceil(extent_mm / spacing_mm))
    half_mm = (np.array([i, j, k]) - 1) / 2 * spacing_mm
    target = VoxelGrid.axial((k, j, i), (spacing_mm,) * 3, tuple(grid.centre_mm - half_mm))
    unplaced = invert_rigid(posed.whole)
    trunk_from_posed = invert_rigid(unplaced @ posed.pelvis)
    thigh_from_posed = np.stack([invert_rigid(unplaced @ posed.femur[side]) for side in (Side.RIGHT, Side.LEFT)])
    centres_mm = np.stack([head_centre_mm[side] for side in (Side.RIGHT, Side.LEFT)])
    out = np.zeros((k, j, i, channels.shape[3]), np.float32)
    _follow(
        np.ascontiguousarray(channels, np.float32),
        grid.index_from_world,
        target.world_from_index,
        trunk_from_posed,
        thigh_from_posed,
        centres_mm,
        out,
    )
    return out, target


@numba.njit(cache=True, fastmath=True)
def _follow(channels, index_from_world, world_from_index, trunk_from_posed, thigh_from_posed, centres_mm, out):
    midline_mm = (centres_mm[0, 0] + centres_mm[1, 0]) / 2
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                x, y, z = _apply(world_from_index, k, j, i)
                side = 1 if x > midline_mm else 0
                lateral_mm = abs(x - midline_mm) - abs(centres_mm[side, 0] - midline_mm)
                below_mm = centres_mm[side, 2] - z + GROIN_SLOPE * min(lateral_mm, 0.0)
                t = (below_mm - GROIN_BLEND_MM[0]) / (GROIN_BLEND_MM[1] - GROIN_BLEND_MM[0])
                t = min(max(t, 0.0), 1.0)
                blend = t * t * (3 - 2 * t)
                trunk_x, trunk_y, trunk_z = _apply(trunk_from_posed, x, y, z)
                thigh_x, thigh_y, thigh_z = _apply(thigh_from_posed[side], x, y, z)
                # A thigh moved outwards leaves behind what lies in the midline, not a copy of the other thigh.
                source_x = (1 - blend) * trunk_x + blend * thigh_x
                source_x = max(source_x, midline_mm) if side == 1 else min(source_x, midline_mm)
                source_k, source_j, source_i = _apply(
                    index_from_world,
                    source_x,
                    (1 - blend) * trunk_y + blend * thigh_y,
                    (1 - blend) * trunk_z + blend * thigh_z,
                )
                _sample(channels, source_k, source_j, source_i, out[k, j, i])


@numba.njit(cache=True, fastmath=True)
def _apply(matrix, a, b, c):
    """A point through an affine."""
    return (
        matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3],
        matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3],
        matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3],
    )


@numba.njit(cache=True, fastmath=True)
def _sample(channels, k, j, i, values):
    """Trilinear values; beyond the end slices the body is mirrored, and beyond the sides there is nothing."""
    size_k, size_j, size_i, count = channels.shape
    if j < 0 or i < 0 or j > size_j - 1 or i > size_i - 1:
        return
    k = size_k - 1.0 - abs(size_k - 1.0 - abs(k))
    k = min(max(k, 0.0), size_k - 1.0)
    k0, j0, i0 = min(int(k), size_k - 2), min(int(j), size_j - 2), min(int(i), size_i - 2)
    wk, wj, wi = k - k0, j - j0, i - i0
    for dk in range(2):
        for dj in range(2):
            for di in range(2):
                weight = (wk if dk else 1 - wk) * (wj if dj else 1 - wj) * (wi if di else 1 - wi)
                for c in range(count):
                    values[c] += weight * channels[k0 + dk, j0 + dj, i0 + di, c]
