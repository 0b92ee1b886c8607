"""What the voxels of a body are made of while it is being built: bone first, soft tissue in the room that is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body import ADIPOSE_G_CM3, HYDROXYAPATITE_G_CM3, LEAN_G_CM3
from osteoray.simulation.density import BONE_TISSUE_HA_MG_CM3, mineral
from osteoray.simulation.medial_mesh import Box
from osteoray.simulation.texture import random_field

MineralFields = Callable[[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]], tuple[np.ndarray, np.ndarray]]
"""Function of LPS points and texture there: cortical thickness in mm and trabecular density in mg/cm³."""


_RAMP_VOXELS = 1.3
"""Bone fades out over this many voxels at its surface: the mean width of a cube along a random direction is 1.5 edges,
and a ramp of only one leaves steps that show in X-rays as hatching."""


@dataclass(frozen=True, eq=False)
class Composition:
    """Volume fractions under construction; the arrays are filled in place.

    Attributes:
        grid: voxels of all arrays.
        bones: hard labels.
        bone: fraction of the voxel inside any bone, marrow included.
        ha_mg_cm3: mineral mass per volume.
        adipose: volume fraction of adipose tissue.
        lean: volume fraction of lean tissue.
    """

    grid: VoxelGrid
    bones: UInt8[np.ndarray, "k j i"]
    bone: Float32[np.ndarray, "k j i"]
    ha_mg_cm3: Float32[np.ndarray, "k j i"]
    adipose: Float32[np.ndarray, "k j i"]
    lean: Float32[np.ndarray, "k j i"]

    @classmethod
    def empty(cls, grid: VoxelGrid) -> Composition:
        """Nothing but air."""
        fractions = [np.zeros(grid.shape, np.float32) for _ in range(4)]
        return cls(grid, np.zeros(grid.shape, np.uint8), *fractions)


def occupied(distance_mm: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Share of voxels that lies inside a solid, from the signed distance of their centres."""
    return np.clip(0.5 - distance_mm / voxel_mm, 0.0, 1.0)


def grain(grid: VoxelGrid, rng: np.random.Generator) -> Float32[np.ndarray, "k j i"]:
    """Relative variation of trabecular density: fine and coarse, standard deviation about 0.5."""
    return 0.6 * random_field(grid, 4.0, rng) + 0.7 * random_field(grid, 15.0, rng)


def smoothed(distance_mm: Float32[np.ndarray, "k j i"], grid: VoxelGrid, sigma_mm: float) -> np.ndarray:
    """Signed distance with the creases between primitives rounded off."""
    return ndimage.gaussian_filter(distance_mm, sigma_mm / grid.spacing_mm, mode="nearest", truncate=2.5)


def roughened(
    distance_mm: Float32[np.ndarray, "k j i"], grid: VoxelGrid, rng: np.random.Generator
) -> Float32[np.ndarray, "k j i"]:
    """Signed distance to a surface with natural unevenness: deviations of 0.25 mm over 12 mm and 0.15 mm over 5 mm."""
    coarse, fine = random_field(grid, 12.0, rng), random_field(grid, 5.0, rng)
    return distance_mm + np.float32(0.45) * coarse + np.float32(0.3) * fine


def add_bone(
    composition: Composition,
    box: Box,
    distance_mm: Float32[np.ndarray, "k j i"],
    label: int,
    fields: MineralFields,
    bmd_scale: float,
    yellow_marrow: float,
    rng: np.random.Generator,
) -> None:
    """Fill one bone into a box of the body.

    Bones share a voxel only as far as there is room; later bones take what earlier ones left.

    Args:
        composition: changed in place.
        box: slices (k, j, i) of the box in the body.
        distance_mm: signed distance to the bone's surface at the voxels of the box.
        label: `Bone` label, 0 for a bone without one.
        fields: cortical thickness and trabecular density.
        bmd_scale: density relative to the mean patient.
        yellow_marrow: volume fraction of fat in the marrow.
        rng: source of the texture.
    """
    voxel_mm = float(composition.grid.voxel_mm3 ** (1 / 3))
    crop = composition.grid.crop(tuple(s.start for s in box), distance_mm.shape)
    ramp_mm = _RAMP_VOXELS * voxel_mm
    inside = np.argwhere(distance_mm < 0.5 * ramp_mm)
    local = tuple(inside.T)
    there = tuple((inside + [s.start for s in box]).T)
    depth_mm = -distance_mm[local]
    points_mm = apply_affine(crop.world_from_index, inside.astype(float))
    cortex_mm, trabecular = fields(points_mm, grain(crop, rng)[local])
    share = occupied(-depth_mm, ramp_mm)
    room = np.minimum(1.0, (1.0 - composition.bone[there]) / np.maximum(share, 1e-6))
    share = share * room
    ha_mg_cm3 = mineral(depth_mm, cortex_mm, trabecular, bmd_scale, ramp_mm) * room
    tissue = np.minimum(ha_mg_cm3 / BONE_TISSUE_HA_MG_CM3, share)
    marrow = share - tissue
    composition.bone[there] += share
    composition.ha_mg_cm3[there] += ha_mg_cm3
    composition.lean[there] += tissue - ha_mg_cm3 / (1e3 * HYDROXYAPATITE_G_CM3) + marrow * (1.0 - yellow_marrow)
    composition.adipose[there] += marrow * yellow_marrow
    if label:
        hard = (depth_mm > 0) & (composition.bones[there] == 0)
        composition.bones[tuple((inside[hard] + [s.start for s in box]).T)] = label


def add_soft_tissue(
    composition: Composition, inside: Float32[np.ndarray, "k j i"], lean_share: Float32[np.ndarray, "k j i"]
) -> None:
    """Fill the room that bone leaves inside the body with lean and adipose tissue.

    Args:
        composition: changed in place.
        inside: share of each voxel inside the body and not gas.
        lean_share: of the soft tissue there, the volume fraction that is lean.
    """
    room = np.maximum(inside - composition.bone, 0.0)
    # Interpolated shares may leave [0, 1] by rounding.
    lean = room * np.clip(lean_share, 0.0, 1.0)
    composition.lean[...] += lean
    composition.adipose[...] += room - lean


def masses_g_cm3(composition: Composition) -> tuple[np.ndarray, np.ndarray]:
    """Adipose and lean mass per volume."""
    return composition.adipose * np.float32(ADIPOSE_G_CM3), composition.lean * np.float32(LEAN_G_CM3)
