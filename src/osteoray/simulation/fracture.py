"""A fracture of the proximal femur: a rough crack filled with blood, across which the head's fragment has turned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import affine_transform, binary_dilation

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import invert_rigid, rotation_about, rotation_from_vector
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Side
from osteoray.simulation.body import LEAN_G_CM3, Body, FemurTruth
from osteoray.simulation.enrolment import VirtualPatient, generator
from osteoray.simulation.medial_mesh import Box, crop_around
from osteoray.simulation.texture import random_field

FRACTURE_SIDE = Side.LEFT
"""The femur that is broken."""
ROUGHNESS_MM = 1.5
ROUGHNESS_LENGTH_MM = 7.0
"""The crack deviates from a plane by about this much, over about this length."""
BASE_MM = 10.0
"""A trochanteric fracture crosses the neck axis this far towards the head from where it comes nearest to the shaft."""
MARGIN_MM = 12.0


@dataclass(frozen=True)
class Fracture:
    """Where a femur is broken and how far its parts have moved.

    Attributes:
        at: `neck`, through its waist, or `trochanteric`, through its base; both square to the neck axis, which is
            Pauwels' type II and the course of the intertrochanteric line.
        gap_mm: width of the crack.
        varus_deg: by this much the neck has turned down towards a right angle with the shaft, about the head's centre.
    """

    at: str
    gap_mm: float
    varus_deg: float

    def facts(self) -> dict:
        """JSON values."""
        return {
            "fracture_side": str(FRACTURE_SIDE),
            "fracture_at": self.at,
            "fracture_gap_mm": self.gap_mm,
            "fracture_varus_deg": self.varus_deg,
        }


def broken_body(config: SimulationConfig, patient: VirtualPatient, body: Body) -> tuple[Body, Fracture]:
    """The patient with the fracture that is drawn for him, the same whenever it is asked for."""
    rng = generator(config.seed, patient.index, "ct", 2)
    fracture = draw_fracture(rng)
    return break_femur(body, FRACTURE_SIDE, fracture, rng), fracture


def draw_fracture(rng: np.random.Generator) -> Fracture:
    """A displaced fracture, of the neck or trochanteric; both are about equally common."""
    at = "neck" if rng.random() < 0.5 else "trochanteric"
    return Fracture(at, float(rng.uniform(3.0, 5.0)), float(rng.uniform(8.0, 16.0)))


def break_femur(body: Body, side: Side, fracture: Fracture, rng: np.random.Generator) -> Body:
    """The body with a broken femur; landmarks stay those of the intact one.

    The head stays in its socket. Where the fragment left, and in the crack, there is blood (lean tissue); where it
    came to lie, it takes the place of what was there, so that volumes still add up and crushed bone is lost.

    Args:
        body: before.
        side: of the femur.
        fracture: what to break.
        rng: source of the crack's roughness.
    """
    femur = body.femurs[side]
    box = _box(body, side)
    grid = body.grid.crop(tuple(s.start for s in box), body.bones[box].shape)
    is_femur = body.bones[box] == FEMUR[side]
    with_surface = binary_dilation(is_femur, np.ones((3, 3, 3), bool)) & ~np.isin(body.bones[box], PELVIS)
    height_mm = _height_mm(femur, fracture, grid) + ROUGHNESS_MM * random_field(grid, ROUGHNESS_LENGTH_MM, rng)
    voxel_mm = grid.voxel_mm3 ** (1 / 3)
    above, below = (_beyond(sign * height_mm, fracture.gap_mm, voxel_mm) for sign in (1, -1))
    fragment = above * with_surface
    lost = with_surface * (1 - below)
    old_from_new = grid.index_from_world @ invert_rigid(_motion(femur, fracture)) @ grid.world_from_index
    arrived = _carried(fragment, old_from_new)
    arrays = {name: getattr(body, name).copy() for name in ("adipose_g_cm3", "lean_g_cm3", "ha_mg_cm3")}
    for name, array in arrays.items():
        blood = LEAN_G_CM3 if name == "lean_g_cm3" else 0.0
        carried = _carried(fragment * array[box], old_from_new)
        left_behind = array[box] + lost * (blood - array[box])
        array[box] = left_behind * (1 - arrived) + carried
    labels = {"bones": (body.bones, FEMUR[side]), "proximal_femur": (body.proximal_femur, PROXIMAL_FEMUR[side])}
    moved: dict[str, Any] = {
        name: _relabelled(array, value, box, above, below, old_from_new) for name, (array, value) in labels.items()
    }
    return replace(body, **(arrays | moved))


def _box(body: Body, side: Side) -> Box:
    """Slices of the grid around head, neck and trochanters."""
    femur = body.femurs[side]
    points_mm = np.stack([femur.head_centre_mm, femur.lesser_trochanter_mm, _crossing_mm(femur)])
    low, high = points_mm.min(axis=0), points_mm.max(axis=0)
    reach_mm = femur.head_radius_mm + MARGIN_MM
    return crop_around(body.grid, np.stack([low - reach_mm, high + reach_mm + 20.0]))


def _crossing_mm(femur: FemurTruth) -> Float[np.ndarray, "3"]:
    """The point of the neck axis nearest to the shaft axis."""
    return femur.head_centre_mm - femur.neck_length_mm * femur.neck_axis


def _height_mm(femur: FemurTruth, fracture: Fracture, grid: VoxelGrid) -> Float[np.ndarray, "k j i"]:
    """Height of voxels above the plane of the fracture, towards the head."""
    on_plane_mm = {
        "neck": femur.neck_centre_mm,
        "trochanteric": _crossing_mm(femur) + BASE_MM * femur.neck_axis,
    }[fracture.at]
    return (grid.coordinates_mm() - on_plane_mm) @ femur.neck_axis


def _beyond(height_mm: np.ndarray, gap_mm: float, voxel_mm: float) -> Float32[np.ndarray, "k j i"]:
    """Share of voxels more than half a gap above the plane."""
    return np.clip(0.5 + (height_mm - gap_mm / 2) / voxel_mm, 0, 1).astype(np.float32)


def _motion(femur: FemurTruth, fracture: Fracture) -> Float[np.ndarray, "4 4"]:
    """Rigid motion of the fragment: the neck turns away from the shaft's direction about the head's centre."""
    axis = np.cross(femur.shaft_axis, femur.neck_axis)
    rotation = rotation_from_vector(np.radians(fracture.varus_deg) * axis / np.linalg.norm(axis))
    return rotation_about(femur.head_centre_mm, rotation)


def _carried(array: np.ndarray, old_from_new: Float[np.ndarray, "4 4"], order: int = 1) -> np.ndarray:
    return affine_transform(array, old_from_new[:3, :3], old_from_new[:3, 3], order=order, output=np.float32)


def _relabelled(
    labels: np.ndarray, value: int, box: Box, above: np.ndarray, below: np.ndarray, old_from_new: np.ndarray
) -> np.ndarray:
    """A label volume whose femur is broken; voxels of the crack lose the label, other bones keep theirs."""
    out, inside = labels.copy(), labels[box] == value
    arrived = _carried((inside & (above >= 0.5)).astype(np.float32), old_from_new) >= 0.5
    part = out[box]
    part[inside & (below < 0.5)] = 0
    part[arrived & (part == 0)] = value
    return out
