"""Verdict on a registration without ground truth: scores that carry their own scale, and physical plausibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from osteoray.errors.verdict import Finding
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.radiography.search_renderer import NormalEquations
from osteoray.radiography.shear_warp import is_faced
from osteoray.registration.articulated import JOINT, PELVIS, Placed, Scene, bone_target
from osteoray.registration.bone_models import BoneModel
from osteoray.registration.femur_pose import FemurPose
from osteoray.registration.parametrisation import DEPTH_MM_PER_UNIT, ROTATION_RAD_PER_UNIT, mean_image_distance_mm
from osteoray.registration.search import linearised, refine
from osteoray.registration.targets import gradient_target

RANDOM_POSES = 128
STRIP_MM = 27.0
"""Height at the detector of the strips into which the X-ray is split."""
NOISE_AREA_MM2 = 60.0
"""Area at the detector over which the misfit (soft tissue, not quantum noise) counts as one independent sample. Found
errors ask for 20 on procedural anatomy and for 50 on label maps of real one; this errs on the side of caution."""
RIVALS = np.radians([(x, y) for x in (-15, 0, 15) for y in (-15, 0, 15) if x or y] + [(0, -32), (0, 32)])
"""Turns about image right and down, rad, from which a femur is refined once more: where it can rest wrongly."""
RIVAL_STEPS = 5
FIELD_RADIUS_MM = 120.0
"""Only the bone this near to its centre has to be in the X-ray: wings of the ilium and shafts may be cut off."""

SD_PER_UNIT = np.array([np.degrees(ROTATION_RAD_PER_UNIT)] * 3 + [1.0, 1.0, DEPTH_MM_PER_UNIT])
"""Degrees and millimetres of a unit of `PoseSpace`."""


@dataclass(frozen=True)
class Limits:
    """Limits of the scores; meaning and units as in the configuration section of the same names."""

    most_disagreement_mm: float
    least_z: float
    least_femur_z: float
    most_split_mm: float
    most_unsettled_mm: float
    most_edge: float
    least_field: float
    most_joint_shift_mm: float
    most_joint_depth_mm: float
    least_mirror_lead: float
    least_femur_ratio: float
    enough_femur_similarity: float
    most_rival_lead: float
    most_flexion_deg: float
    most_abduction_deg: float
    rotation_deg: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Quality:
    """Scores of a placed bone.

    Attributes:
        agreement_mm: distance between the bone at the two best independent searches.
        z: similarity in standard deviations above that of random poses in the search box of the pelvis.
        split_mm: mean distance, at the bone, between its images fitted to the even and to the odd strips of rows.
        unsettled_mm: mean distance, at the bone, by which one more Gauss-Newton step would move its image.
        edge: largest distance from the middle of the search box, in half widths.
        field: fraction of the bone near its centre that projects into the X-ray.
        sd: predicted standard deviations: rotations about image right, down and beam (degrees), place across and down
            the image, and depth (mm). Noise only; a wrong geometry of the X-ray is not in it.
        joint_shift_mm: shift of the femoral head across the beam from its place in the pelvis; 0 for the pelvis.
        joint_depth_mm: the same along the beam.
        similarity: gradient correlation at the finest level.
        mirror_lead: gradient correlation of the pelvis above its best one in the mirrored X-ray; None for a femur.
        femur_ratio: gradient correlation of a femur over that of the pelvis in the same X-ray; None for the pelvis.
        rival_lead: gradient correlation of a femur at the coarsest level above the best one that refinements from
            turned poses end with; None for the pelvis, whose rival is the mirrored X-ray.
    """

    agreement_mm: float
    z: float
    split_mm: float
    unsettled_mm: float
    edge: float
    field: float
    sd: Float[np.ndarray, "6"]
    joint_shift_mm: float
    joint_depth_mm: float
    similarity: float
    mirror_lead: float | None
    femur_ratio: float | None
    rival_lead: float | None


def quality(
    scene: Scene,
    name: str,
    placed: dict[str, Placed],
    chance_ranges: Float[np.ndarray, "6"],
    rng: np.random.Generator,
    *,
    field: float,
    mirror_lead: float | None = None,
) -> Quality:
    """Score a placed bone.

    Args:
        scene: X-ray and models.
        name: which bone.
        placed: all placed bones.
        chance_ranges: half widths in units of the box of the random poses.
        rng: draws them.
        field: `shown_share` of the bone.
        mirror_lead: of the pelvis.

    Raises:
        NothingShown: a femur's silhouette is not in the X-ray.
    """
    bone, model = placed[name], scene.models[name]
    shift_mm, depth_mm = joint_shift_mm(placed[PELVIS], bone, model.centre_mm)
    level = len(scene.levels) - 1
    pitch_mm = scene.levels[level].camera.pitch_mm
    target = bone_target(scene, level, name, bone.camera_from_world[None], placed)
    is_odd = (np.arange(len(target.weights)) * pitch_mm[0] / STRIP_MM).astype(int) % 2 == 1
    equations = linearised(model.levels[level], target, bone.space, bone.units, is_odd, scene.renderer)
    pixels = 2 * np.count_nonzero(target.weights)
    noise = float(equations.square.sum()) / pixels * NOISE_AREA_MM2 / float(np.prod(pitch_mm))
    tether = np.zeros(6) if name == PELVIS else JOINT
    variance = noise * np.diag(np.linalg.pinv(equations.hessian.sum(axis=0) + np.diag(tether)))
    return Quality(
        agreement_mm=bone.agreement_mm,
        z=_above_chance(scene, name, placed, chance_ranges, rng),
        split_mm=_split_mm(bone, model.landmarks_mm, equations),
        unsettled_mm=_unsettled_mm(bone, model.landmarks_mm, equations, tether),
        edge=float(np.abs(bone.units / bone.ranges).max()),
        field=field,
        sd=np.sqrt(variance) * SD_PER_UNIT,
        joint_shift_mm=shift_mm,
        joint_depth_mm=depth_mm,
        similarity=bone.correlation,
        mirror_lead=mirror_lead,
        femur_ratio=None if name == PELVIS else bone.correlation / max(placed[PELVIS].correlation, 1e-6),
        rival_lead=None if name == PELVIS else _lead_over_rivals(scene, name, placed),
    )


def joint_shift_mm(pelvis: Placed, femur: Placed, head_centre_mm: Float[np.ndarray, "3"]) -> tuple[float, float]:
    """Shift of the femoral head from its socket across the beam and along it, in mm."""
    socket = apply_affine(pelvis.camera_from_world, head_centre_mm)
    head = apply_affine(femur.camera_from_world, head_centre_mm)
    across = (head[:2] / head[2] - socket[:2] / socket[2]) * socket[2]
    return float(np.linalg.norm(across)), float(head[2] - socket[2])


def _above_chance(
    scene: Scene, name: str, placed: dict[str, Placed], ranges: Float[np.ndarray, "6"], rng: np.random.Generator
) -> float:
    """z-score of the similarity at the coarsest level against random poses."""
    bone = placed[name]
    target = gradient_target(scene.levels[0])
    units = np.vstack([bone.units[None], rng.uniform(-1, 1, (RANDOM_POSES, 6)) * ranges])
    correlation = scene.renderer.gradient_correlations(scene.models[name].levels[0], target, bone.space.poses(units))
    return float((correlation[0] - correlation[1:].mean()) / max(correlation[1:].std(), 1e-9))


def _lead_over_rivals(scene: Scene, name: str, placed: dict[str, Placed]) -> float:
    """Similarity of a femur above that of its rivals, all refined at the coarsest level on the same pixels.

    Minus infinity for a femur whose slices are not faced: nothing can be compared. Rivals that end so do not count.
    """
    bone, density = placed[name], scene.models[name].levels[0]
    starts = np.tile(bone.units, (len(RIVALS) + 1, 1))
    starts[1:, :2] += RIVALS / ROTATION_RAD_PER_UNIT
    poses = bone.space.poses(starts)
    seen = is_faced(density, poses, bone.space.centre_mm)
    if not seen[0]:
        return float("-inf")
    target = bone_target(scene, 0, name, poses, placed)
    ends = [refine(density, target, bone.space, units, RIVAL_STEPS, JOINT, scene.renderer) for units in starts[seen]]
    still_seen = is_faced(density, bone.space.poses(np.array([units for units, _ in ends])), bone.space.centre_mm)
    own, *rivals = (value if is_seen else -np.inf for (_, value), is_seen in zip(ends, still_seen, strict=True))
    return float(own - max(rivals, default=-np.inf)) if np.isfinite(own) else float("-inf")


def shown_share(camera: Camera, model: BoneModel, shown: Bool[np.ndarray, "rows columns"]) -> float:
    """Fraction of the landmarks near the centre that project into what an X-ray shows.

    Args:
        camera: where the bone is seen from.
        model: the bone.
        shown: pixels that show the patient, see `targets.shown_pixels`.
    """
    near = np.linalg.norm(model.landmarks_mm - model.centre_mm, axis=1) < FIELD_RADIUS_MM
    rows, columns = np.rint(camera.project(model.landmarks_mm[near])).astype(int).T
    inside = (rows >= 0) & (rows < camera.shape[0]) & (columns >= 0) & (columns < camera.shape[1])
    return float(shown[rows[inside], columns[inside]].sum() / max(len(rows), 1))


def field_findings(share: float, limits: Limits, xray_id: str, side: str | None) -> list[Finding]:
    """REG-FIELD if too little of a bone is shown."""
    if share >= limits.least_field:
        return []
    detail = f"{100 * share:.0f} % of the bone in the X-ray, limit {100 * limits.least_field:.0f} %"
    return [Finding("REG-FIELD", detail, xray_id, side)]


def _split_mm(bone: Placed, landmarks_mm: Float[np.ndarray, "points 3"], equations: NormalEquations) -> float:
    """Distance between the poses that even and odd strips of image rows ask for, by one Gauss-Newton step each."""
    steps = np.linalg.pinv(equations.hessian) @ equations.slope[:, :, None]
    poses = bone.space.poses(bone.units + steps[:, :, 0])
    return mean_image_distance_mm(poses[0], poses[1], landmarks_mm)


def _unsettled_mm(
    bone: Placed,
    landmarks_mm: Float[np.ndarray, "points 3"],
    equations: NormalEquations,
    tether: Float[np.ndarray, "6"],
) -> float:
    """How far the next Gauss-Newton step of `search.refine` would move the bone's image."""
    step = np.linalg.pinv(equations.hessian.sum(axis=0) + np.diag(tether)) @ (
        equations.slope.sum(axis=0) - tether * bone.units
    )
    poses = bone.space.poses(np.stack([bone.units, bone.units + step]))
    return mean_image_distance_mm(poses[0], poses[1], landmarks_mm)


