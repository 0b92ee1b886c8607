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
from osteoray.simulation.ct_response import CT_KVP, TITANIUM_G_CM3, ct_response
from osteoray.simulation.raycast import RayVolume

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
        soft: adipose and lean g/cm³ as if every bone and implant were lean tissue.
        trunk_rays: what rays meet of all that is no femur, pelvis and spine, by `TRUNK_CHANNELS`.
        femur_rays: the same of each femur and the implant in it, by `FEMUR_CHANNELS`.
        proximal_density: true and ideally measured density in mg/cm³ (channels 0, 1) and the labelled volume
            (channel 2) of each proximal femur.
    """

    soft: Part
    trunk_rays: RayVolume
    femur_rays: dict[Side, RayVolume]
    proximal_density: dict[Side, Part]

    @property
    def trunk(self) -> Part:
        """Excess of the trunk's bones over soft tissue: adipose, lean, hydroxyapatite in g/cm³."""
        return Part(self.trunk_rays.channels[..., :3], self.trunk_rays.grid)

    @property
    def femur(self) -> dict[Side, Part]:
        """The same of each femur."""
        return {side: Part(rays.channels[..., :3], rays.grid) for side, rays in self.femur_rays.items()}


TRUNK_CHANNELS = ("adipose", "lean", "hydroxyapatite", "label", "label_qct")
FEMUR_CHANNELS = (*TRUNK_CHANNELS, "proximal", "proximal_qct", "metal")
"""Excess over soft tissue in g/cm³; true and ideally measured density in mg/cm³ inside the label and inside the
proximal region; metal in g/cm³, absent in bodies without. One pass of rays serves them all."""
METAL = FEMUR_CHANNELS.index("metal")


def take_apart(body: Body, kvp: int = CT_KVP, metal: Float32[np.ndarray, "k j i"] | None = None) -> BodyParts:
    """Split a body by what moves together; the parts add up to the body.

    Args:
        body: what its tissues are; less where there is metal.
        kvp: tube voltage of the CT whose ideal reading is taken.
        metal: volume fraction of titanium; it moves with the nearer femur.
    """
    labelled = body.bones > 0
    bony = labelled | (body.ha_mg_cm3 > BONE_MG_CM3)
    if metal is not None:
        bony |= metal > 0
    soft = np.stack([np.where(bony, 0, body.adipose_g_cm3), np.where(bony, LEAN_G_CM3, body.lean_g_cm3)], axis=-1)
    excess = np.stack(
        [body.adipose_g_cm3 - soft[..., 0], body.lean_g_cm3 - soft[..., 1], 1e-3 * body.ha_mg_cm3], axis=-1
    )
    thigh_bones = {side: _surface_included(body.bones == label, bony & ~labelled) for side, label in FEMUR.items()}
    if metal is not None:
        for side, mask in thigh_bones.items():
            mask |= (metal > 0) & _on_side(body, side)
    trunk_bones = bony & ~np.logical_or.reduce(list(thigh_bones.values()))
    response = ct_response(kvp)
    measured = response.qct_mg_cm3(response.relative_attenuation(body.adipose_g_cm3, body.lean_g_cm3, body.ha_mg_cm3))
    density = np.stack([body.ha_mg_cm3, measured, np.ones_like(body.ha_mg_cm3)], axis=-1)
    proximal = {side: body.proximal_femur == value for side, value in PROXIMAL_FEMUR.items()}
    femur_rays = {}
    for side, label in FEMUR.items():
        masked = [(excess, None), (density[..., :2], body.bones == label), (density[..., :2], proximal[side])]
        if metal is not None:
            masked.append((metal[..., None] * TITANIUM_G_CM3, None))
        femur_rays[side] = _rays(masked, thigh_bones[side], body.grid)
    return BodyParts(
        soft=Part(soft.astype(np.float32), body.grid),
        trunk_rays=_rays([(excess, None), (density[..., :2], np.isin(body.bones, PELVIS))], trunk_bones, body.grid),
        femur_rays=femur_rays,
        proximal_density={side: _cut_out(density, mask, body.grid) for side, mask in proximal.items()},
    )


def _on_side(body: Body, side: Side) -> Bool[np.ndarray, "k j i"]:
    """Voxels that are nearer to one femoral head than to the other."""
    other = next(s for s in Side if s != side)
    towards_mm = body.femurs[side].head_centre_mm - body.femurs[other].head_centre_mm
    middle_mm = (body.femurs[side].head_centre_mm + body.femurs[other].head_centre_mm) / 2
    # Axis by axis: the coordinates of all voxels would take more memory than the body.
    x, y, z = (
        (axis - middle) * step for axis, middle, step in zip(body.grid.axes_mm(), middle_mm, towards_mm, strict=True)
    )
    return z[:, None, None] + y[:, None] + x > 0


def _rays(
    masked: list[tuple[np.ndarray, np.ndarray | None]], mask: Bool[np.ndarray, "k j i"], grid: VoxelGrid
) -> RayVolume:
    """Quantities of a part, some of them only inside a mask of their own, laid out for rays."""
    window, box = _window(mask, grid)
    inside = mask[window][..., None]
    channels = [
        values[window] * (inside if only is None else inside & only[window][..., None]) for values, only in masked
    ]
    return RayVolume.of(np.concatenate(channels, axis=-1), box)


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
    window, box = _window(mask, grid)
    return Part((channels[window] * mask[window][..., None]).astype(np.float32), box)


def _window(mask: Bool[np.ndarray, "k j i"], grid: VoxelGrid) -> tuple[tuple[slice, ...], VoxelGrid]:
    """The smallest box around a mask with a border of one voxel."""
    box = Volume(mask, grid).crop_to(mask, margin_mm=float(grid.spacing_mm.max()))
    start = np.rint(np.linalg.solve(grid.world_from_index, box.grid.world_from_index[:, 3]))[:3].astype(int)
    return tuple(slice(a, a + n) for a, n in zip(start, box.array.shape, strict=True)), box.grid
