"""Areal density maps: each rigid body's density projected exactly at its own registered pose, and added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.camera import Camera
from osteoray.imaging.resampling import resize_image
from osteoray.imaging.volume import Volume
from osteoray.radiography.ray_integrals import ray_integrals


@dataclass(frozen=True, eq=False)
class DensityMap:
    """What the rays of an X-ray met in some bones.

    Attributes:
        areal_g_cm2: mass per area normal to the ray in g/cm²; 0 outside the bones.
        moment_mm: positive areal density times its mean depth, g/cm²·mm; maps of several bodies add up.
    """

    areal_g_cm2: Float[np.ndarray, "rows columns"]
    moment_mm: Float[np.ndarray, "rows columns"]


def density_map(
    density_mg_cm3: Volume, camera: Camera, *, supersample: int = 1, finest_pitch_mm: float = 0.0
) -> DensityMap:
    """Project the density of one rigid body; linear in density, nothing is clipped at 0.

    Args:
        density_mg_cm3: of the body alone, 0 elsewhere.
        camera: the X-ray's detector at the body's registered pose.
        supersample: rays per pixel edge, averaged.
        finest_pitch_mm: rays are not cast closer than this at the detector; between them the map is linear.
    """
    rows, columns = (
        min(n, max(round(n * pitch / finest_pitch_mm), 1)) if finest_pitch_mm > 0 else n
        for n, pitch in zip(camera.shape, camera.pitch_mm, strict=True)
    )
    rays = ray_integrals(density_mg_cm3, camera.resized((rows, columns)), supersample=supersample)
    areal, moment = rays.areal_g_cm2, np.maximum(rays.areal_g_cm2, 0) * rays.depth_mm
    if (rows, columns) != camera.shape:
        areal, moment = resize_image(areal, camera.shape), resize_image(moment, camera.shape)
    return DensityMap(areal, moment)


def magnification(maps: list[DensityMap], sid_mm: float) -> Float[np.ndarray, "rows columns"]:
    """How much larger the bone appears on the detector than it is: SID over the mean depth of its mass; 0 without bone.

    Args:
        maps: of the bodies in the picture.
        sid_mm: source to image distance.
    """
    mass = sum(np.maximum(bone.areal_g_cm2, 0) for bone in maps)
    moment = sum(bone.moment_mm for bone in maps)
    met = (mass > 0) & (moment > 0)
    return np.where(met, sid_mm * mass / np.where(met, moment, 1), 0).astype(np.float32)
