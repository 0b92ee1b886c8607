"""Registration of one X-ray: all bones placed, scored and judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from osteoray.errors.verdict import Finding, Verdict
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.imaging.bones import Side
from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography.search_renderer import PROCESSOR, SearchRenderer
from osteoray.registration.articulated import PELVIS, Placed, Scene, place_femur, place_pelvis, scene, sweep
from osteoray.registration.bone_models import FEMUR_NAME, BoneModel
from osteoray.registration.mirroring import mirrored_similarity
from osteoray.registration.search import Effort
from osteoray.registration.targets import NothingShown, shown_pixels
from osteoray.registration.verdict import Limits, Quality, field_findings, findings, quality, shown_share

SCORES = (
    *("z", "agreement_mm", "split_mm", "unsettled_mm", "edge", "field", "joint_shift_mm", "joint_depth_mm"),
    *("mirror_lead", "femur_ratio", "rival_lead"),
)
"""Scores of a bone that are recorded, if it has them."""
SAME_OPTIMUM = 1e-3
"""Gradient correlation by which two results at one optimum may differ; then the harder search's agreement counts."""
HOPELESS_SHARE = 0.5
"""Part of the least share that must be shown without which a femur is not looked for."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How to search.

    Attributes:
        pixel_mm: pixel size at the detector of each level.
        pelvis_ranges: half widths of the pelvis search, in units of `PoseSpace`.
        femur_ranges: half widths of a femur's search, relative to the pelvis.
        pelvis_effort: what a pelvis search may cost.
        femur_effort: what a femur search may cost.
    """

    pixel_mm: tuple[float, ...]
    pelvis_ranges: Float[np.ndarray, "6"]
    femur_ranges: Float[np.ndarray, "6"]
    pelvis_effort: Effort
    femur_effort: Effort


@dataclass(frozen=True, eq=False)
class Registration:
    """The bones of an X-ray.

    Attributes:
        placed: trusted bones by name; empty if the pelvis is not trusted.
        refused: bones that were found but are not trusted, to be looked at.
        quality: scores of every bone that was looked for, as they were judged: the pelvis's before the femurs stood in
            the picture, a femur's with all bones in it.
        findings: reasons against bones.
    """

    placed: dict[str, Placed]
    refused: dict[str, Placed]
    quality: dict[str, Quality]
    findings: list[Finding]

    def facts(self) -> dict[str, dict]:
        """Poses and scores of the trusted bones as JSON values: quantity, then bone.

        `similarity` is that of the pose, with the other bones in the picture.
        """
        facts = {
            "camera_from_world": {name: bone.camera_from_world.tolist() for name, bone in self.placed.items()},
            "similarity": {name: bone.correlation for name, bone in self.placed.items()},
            "sd": {name: self.quality[name].sd.tolist() for name in self.placed},
        }
        return facts | self._scores(self.placed)

    def refused_facts(self) -> dict[str, dict]:
        """Scores of the bones that are not trusted as JSON values; no pose, which nobody may use."""
        similarity = {name: bone.correlation for name, bone in self.refused.items()}
        return {"similarity": similarity} | self._scores(self.refused)

    def _scores(self, names: Iterable[str]) -> dict[str, dict[str, float]]:
        """The scores of bones by quantity; a score that is no number is absent."""
        facts = {}
        for quantity in SCORES:
            of_bones = {name: getattr(self.quality[name], quantity) for name in names}
            facts[quantity] = {name: v for name, v in of_bones.items() if v is not None and np.isfinite(v)}
        return facts


def start_camera(
    sid_mm: float,
    pitch_mm: tuple[float, float],
    principal_point: tuple[float, float],
    shape: tuple[int, int],
    source_patient_mm: float,
    pelvis_centre_mm: Float[np.ndarray, "3"],
) -> Camera:
    """AP camera whose ray through the middle of the detector meets the centre of the pelvis.

    Args:
        sid_mm: source to image distance.
        pitch_mm: pixel size along rows and columns at the detector.
        principal_point: (row, column) of the foot of the perpendicular from the focus.
        shape: rows and columns.
        source_patient_mm: distance from the focus to mid-patient.
        pelvis_centre_mm: LPS position.
    """
    camera = Camera.from_geometry(sid_mm, pitch_mm, principal_point, shape, np.eye(4))
    pose = ap_camera_from_world(pelvis_centre_mm, source_patient_mm)
    middle = np.linalg.inv(camera.K) @ np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2, 1.0])
    pose[:2, 3] += middle[:2] * source_patient_mm
    return camera.at(pose)


