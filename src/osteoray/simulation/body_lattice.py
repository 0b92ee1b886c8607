"""Distances to skin, flesh and body cavity on a coarse lattice, with the small unevenness of a real body."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body_outline import Outline, smooth_step
from osteoray.simulation.texture import Wobble

LATTICE_MM = 5.0

WALL_MM = {"rectus": 8.0, "semilunar": 4.0, "flank": 13.0}
"""Thickness of the abdominal wall: the rectus in front, the tendon beside it, and the three flat muscles."""


def body_lattice(grid: VoxelGrid, skin: Outline, rng: np.random.Generator) -> Float32[np.ndarray, "k j i 4"]:
    """Signed distances in millimetres on a lattice from the grid's first voxel on.

    Args:
        grid: axial voxels.
        skin: outline with fat.
        rng: source of the unevenness, which differs from left to right.

    Returns:
        Distance to the skin, to the flesh below the fat, to the cavity of abdomen and pelvis (all negative inside)
        and to the muscle of the abdominal wall.
    """
    shape = tuple(int(n) for n in np.ceil(np.array(grid.shape) * grid.spacing_mm / LATTICE_MM).astype(int) + 2)
    lattice = VoxelGrid.axial(shape, (LATTICE_MM,) * 3, tuple(grid.world_from_index[:3, 3]))
    wobble = Wobble(rng, 50.0, 2.0)
    points = wobble(lattice.coordinates_mm().reshape(-1, 3)).reshape(*shape, 3)
    core_mm = skin.core_mm(points)
    x, y, z = np.moveaxis(points / skin.size, -1, 0)
    thickness_mm = wall_thickness_mm(np.abs(x), y)
    # The wall reaches down to the inguinal ligament in front, and back to the muscles beside the spine.
    above = z - 10.0 - 0.85 * np.maximum(np.abs(x) - 20.0, 0.0) + 20.0 * smooth_step(-y, 30.0, 70.0)
    within = np.maximum(core_mm + thickness_mm, np.maximum(35.0 - z - 0.6 * y, y - 42.0 - 0.25 * np.abs(x)))
    cavity = np.maximum(np.minimum(within, pelvic_cavity_mm(x, y, z)), _behind_sacrum_mm(x, y, z))
    wall = np.maximum(np.maximum(core_mm, -core_mm - thickness_mm), np.maximum(-above, y - 60.0))
    # The two halves of the rectus meet in a tendon.
    wall = np.maximum(wall, np.where(y < 0.0, 3.0 - np.abs(x), -10.0))
    return np.stack([skin.skin_mm(points), core_mm, cavity, wall], axis=-1).astype(np.float32)


def wall_thickness_mm(aside: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Thickness of the abdominal wall at a distance from the midline."""
    flank = smooth_step(aside, 62.0, 95.0)
    tendon = np.exp(-(((aside - 66.0) / 8.0) ** 2)) * (y < 0)
    thick = WALL_MM["rectus"] + (WALL_MM["flank"] - WALL_MM["rectus"]) * flank
    return thick + tendon * (WALL_MM["semilunar"] - thick)


def pelvic_cavity_mm(
    x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"], z: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Rough distance to the cavity of the true pelvis, an ellipsoid between pubis and sacrum, at unit size."""
    relative = np.sqrt((x / 50.0) ** 2 + ((y - 14.0) / 54.0) ** 2 + ((z - 22.0) / 72.0) ** 2)
    return (relative - 1.0) * 54.0


def _behind_sacrum_mm(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """How far points lie behind a plane some millimetres in front of the sacrum, which gut does not cross."""
    beside = 60.0 * smooth_step(np.abs(x), 45.0, 80.0) + 100.0 * smooth_step(z, 110.0, 150.0)
    return y - 44.0 + 0.34 * np.maximum(z, 0.0) - beside
