"""The X-ray in a mirror: a pelvis that fits it as well as the X-ray itself belongs to neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.registration.articulated import PELVIS, Placed, Scene, place_pelvis
from osteoray.registration.parametrisation import unit_ranges
from osteoray.registration.search import Effort
from osteoray.registration.targets import XrayLevel

MIRROR = np.diag([-1.0, 1.0, 1.0])
RANGES = unit_ranges(12.0, 15.0, 40.0)
"""Half widths of the search about the pose at which a symmetrical pelvis would make the same picture."""
GENERATIONS, SEARCHES = 12, 2


def mirrored_similarity(scene: Scene, pelvis: Placed, effort: Effort, rng: np.random.Generator) -> float:
    """Best gradient correlation of the pelvis with the mirrored X-ray, at the finest level, without femurs.

    Another patient's pelvis fits an X-ray and its mirror image about equally well; so does the patient's own only if
    the pelvis is symmetrical and lies straight. It is a null whose soft tissue, noise and contrast are the X-ray's own.

    Args:
        scene: X-ray and models.
        pelvis: where the pelvis was found.
        effort: what a search in the X-ray itself may cost; a part of it is spent.
        rng: seeds the search.
    """
    levels = tuple(_mirrored(level) for level in scene.levels)
    spent = Effort(effort.population, GENERATIONS, SEARCHES, effort.agreement_mm)
    start = mirrored_pose(pelvis.camera_from_world, scene.models[PELVIS].centre_mm)
    return place_pelvis(replace(scene, levels=levels), start, RANGES, spent, rng).correlation


def mirrored_pose(
    camera_from_world: Float[np.ndarray, "4 4"], centre_mm: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    """Pose at which a body that is symmetrical left to right about a point makes the mirrored picture."""
    rotation = MIRROR @ camera_from_world[:3, :3] @ MIRROR
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = MIRROR @ apply_affine(camera_from_world, centre_mm) - rotation @ centre_mm
    return pose


def _mirrored(level: XrayLevel) -> XrayLevel:
    """The level with its columns in reverse."""
    camera = level.camera
    K = camera.K.copy()
    K[0, 2] = camera.shape[1] - 1 - K[0, 2]
    image, weights = (np.ascontiguousarray(array[:, ::-1]) for array in (level.image, level.weights))
    return XrayLevel(image, weights, Camera(K, camera.camera_from_world, camera.shape, camera.pitch_mm))
