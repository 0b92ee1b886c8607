"""A total hip replacement: a tapered stem with neck, ball and cup of metal, and the bone it takes the place of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import binary_dilation

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, PELVIS, Side
from osteoray.simulation.body import ADIPOSE_G_CM3, LEAN_G_CM3, Body, FemurTruth
from osteoray.simulation.medial_mesh import Box, MedialMesh, crop_around, distance_mm

IMPLANT_SIDE = Side.LEFT
"""The hip that is replaced, in the CT as in the X-rays."""
BALL_RADIUS_MM = 14.0
"""The common 28 mm ball."""
CUP_MM = 3.5
"""Thickness of the metal shell; the room between it and the ball is polyethylene."""
REAMED_MM = 3.0
"""The socket is reamed to this much more than the radius of the bony head."""
CUP_INCLINATION_DEG, CUP_ANTEVERSION_DEG = 42.0, 15.0
"""Middle of the safe zone of Lewinnek 1978 (40 ± 10 and 15 ± 10 degrees)."""
NECK_RADII_MM = (7.0, 6.0)
"""A 12/14 taper: 14 mm at its base, 12 mm in the ball."""
STEM_BELOW_TROCHANTER_MM = 60.0


@dataclass(frozen=True, eq=False)
class _Design:
    """Where the parts of an implant lie, LPS millimetres.

    Attributes:
        stem: stem, neck and ball.
        head_mm: common centre of ball and cup.
        cut_mm: a point of the plane in which the neck was cut; `neck_axis` is its normal.
        cup_radius_mm: outer radius of the shell.
        opening: unit vector out of the cup.
    """

    stem: MedialMesh
    head_mm: Float[np.ndarray, "3"]
    cut_mm: Float[np.ndarray, "3"]
    cup_radius_mm: float
    opening: Float[np.ndarray, "3"]


def hip_replacement(femur: FemurTruth, side: Side, grid: VoxelGrid) -> Float32[np.ndarray, "k j i"]:
    """Volume fraction of metal in every voxel of an axial grid.

    Args:
        femur: landmarks of the hip that is replaced, in the grid's world.
        side: left or right, which the cup faces.
        grid: axial voxels, of any extent: parts outside are cut off.
    """
    design = _design(femur, side)
    metal = np.zeros(grid.shape, np.float32)
    box = crop_around(grid, _box_mm(design))
    part = _crop(grid, box)
    if 0 in part.shape:
        return metal
    voxel_mm = part.voxel_mm3 ** (1 / 3)
    stem = _inside(distance_mm(design.stem, part, 2 * voxel_mm), voxel_mm)
    shell, _ = _cup(design, part)
    metal[box] = np.maximum(stem, shell)
    return metal


def replace_hip(body: Body, side: Side) -> Body:
    """The body after the operation, without the metal itself: its voxels are as empty as metal fills them.

    Head and neck above the cut are gone and scar (lean tissue) fills the gap; the cup's liner of polyethylene reads
    like fat, which has its density and nearly its composition. Labels lose the resected bone, but keep the bone that
    the stem lies in; the proximal region loses both.

    Args:
        body: before the operation.
        side: the hip that is replaced.
    """
    femur, grid = body.femurs[side], body.grid
    design = _design(femur, side)
    box = crop_around(grid, _box_mm(design))
    part = _crop(grid, box)
    metal = hip_replacement(femur, side, part)
    _, liner = _cup(design, part)
    gone = _resected(body.bones[box], part, design, femur, side)
    arrays = {name: getattr(body, name).copy() for name in ("adipose_g_cm3", "lean_g_cm3", "ha_mg_cm3")}
    adipose, lean, mineral = (arrays[name][box] for name in ("adipose_g_cm3", "lean_g_cm3", "ha_mg_cm3"))
    for array, scar, plastic in ((adipose, 0.0, ADIPOSE_G_CM3), (lean, LEAN_G_CM3, 0.0), (mineral, 0.0, 0.0)):
        array += gone * (scar - array)
        array += liner * (plastic - array)
        array *= 1 - metal
    bones, proximal = body.bones.copy(), body.proximal_femur.copy()
    lost = (gone >= 0.5) | (liner >= 0.5)
    bones[box][lost | ((metal >= 0.5) & np.isin(bones[box], PELVIS))] = 0
    proximal[box][lost | (metal >= 0.5)] = 0
    return replace(body, bones=bones, proximal_femur=proximal, **arrays)


def _design(femur: FemurTruth, side: Side) -> _Design:
    up, neck, head_mm = femur.shaft_axis, femur.neck_axis, femur.head_centre_mm
    cut_mm = femur.neck_centre_mm - 8.0 * neck
    # Where the shaft axis comes closest to the neck axis.
    along = (up - (up @ neck) * neck) / (1 - (up @ neck) ** 2)
    crossing_mm = femur.shaft_point_mm + ((head_mm - femur.shaft_point_mm) @ along) * up
    shoulder_mm = crossing_mm + 2.0 * up
    below_mm = (femur.lesser_trochanter_mm - crossing_mm) @ up - STEM_BELOW_TROCHANTER_MM
    tip_mm = crossing_mm + below_mm * up
    stem = MedialMesh(
        np.stack([cut_mm, shoulder_mm, tip_mm, head_mm, head_mm]),
        np.array([NECK_RADII_MM[0], 5.5, 4.5, NECK_RADII_MM[1], BALL_RADIUS_MM]),
        np.array([[0, 1, 2], [0, 3, 3], [4, 4, 4]]),
    )
    lateral = 1.0 if side == Side.LEFT else -1.0
    inclination, anteversion = np.radians([CUP_INCLINATION_DEG, CUP_ANTEVERSION_DEG])
    opening = np.array(
        [
            lateral * np.sin(inclination) * np.cos(anteversion),
            -np.sin(anteversion),
            -np.cos(inclination) * np.cos(anteversion),
        ]
    )
    return _Design(stem, head_mm, cut_mm, femur.head_radius_mm + REAMED_MM, opening)


def _cup(design: _Design, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Volume fractions of the shell's metal and of the liner between it and the ball."""
    voxel_mm = grid.voxel_mm3 ** (1 / 3)
    offset_mm = grid.coordinates_mm() - design.head_mm
    radius_mm = np.linalg.norm(offset_mm, axis=-1)
    behind_face = _inside(offset_mm @ design.opening, voxel_mm)
    whole = _inside(radius_mm - design.cup_radius_mm, voxel_mm) * behind_face
    hollow = _inside(radius_mm - (design.cup_radius_mm - CUP_MM), voxel_mm)
    ball = _inside(radius_mm - BALL_RADIUS_MM, voxel_mm)
    return whole * (1 - hollow), whole * hollow * (1 - ball)