def findings(quality: Quality, limits: Limits, xray_id: str, side: str | None) -> list[Finding]:
    """Reasons against a placed bone; empty if it can be trusted.

    Args:
        quality: its scores.
        limits: their limits.
        xray_id: the X-ray.
        side: the femur's side; None for the pelvis, which withholds the X-ray.
    """
    least_z = limits.least_z if side is None else limits.least_femur_z
    # Each test asks for the good, so that a score that is not a number fails.
    tests = [
        ("REG-DISAGREE", quality.agreement_mm <= limits.most_disagreement_mm,
         f"searches differ by {quality.agreement_mm:.1f} mm, limit {limits.most_disagreement_mm:g} mm"),
        ("REG-WEAK", quality.z >= least_z,
         f"similarity {quality.z:.1f} sd above chance, limit {least_z:g}"),
        ("REG-SPLIT", quality.split_mm <= limits.most_split_mm,
         f"strips of rows differ by {quality.split_mm:.1f} mm, limit {limits.most_split_mm:g} mm"),
        ("REG-UNSETTLED", quality.unsettled_mm <= limits.most_unsettled_mm,
         f"the next step would move it by {quality.unsettled_mm:.2f} mm, limit {limits.most_unsettled_mm:g} mm"),
        ("REG-BOX", quality.edge <= limits.most_edge,
         f"pose {quality.edge:.2f} half widths from the start, limit {limits.most_edge:g}"),
        ("REG-JOINT", quality.joint_shift_mm <= limits.most_joint_shift_mm
         and abs(quality.joint_depth_mm) <= limits.most_joint_depth_mm,
         f"head {quality.joint_shift_mm:.1f} mm off across and {quality.joint_depth_mm:+.1f} mm along the beam, "
         f"limits {limits.most_joint_shift_mm:g} and {limits.most_joint_depth_mm:g} mm"),
    ]  # fmt: skip
    if quality.mirror_lead is not None:
        code = "REG-MIRRORED" if quality.mirror_lead <= -limits.least_mirror_lead else "REG-UNLIKE"
        detail = f"gradient correlation {quality.mirror_lead:+.3f} above that in the mirrored X-ray"
        is_own = quality.mirror_lead >= limits.least_mirror_lead
        tests.append((code, is_own, f"{detail}, limit {limits.least_mirror_lead:g}"))
    if quality.rival_lead is not None:
        detail = f"gradient correlation {quality.rival_lead:+.4f} above that of the best turned pose"
        is_best = quality.rival_lead >= -limits.most_rival_lead
        tests.append(("REG-RIVAL", is_best, f"{detail}, limit -{limits.most_rival_lead:g}"))
    if quality.femur_ratio is not None:
        detail = f"gradient correlation {quality.similarity:.2f}, {quality.femur_ratio:.2f} of the pelvis's"
        wanted = f"limits {limits.enough_femur_similarity:g} or {limits.least_femur_ratio:g} of it"
        is_like = quality.similarity >= limits.enough_femur_similarity
        is_like = is_like or quality.femur_ratio >= limits.least_femur_ratio
        tests.append(("REG-FEMUR", is_like, f"{detail}, {wanted}"))
    found = [Finding(code, detail, xray_id, side) for code, passed, detail in tests if not passed]
    return found + field_findings(quality.field, limits, xray_id, side)


def pose_findings(pose: FemurPose, limits: Limits, xray_id: str, side: str) -> list[Finding]:
    """Warnings about a femur's pose, which changes what a projection shows."""
    low, high = limits.rotation_deg
    tests = [
        ("POSE-FLEXION", abs(pose.flexion) > limits.most_flexion_deg,
         f"flexion {pose.flexion:+.0f}°, limit ±{limits.most_flexion_deg:g}°"),
        ("POSE-ABDUCTION", abs(pose.abduction) > limits.most_abduction_deg,
         f"abduction {pose.abduction:+.0f}°, limit ±{limits.most_abduction_deg:g}°"),
        ("POSE-ROTATION", not low <= pose.rotation <= high,
         f"rotation {pose.rotation:+.0f}°, limits {low:g}° to {high:g}°"),
    ]  # fmt: skip
    return [Finding(code, detail, xray_id, side) for code, failed, detail in tests if failed]
