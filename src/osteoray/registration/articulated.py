"""Articulated registration: the pelvis first, then each femur about its head, then all bones in turn with the others
in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography.search_renderer import PROCESSOR, SearchRenderer
from osteoray.radiography.shear_warp import GradientTarget
from osteoray.registration.bone_models import BoneModel
from osteoray.registration.parametrisation import PoseSpace
from osteoray.registration.search import Effort, refine, search
from osteoray.registration.targets import NothingShown, XrayLevel, binned, gradient_target, xray_level

PELVIS = "pelvis"
REFINEMENT_STEPS = 10
SILHOUETTES = 24
"""Poses of the search box whose silhouettes together make the region in which a femur is looked for."""

JOINT_SD_UNITS = np.array([np.inf, np.inf, np.inf, 3.0, 3.0, 0.1])
"""Freedom of the femoral head in its socket: 3 mm across the beam, 1 mm along it, which one view hardly shows."""
MISFIT = 1e-3
"""Squared distance of gradient images that one independent sample of misfit makes; weighs the joint against it."""
JOINT = MISFIT / JOINT_SD_UNITS**2
"""How the socket holds the head: `tether` of `search.refine` for a femur."""
REGION_MARGIN_MM = 5.0
"""Width of the rim outside a bone's silhouette that is compared, at the detector."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A bone placed in an X-ray.

    Attributes:
        space: the poses that were searched.
        ranges: half widths of the search box in units.
        units: the result.
        correlation: weighted gradient correlation at the finest level.
        agreement_mm: distance between the two best coarse searches.
    """

    space: PoseSpace
    ranges: Float[np.ndarray, "6"]
    units: Float[np.ndarray, "6"]
    correlation: float
    agreement_mm: float

    @property
    def camera_from_world(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the bone."""
        return self.space.poses(self.units[None])[0]


@dataclass(frozen=True, eq=False)
class Scene:
    """An X-ray at all levels with the bones that may be in it.

    Attributes:
        levels: the X-ray, coarse to fine.
        models: the bones by name.
        renderer: renders the bones.
    """

    levels: tuple[XrayLevel, ...]
    models: dict[str, BoneModel]
    renderer: SearchRenderer = PROCESSOR

    def background(self, level: int, placed: dict[str, Placed], without: str) -> Float[np.ndarray, "rows columns"]:
        """Areal density in g/cm² of all placed bones but one."""
        camera = self.levels[level].camera
        image = np.zeros(camera.shape, np.float32)
        for name, bone in placed.items():
            if name != without:
                pose = bone.camera_from_world[None]
                image += self.renderer.render(self.models[name].levels[level], camera.K, pose, camera.shape)[0]
        return image


def scene(
    radiograph: Radiograph,
    camera: Camera,
    models: dict[str, BoneModel],
    pixel_mm: tuple[float, ...],
    shown: Bool[np.ndarray, "rows columns"] | None = None,
    renderer: SearchRenderer = PROCESSOR,
) -> Scene:
    """Prepare an X-ray for the models.

    Args:
        radiograph: log attenuation.
        camera: its geometry with the pose from which the search starts.
        models: bones by name; "pelvis" must be one.
        pixel_mm: pixel size at the detector of each level.
        shown: pixels of the X-ray to compare; None compares all.
        renderer: renders the bones.

    Raises:
        NothingShown: there is nothing to compare.
    """
    pelvis = models[PELVIS]
    magnification = camera.sid_mm / apply_affine(camera.camera_from_world, pelvis.centre_mm)[2]
    radiograph, camera = binned(radiograph, camera, min(pixel_mm))
    levels = [
        xray_level(radiograph, camera, pixel, sigma * magnification, shown)
        for pixel, sigma in zip(pixel_mm, pelvis.sigma_mm, strict=True)
    ]
    return Scene(tuple(levels), models, renderer)