def register_xray(
    xray_id: str,
    radiograph: Radiograph,
    camera: Camera,
    models: dict[str, BoneModel],
    plan: Plan,
    limits: Limits,
    rng: np.random.Generator,
    exposed: tuple[int, int, int, int] | None = None,
    metal: tuple[tuple[int, int, int, int], ...] = (),
    renderer: SearchRenderer = PROCESSOR,
) -> Registration:
    """Find pelvis and femurs in an X-ray.

    Args:
        xray_id: named in the findings.
        radiograph: log attenuation.
        camera: its geometry, at the pose from which the search starts.
        models: "pelvis", "left_femur", "right_femur"; a femur may be absent.
        plan: how to search.
        limits: when to trust.
        rng: seeds everything random.
        exposed: first row, end row, first column and end column of the collimated field; None for the whole image.
        metal: the same of boxes around metal, which are not compared.
        renderer: renders the bones.
    """
    if not np.isfinite(radiograph.array).all():
        detail = "pixels: expected finite log attenuation, got infinity or NaN"
        return Registration({}, {}, {}, [Finding("ING-XRAY", detail, xray_id)])
    exposure, shown = (shown_pixels(camera.shape, exposed, boxes) for boxes in ((), metal))
    try:
        view = scene(radiograph, camera, models, plan.pixel_mm, shown, renderer)
    except NothingShown:
        return Registration({}, {}, {}, [_unseen(xray_id, None)])
    pelvis, quality_of_pelvis = _find_pelvis(view, camera, plan, plan.pelvis_effort, exposure, rng)
    against = findings(quality_of_pelvis, limits, xray_id, None)
    if against:
        harder = _find_pelvis(view, camera, plan, plan.pelvis_effort.twice(), exposure, rng)
        if harder[0].correlation > pelvis.correlation - SAME_OPTIMUM:
            pelvis, quality_of_pelvis = harder
            against = findings(quality_of_pelvis, limits, xray_id, None)
    placed, scores = {PELVIS: pelvis}, {PELVIS: quality_of_pelvis}
    if against:
        return Registration({}, placed, scores, against)
    found, against = _find_femurs(view, camera, pelvis, plan, limits, shown, rng, xray_id)
    placed = sweep(view, placed | found)
    for side, name in FEMUR_NAME.items():
        if name not in placed:
            continue
        try:
            field = shown_share(camera.at(placed[name].camera_from_world), models[name], shown)
            scores[name] = quality(view, name, placed, plan.pelvis_ranges, rng, field=field)
            against += findings(scores[name], limits, xray_id, side.value)
        except NothingShown:
            del placed[name]
            against.append(_unseen(xray_id, side.value))
    lost = {FEMUR_NAME[Side(f.side)] for f in against if f.side and f.verdict is Verdict.WITHHELD}
    trusted = {name: bone for name, bone in placed.items() if name not in lost}
    refused = {name: bone for name, bone in placed.items() if name in lost}
    # A femur that is not trusted must not stand in the picture of the others.
    return Registration(sweep(view, trusted) if refused else trusted, refused, scores, against)


def _find_femurs(
    view: Scene,
    camera: Camera,
    pelvis: Placed,
    plan: Plan,
    limits: Limits,
    shown: Bool[np.ndarray, "rows columns"],
    rng: np.random.Generator,
    xray_id: str,
) -> tuple[dict[str, Placed], list[Finding]]:
    """The femurs that are in the picture, and the reasons against those that are not."""
    found, against = {}, []
    for side, name in FEMUR_NAME.items():
        if name not in view.models:
            continue
        # Where the CT's pose would put it; the search may bring more of it into the picture.
        share = shown_share(camera.at(pelvis.camera_from_world), view.models[name], shown)
        if share < HOPELESS_SHARE * limits.least_field:
            against += field_findings(share, limits, xray_id, side.value)
            continue
        try:
            found[name] = place_femur(view, name, pelvis, plan.femur_ranges, plan.femur_effort, rng)
        except NothingShown:
            against.append(_unseen(xray_id, side.value))
    return found, against


def _unseen(xray_id: str, side: str | None) -> Finding:
    """The reason against a bone of which nothing can be compared, whatever the limits."""
    return Finding("REG-FIELD", "no part of the bone lies in what the X-ray shows", xray_id, side)


def _find_pelvis(
    view: Scene,
    camera: Camera,
    plan: Plan,
    effort: Effort,
    exposure: Bool[np.ndarray, "rows columns"],
    rng: np.random.Generator,
) -> tuple[Placed, Quality]:
    """The pelvis as one search finds it, with its scores.

    What metal hides counts as shown: the rest of a pelvis can do without, unlike a femur behind its stem.
    """
    pelvis = place_pelvis(view, camera.camera_from_world, plan.pelvis_ranges, effort, rng)
    lead = pelvis.correlation - mirrored_similarity(view, pelvis, plan.pelvis_effort, rng)
    field = shown_share(camera.at(pelvis.camera_from_world), view.models[PELVIS], exposure)
    found = quality(view, PELVIS, {PELVIS: pelvis}, plan.pelvis_ranges, rng, field=field, mirror_lead=lead)
    return pelvis, found
