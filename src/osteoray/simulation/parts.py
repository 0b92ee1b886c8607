"""A body taken apart into what moves together: soft tissue with bones filled in, and each bone's excess over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import binary_dilation

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import LEAN_G_CM3, Body
from osteoray.simulation.ct_response import ct_response

BONE_MG_CM3 = 2.0
"""A voxel with more mineral than this moves with a bone."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some quantities of one moving part, in the smallest box that holds it.

    Attributes:
        channels: values by `(k, j, i, quantity)`.
        grid: the box.
    """

    channels: Float32[np.ndarray, "k j i channels"]
    grid: VoxelGrid


@dataclass(frozen=True, eq=False)
class BodyParts:
    """Parts in the pose of the CT.

    Attributes:
        soft: adipose and lean g/cm³ as if every bone were lean tissue.
        trunk, femur: excess of bone over that tissue: adipose, lean, hydroxyapatite in g/cm³. The trunk is all that
            is not a femur: pelvis and spine.
        pelvis_density, shaft_density, proximal_density: true and ideally measured density in mg/cm³ (channels 0, 1)
            and the labelled volume (channel 2), of the labelled pelvis, of each femur outside the proximal region,
            and of the proximal region.
    """

    soft: Part
    trunk: Part
    femur: dict[Side, Part]
    pelvis_density: Part
    shaft_density: dict[Side, Part]
    proximal_density: dict[Side, Part]


def take_apart(body: Body) -> BodyParts:
    """Split a body by what moves together; the parts add up to the body."""
    labelled = body.bones > 0
    bony = labelled | (body.ha_mg_cm3 > BONE_MG_CM3)
    soft = np.stack([np.where(bony, 0, body.adipose_g_cm3), np.where(bony, LEAN_G_CM3, body.lean_g_cm3)], axis=-1)
    excess = np.stack(
        [body.adipose_g_cm3 - soft[..., 0], body.lean_g_cm3 - soft[..., 1], 1e-3 * body.ha_mg_cm3], axis=-1
    )
    thigh_bones = {side: _surface_included(body.bones == label, bony & ~labelled) for side, label in FEMUR.items()}
    trunk_bones = bony & ~np.logical_or.reduce(list(thigh_bones.values()))
    response = ct_response()
    measured = response.qct_mg_cm3(response.relative_attenuation(body.adipose_g_cm3, body.lean_g_cm3, body.ha_mg_cm3))
    density = np.stack([body.ha_mg_cm3, measured, np.ones_like(body.ha_mg_cm3)], axis=-1)
    proximal = {side: body.proximal_femur == value for side, value in PROXIMAL_FEMUR.items()}
    return BodyParts(
        soft=Part(soft.astype(np.float32), body.grid),
        trunk=_cut_out(excess, trunk_bones, body.grid),
        femur={side: _cut_out(excess, mask, body.grid) for side, mask in thigh_bones.items()},
        pelvis_density=_cut_out(density, np.isin(body.bones, PELVIS), body.grid),
        shaft_density={
            side: _cut_out(density, (body.bones == label) & ~proximal[side], body.grid) for side, label in FEMUR.items()
        },
        proximal_density={side: _cut_out(density, mask, body.grid) for side, mask in proximal.items()},
    )


def _surface_included(
    bone: Bool[np.ndarray, "k j i"], unlabelled: Bool[np.ndarray, "k j i"]
) -> Bool[np.ndarray, "k j i"]:
    """The bone with the partly filled voxels around it."""
    box = tuple(slice(max(int(ix.min()) - 3, 0), int(ix.max()) + 4) for ix in np.nonzero(bone))
    grown = bone.copy()
    grown[box] |= binary_dilation(bone[box], np.ones((3, 3, 3), bool), iterations=1) & unlabelled[box]
    return grown


def _cut_out(channels: np.ndarray, mask: Bool[np.ndarray, "k j i"], grid: VoxelGrid) -> Part:
    """Values inside a mask, in the smallest box around it with a border of zeros."""
    box = Volume(mask, grid).crop_to(mask, margin_mm=float(grid.spacing_mm.max()))
    start = np.rint(np.linalg.solve(grid.world_from_index, box.grid.world_from_index[:, 3]))[:3].astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(start, box.array.shape, strict=True))
    return Part((channels[window] * box.array[..., None]).astype(np.float32), box.grid)
