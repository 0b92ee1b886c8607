"""Bone models: one bone's density as the search renders it, coarse to fine, with its centre and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from jaxtyping import Bool, Float
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PELVIS, Bone, Side
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.radiography.shear_warp import SlicedDensity, sliced

FEMUR_NAME = {Side.LEFT: "left_femur", Side.RIGHT: "right_femur"}
BODIES: dict[str, tuple[Bone, ...]] = {"pelvis": PELVIS} | {FEMUR_NAME[side]: (FEMUR[side],) for side in Side}
"""Rigid bodies by name, and the labels that belong to them."""
SIGMA_PER_VOXEL = 0.8
"""Smoothing of a model relative to its voxel size: what shear-warp needs to be accurate to about 1 %."""
NEGLIGIBLE_MG_CM3 = 8.0
"""Smoothed density below this is dropped, which keeps the filled runs short."""
CUT_MARGIN_MM = 15.0
"""The end of a bone that the CT cuts off is not looked for in the X-ray, where the bone goes on."""
REACH_MM = 100.0
"""Only the part of a femur this near to its head is compared: farther down, the end that the CT cuts off, seen at many
angles, draws the search to wrong poses."""
LANDMARKS = 300


class NoBone(ValueError):
    """Nothing of a bone is left to be found in an X-ray."""


@dataclass(frozen=True, eq=False)
class BoneModel:
    """A rigid body to be found in the X-ray.

    Attributes:
        levels: densities, coarse to fine.
        sigma_mm: Gaussian smoothing of each level.
        silhouette: coarsest level of the part that is compared.
        centre_mm: LPS point about which it is turned.
        landmarks_mm: points of the bone in LPS that stand for all of it.
    """

    levels: tuple[SlicedDensity, ...]
    sigma_mm: tuple[float, ...]
    silhouette: SlicedDensity
    centre_mm: Float[np.ndarray, "3"]
    landmarks_mm: Float[np.ndarray, "points 3"]


def patient_models(
    qct_mg_cm3: Volume,
    bones: Volume,
    head_centres_mm: dict[Side, Float[np.ndarray, "3"]],
    voxel_mm: tuple[float, ...],
    *,
    soft_tissue_mg_cm3: float,
    dilation_voxels: int,
    pelvis_rim_mm: float,
) -> dict[str, BoneModel]:
    """Models of the pelvis and of the femurs whose heads are known, by the names of `BODIES`.

    Args:
        qct_mg_cm3: density in mg/cm³.
        bones: labels on the same grid.
        head_centres_mm: LPS centre of the femoral head of each usable side.
        voxel_mm: see `bone_model`, as the rest.
        soft_tissue_mg_cm3: see `bone_model`.
        dilation_voxels: see `bone_model`.
        pelvis_rim_mm: `rim_mm` of the pelvis.

    Returns:
        The models. A femur of which nothing is left to compare is not among them.

    Raises:
        Withheld: nothing of the pelvis is left to compare.
    """
    centres_mm = {"pelvis": None} | {FEMUR_NAME[side]: centre_mm for side, centre_mm in head_centres_mm.items()}
    models = {}
    for name, centre_mm in centres_mm.items():
        try:
            models[name] = bone_model(
                qct_mg_cm3,
                bones,
                BODIES[name],
                voxel_mm,
                centre_mm=centre_mm,
                soft_tissue_mg_cm3=soft_tissue_mg_cm3,
                dilation_voxels=dilation_voxels,
                rim_mm=pelvis_rim_mm if name == "pelvis" else 0.0,
            )
        except NoBone as error:
            if name == "pelvis":
                raise Withheld("SEG-BONE", f"pelvis: {error}") from error
    return models


def bone_model(
    qct_mg_cm3: Volume,
    bones: Volume,
    labels: tuple[Bone, ...],
    voxel_mm: tuple[float, ...],
    *,
    centre_mm: Float[np.ndarray, "3"] | None = None,
    soft_tissue_mg_cm3: float = 40.0,
    dilation_voxels: int = 1,
    rim_mm: float = 0.0,
) -> BoneModel:
    """Build the model of the bones that move together.

    Args:
        qct_mg_cm3: density in mg/cm³.
        bones: labels on the same grid.
        labels: which bones.
        voxel_mm: voxel size of each level, coarse to fine.
        centre_mm: LPS centre of rotation of a femur; None takes the centroid (pelvis).
        soft_tissue_mg_cm3: subtracted, because bone shows by its contrast to muscle; the rest is clipped at 0.
        dilation_voxels: growth of the mask, so that a tight segmentation does not shrink the bone.
        rim_mm: what lies so near belongs to the bone's picture too, unless it is another bone.

    Raises:
        NoBone: none of the labels occurs, the bone is no denser than soft tissue, or a femur's head lies too near to
            the end of the CT.
        ValueError: a density is not finite.
    """
    mask = np.isin(bones.array, labels)
    if not mask.any():
        raise NoBone("bones: expected labelled voxels, got none")
    box = bones.crop_to(mask, margin_mm=4 * max(voxel_mm))
    inside = np.isin(box.array, labels)
    grown = inside
    if dilation_voxels:
        grown = ndimage.binary_dilation(inside, np.ones((3, 3, 3)), dilation_voxels)
    if rim_mm > 0:
        radius = [round(rim_mm / spacing) for spacing in box.grid.spacing_mm[::-1]]
        image = sitk.GetImageFromArray(inside.astype(np.uint8))
        grown = grown | (sitk.GetArrayFromImage(sitk.BinaryDilate(image, radius)) > 0)
    grown = grown & ((box.array == 0) | inside)
    qct = Volume(qct_mg_cm3.array, bones.grid).crop_to(mask, margin_mm=4 * max(voxel_mm))
    density = np.where(grown, np.maximum(qct.array.astype(np.float32) - np.float32(soft_tissue_mg_cm3), 0), 0)
    if not np.isfinite(density).all():
        raise ValueError("qct_mg_cm3: expected finite densities, got infinity or NaN in a bone")
    fine = _upright(Volume(density, box.grid), voxel_mm[-1])
    landmarks_mm = _landmarks_mm(inside, box.grid)
    cut_mm = bones.grid.world_from_index[2, 3] + CUT_MARGIN_MM
    smoothed = [_smoothed(fine, voxel) for voxel in voxel_mm]
    compared = smoothed[0] if centre_mm is None else _smoothed(_near(fine, centre_mm, cut_mm), voxel_mm[0])
    if not compared.array.any() or not (landmarks_mm[:, 2] > cut_mm).any():
        raise NoBone(f"bones: expected bone denser than {soft_tissue_mg_cm3:g} mg/cm3 to compare, got none")
    levels = tuple(sliced(volume) for volume in smoothed)
    return BoneModel(
        levels,
        tuple(SIGMA_PER_VOXEL * voxel for voxel in voxel_mm),
        levels[0] if centre_mm is None else sliced(compared),
        landmarks_mm.mean(axis=0) if centre_mm is None else np.asarray(centre_mm, float),
        landmarks_mm[landmarks_mm[:, 2] > cut_mm],
    )


def _upright(density: Volume, voxel_mm: float) -> Volume:
    """Cubic voxels along the axes of the patient, covering the whole box."""
    index = np.array([(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * (np.array(density.array.shape) - 1)
    corners_mm = apply_affine(density.grid.world_from_index, index.astype(float))
    low_mm, extent_mm = corners_mm.min(axis=0), np.ptp(corners_mm, axis=0)
    return resample(density, _cubic_grid(np.ceil(extent_mm[::-1] / voxel_mm) + 1, voxel_mm, low_mm))


def _cubic_grid(shape: Float[np.ndarray, "3"], voxel_mm: float, origin_mm: Float[np.ndarray, "3"]) -> VoxelGrid:
    k, j, i = (int(n) for n in shape)
    x, y, z = (float(value) for value in origin_mm)
    return VoxelGrid.axial((k, j, i), (voxel_mm, voxel_mm, voxel_mm), (x, y, z))


def _smoothed(fine: Volume, voxel_mm: float) -> Volume:
    """The density at another voxel size, smoothed to it."""
    fine_mm = float(fine.grid.spacing_mm[0])
    sigma = SIGMA_PER_VOXEL * voxel_mm / fine_mm
    volume = Volume(ndimage.gaussian_filter(fine.array, sigma, mode="constant", truncate=3.0), fine.grid)
    if voxel_mm != fine_mm:
        shape = np.ceil(np.array(fine.array.shape) * fine_mm / voxel_mm)
        volume = resample(volume, _cubic_grid(shape, voxel_mm, fine.grid.world_from_index[:3, 3]))
    volume.array[volume.array < NEGLIGIBLE_MG_CM3] = 0
    return volume


def _near(volume: Volume, centre_mm: Float[np.ndarray, "3"], cut_mm: float) -> Volume:
    """The part of the volume within reach of a point and above a height."""
    points_mm = volume.grid.coordinates_mm()
    near = (np.linalg.norm(points_mm - centre_mm, axis=-1) < REACH_MM) & (points_mm[..., 2] > cut_mm)
    return Volume(np.where(near, volume.array, np.float32(0)), volume.grid)


def _landmarks_mm(inside: Bool[np.ndarray, "k j i"], grid: VoxelGrid) -> Float[np.ndarray, "points 3"]:
    """Evenly counted voxels of the mask: the same ones every time."""
    voxels = np.flatnonzero(inside)
    chosen = voxels[np.linspace(0, len(voxels) - 1, min(LANDMARKS, len(voxels))).astype(int)]
    return apply_affine(grid.world_from_index, np.stack(np.unravel_index(chosen, inside.shape), axis=-1).astype(float))
