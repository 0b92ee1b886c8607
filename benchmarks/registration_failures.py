"""Wrong poses to try the verdict on: stuck at a wrong optimum, or held 2 to 6 mm off the right one.

Every bone is wrong alone, with the others in their true places, and agreement of searches is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.registration_errors import bone_row
from benchmarks.registration_tables import HELD, STUCK

from osteoray.registration.articulated import JOINT, PELVIS, Placed, Scene, bone_target, scene, sweep
from osteoray.registration.bone_models import BoneModel
from osteoray.registration.mirroring import mirrored_similarity
from osteoray.registration.parametrisation import PoseSpace, mean_image_distance_mm, unit_ranges
from osteoray.registration.search import refine
from osteoray.registration.targets import NothingShown, shown_pixels
from osteoray.registration.verdict import quality
from osteoray.registration.xray import Plan

TRIALS = 4
"""Of each kind, per bone and X-ray."""
PELVIS_START = unit_ranges(15.0, 15.0, 0.0) + unit_ranges(0.0, 0.0, 40.0)
FEMUR_START = unit_ranges(30.0, 6.0, 0.0) + unit_ranges(0.0, 0.0, 6.0)
NEAR_MM = 2.0, 6.0


def failures(
    xray: Any, models: dict[str, BoneModel], pixel_mm: tuple[float, ...], plan: Plan, rng: np.random.Generator
) -> Iterator[dict]:
    """Rows of bones in wrong poses.

    Args:
        xray: radiograph, exposed field, metal and true cameras (`registration_cohort.Xray`).
        models: the bones.
        pixel_mm: of the levels.
        plan: ranges and efforts of the searches.
        rng: draws the poses.
    """
    camera = xray.cameras[PELVIS]
    view = scene(xray.radiograph, camera, models, pixel_mm, shown_pixels(camera.shape, xray.exposed, xray.metal))
    spaces = {name: PoseSpace(xray.cameras[name].camera_from_world, model.centre_mm) for name, model in models.items()}
    true = {name: Placed(space, plan.pelvis_ranges, np.zeros(6), 0.0, 0.0) for name, space in spaces.items()}
    true = sweep(view, true, only=PELVIS)
    for body, model in models.items():
        for condition, wrong in _wrong(view, true, body, plan, rng):
            bone, lead = wrong[body], None
            try:
                if body == PELVIS:
                    alone = _scored(view, body, {body: bone}) if condition == HELD else sweep(view, {body: bone})[body]
                    lead = alone.correlation - mirrored_similarity(view, alone, plan.pelvis_effort, rng)
                score = quality(view, body, wrong, plan.pelvis_ranges, rng, field=1.0, mirror_lead=lead)
            except NothingShown:
                continue
            entry = bone_row(bone, score, model, camera, xray.cameras[body])
            yield {"condition": condition, "wanted": [body], "bones": {body: entry}}


def _wrong(
    view: Scene, true: dict[str, Placed], body: str, plan: Plan, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, Placed]]]:
    """Kind of failure, and all bones with one in a wrong pose."""
    start, ranges = (PELVIS_START, plan.pelvis_ranges) if body == PELVIS else (FEMUR_START, plan.femur_ranges)
    for _ in range(TRIALS):
        begin = Placed(true[body].space, ranges, rng.uniform(-1, 1, 6) * start, 0.0, 0.0)
        yield STUCK, sweep(view, {**true, body: begin}, only=body)
    for _ in range(TRIALS):
        units = _off(true[body].space, rng.uniform(-1, 1, 6) * start, rng.uniform(*NEAR_MM), view.models[body])
        held = {**true, body: Placed(true[body].space, ranges, units, 0.0, 0.0)}
        try:
            yield HELD, {**held, body: _scored(view, body, held)}
        except NothingShown:
            continue


def _off(space: PoseSpace, direction: np.ndarray, off_mm: float, model: BoneModel) -> np.ndarray:
    """The pose in a direction whose image lies that far from the right one."""
    share = 0.1
    for _ in range(6):
        poses = space.poses(np.stack([np.zeros(6), share * direction]))
        share *= off_mm / mean_image_distance_mm(poses[0], poses[1], model.landmarks_mm)
    return share * direction


def _scored(view: Scene, body: str, placed: dict[str, Placed]) -> Placed:
    """The bone with its similarity where it is."""
    bone, level = placed[body], len(view.levels) - 1
    target = bone_target(view, level, body, bone.camera_from_world[None], placed)
    tether = None if body == PELVIS else JOINT
    _, correlation = refine(view.models[body].levels[level], target, bone.space, bone.units, 0, tether)
    return Placed(bone.space, bone.ranges, bone.units, correlation, bone.agreement_mm)