def place_pelvis(
    scene: Scene,
    camera_from_world: Float[np.ndarray, "4 4"],
    ranges: Float[np.ndarray, "6"],
    effort: Effort,
    rng: np.random.Generator,
) -> Placed:
    """Find the pelvis: search at the coarsest level, refine through all.

    Args:
        scene: X-ray and models.
        camera_from_world: where the search starts.
        ranges: half widths of its box in units.
        effort: what may be spent.
        rng: seeds the searches.
    """
    model = scene.models[PELVIS]
    space = PoseSpace(camera_from_world, model.centre_mm)
    target = gradient_target(scene.levels[0])
    found = search(model.levels[0], target, space, ranges, model.landmarks_mm, effort, rng, None, scene.renderer)
    start = Placed(space, ranges, found.units, found.correlation, found.agreement_mm)
    return _refined(scene, PELVIS, start, {}, range(1, len(scene.levels)))


def place_femur(
    scene: Scene,
    name: str,
    pelvis: Placed,
    ranges: Float[np.ndarray, "6"],
    effort: Effort,
    rng: np.random.Generator,
) -> Placed:
    """Find a femur near its place in the pelvis, which stays in the picture.

    Args:
        scene: X-ray and models.
        name: the femur's model.
        pelvis: where the pelvis was found.
        ranges: half widths of the box in units.
        effort: what may be spent.
        rng: draws the silhouettes and seeds the searches.

    Raises:
        NothingShown: no place where the femur could be is in the X-ray.
    """
    model = scene.models[name]
    space = PoseSpace(pelvis.camera_from_world, model.centre_mm)
    poses = space.poses(rng.uniform(-1, 1, (SILHOUETTES, 6)) * ranges)
    placed = {PELVIS: pelvis}
    target = bone_target(scene, 0, name, poses, placed)
    found = search(model.levels[0], target, space, ranges, model.landmarks_mm, effort, rng, JOINT, scene.renderer)
    start = Placed(space, ranges, found.units, found.correlation, found.agreement_mm)
    return _refined(scene, name, start, placed, range(len(scene.levels)))


def sweep(scene: Scene, placed: dict[str, Placed], only: str | None = None) -> dict[str, Placed]:
    """Refine each bone, or only one, once more at the finest level with the others in the picture."""
    placed = dict(placed)
    for name in placed if only is None else (only,):
        placed[name] = _refined(scene, name, placed[name], placed, range(len(scene.levels) - 1, len(scene.levels)))
    return placed


def _refined(scene: Scene, name: str, bone: Placed, placed: dict[str, Placed], levels: range) -> Placed:
    units, correlation = bone.units, bone.correlation
    for level in levels:
        try:
            target = bone_target(scene, level, name, bone.space.poses(units[None]), placed)
        except NothingShown:
            break  # The search has left the X-ray; the verdict finds that too little of the bone is shown.
        model = scene.models[name].levels[level]
        tether = None if name == PELVIS else JOINT
        units, correlation = refine(model, target, bone.space, units, REFINEMENT_STEPS, tether, scene.renderer)
    return Placed(bone.space, bone.ranges, units, correlation, bone.agreement_mm)


def bone_target(
    scene: Scene, level: int, name: str, poses: Float[np.ndarray, "poses 4 4"], placed: dict[str, Placed]
) -> GradientTarget:
    """What a bone is compared with: the pelvis with the whole X-ray, a femur with what lies near its silhouettes.

    Args:
        scene: X-ray and models.
        level: index of the level.
        name: which bone.
        poses: camera_from_world of the silhouettes.
        placed: all placed bones; the others are in the picture.

    Raises:
        NothingShown: no silhouette is in the X-ray.
    """
    xray = scene.levels[level]
    background = scene.background(level, placed, name)
    if name == PELVIS:
        return gradient_target(xray, None, background)
    images = scene.renderer.render(scene.models[name].silhouette, xray.camera.K, poses, xray.camera.shape)
    near = max(round(REGION_MARGIN_MM / xray.camera.pitch_mm[0]), 1)
    return gradient_target(xray, ndimage.binary_dilation(images.max(axis=0) > 0, iterations=near), background)