def _resected(bones: np.ndarray, grid: VoxelGrid, design: _Design, femur: FemurTruth, side: Side) -> np.ndarray:
    """Share of each voxel that was bone of this femur above the cut, with the partly filled voxels around it."""
    voxel_mm = grid.voxel_mm3 ** (1 / 3)
    above = _inside((design.cut_mm - grid.coordinates_mm()) @ femur.neck_axis, voxel_mm)
    is_femur = binary_dilation(bones == FEMUR[side], np.ones((3, 3, 3), bool)) & ~np.isin(bones, PELVIS)
    return above * is_femur


def _inside(signed_mm: np.ndarray, voxel_mm: float) -> Float32[np.ndarray, "..."]:
    """Share of voxels below a surface, from the signed distance of their centres."""
    return np.clip(0.5 - signed_mm / voxel_mm, 0.0, 1.0).astype(np.float32)


def _box_mm(design: _Design) -> Float[np.ndarray, "2 3"]:
    reach_mm = design.cup_radius_mm + 4.0
    corners = np.concatenate([design.stem.box(4.0), design.head_mm + reach_mm * np.array([[-1.0], [1.0]])])
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def _crop(grid: VoxelGrid, box: Box) -> VoxelGrid:
    start, stop = (tuple(getattr(part, end) for part in box) for end in ("start", "stop"))
    return grid.crop(start, tuple(last - first for first, last in zip(start, stop, strict=True)))
