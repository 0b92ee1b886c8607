"""Skin, subcutaneous fat, muscles, organs and bowel gas around a virtual skeleton."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation import muscle_templates
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.composition import occupied
from osteoray.simulation.medial_mesh import MedialMesh, distance_mm
from osteoray.simulation.texture import random_field

SKIN_MM = 2.0
"""Thickness of the skin."""

FAT_LEAN_SHARE = 0.04
"""Lean share of fat outside muscles and organs: septa and vessels."""

_HEIGHTS_MM = np.array([-110.0, -40.0, 0.0, 50.0, 100.0, 150.0, 230.0])
"""Heights above the femoral heads, at unit size, where the outline of the trunk is given."""

_FRONT_MM = np.array([62.0, 68.0, 74.0, 88.0, 100.0, 106.0, 106.0])
_BACK_MM = np.array([84.0, 98.0, 104.0, 104.0, 100.0, 92.0, 90.0])
_SIDE_MM = np.array([-14.0, 2.0, 10.0, -4.0, -18.0, -30.0, -32.0])
"""Half width of the trunk below the fat, relative to the lateral reach of the femurs."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Cross sections of trunk and thighs at each slice of a grid.

    Attributes:
        trunk_mm: half width, front and back reach, per slice.
        thighs_mm: per slice and thigh centre x, centre y, half width, half depth.
        crotch_mm: height where the trunk ends.
    """

    trunk_mm: Float[np.ndarray, "k 3"]
    thighs_mm: Float[np.ndarray, "k 2 4"]
    crotch_mm: float

    def thickened(self, fat_mm: tuple[float, float, float]) -> Outline:
        """The outline with fat at front, side and back added."""
        front, side, back = fat_mm
        thighs = self.thighs_mm + np.array([0.0, 0.0, 0.8 * side, 0.35 * (front + side)])
        thighs[..., 0] += 0.2 * side * np.sign(thighs[..., 0])
        return Outline(self.trunk_mm + np.array([side, front, back]), thighs, self.crotch_mm)

    def reach_mm(self) -> Float[np.ndarray, "3"]:
        """Largest half width, front and back reach."""
        x, y, half_width, half_depth = np.moveaxis(self.thighs_mm, -1, 0)
        thighs = np.array([(np.abs(x) + half_width).max(), (half_depth - y).max(), (half_depth + y).max()])
        return np.maximum(self.trunk_mm.max(axis=0), thighs)


def core_outline(
    heights_mm: Float[np.ndarray, "k"], parameters: AnatomyParameters, femurs: dict[Side, FemurTruth], reach_mm: float
) -> Outline:
    """Outline of the body below the subcutaneous fat.

    Args:
        heights_mm: z of the slices; the femoral heads are at 0.
        parameters: size, weight and muscles.
        femurs: the thighs follow their shafts.
        reach_mm: lateral reach of the greater trochanters.
    """
    size, muscle = parameters.size, parameters.muscle_scale
    belly = 2.0 * (parameters.bmi - 22.0) / (1.0 + np.exp(-(heights_mm / size - 70.0) / 15.0))
    knots = _HEIGHTS_MM * size
    trunk = np.stack(
        [
            np.interp(heights_mm, knots, reach_mm + _SIDE_MM * size) + 0.4 * belly,
            np.interp(heights_mm, knots, _FRONT_MM * size) + belly,
            np.interp(heights_mm, knots, _BACK_MM * size),
        ],
        axis=1,
    )
    crotch_mm = -80.0 * size
    taper = 0.10 * np.maximum(crotch_mm - heights_mm, 0.0)
    thighs = np.empty((len(heights_mm), 2, 4))
    for n, (side, femur) in enumerate(femurs.items()):
        along = (heights_mm - femur.shaft_point_mm[2]) / femur.shaft_axis[2]
        outward = 1.0 if side == Side.LEFT else -1.0
        shaft_x = outward * (femur.shaft_point_mm[0] + along * femur.shaft_axis[0])
        lateral = np.minimum(shaft_x + 58.0 * size * muscle, reach_mm + 8.0 * size) - taper
        medial = np.maximum(shaft_x - 108.0 * size * muscle, 6.0) + taper
        thighs[:, n, 0] = outward * (lateral + medial) / 2
        thighs[:, n, 1] = femur.shaft_point_mm[1] + along * femur.shaft_axis[1] + 8.0 * size
        thighs[:, n, 2] = (lateral - medial) / 2
        thighs[:, n, 3] = 78.0 * size * muscle - taper
    return Outline(trunk, thighs, crotch_mm)


def outline_distance_mm(outline: Outline, grid: VoxelGrid) -> Float32[np.ndarray, "k j i"]:
    """Approximate signed distance to an outline, negative inside."""
    origin = grid.world_from_index[:3, 3]
    out = np.empty(grid.shape, np.float32)
    _outline(out, origin, grid.spacing_mm, outline.trunk_mm, outline.thighs_mm, outline.crotch_mm)
    return out


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _outline(out, origin, spacing, trunk, thighs, crotch):
    """Smooth union of a superellipse and two ellipses; distances are taken along the radius."""
    blend = 16.0
    for k in range(out.shape[0]):
        z = origin[2] + k * spacing[0]
        for j in range(out.shape[1]):
            y = origin[1] + j * spacing[1]
            depth = trunk[k, 1] if y < 0 else trunk[k, 2]
            v = (y / depth) ** 2
            for i in range(out.shape[2]):
                x = origin[0] + i * spacing[2]
                u = (x / trunk[k, 0]) ** 2
                q = 0.5 * (np.sqrt(u + v) + np.sqrt(np.sqrt(u * u + v * v))) + 1e-6
                # The perineum slopes from the pubis in front to the fold below the buttocks.
                d = max((1.0 - 1.0 / q) * np.sqrt(x * x + y * y), 0.9 * (crotch - 0.4 * y - z))
                thigh = 1e3
                for n in range(2):
                    dx, dy = x - thighs[k, n, 0], y - thighs[k, n, 1]
                    q = np.sqrt((dx / thighs[k, n, 2]) ** 2 + (dy / thighs[k, n, 3]) ** 2) + 1e-6
                    e = max((1.0 - 1.0 / q) * np.sqrt(dx * dx + dy * dy), 0.35 * (z - 10.0))
                    # The thighs never merge across the midline.
                    thigh = min(thigh, max(e, 1.5 - x if thighs[k, n, 0] > 0 else 1.5 + x))
                h = max(blend - abs(d - thigh), 0.0)
                d = min(d, thigh) - 0.25 * h * h / blend
                out[k, j, i] = d


def muscles(
    parameters: AnatomyParameters,
    world_from_pelvis: Float[np.ndarray, "4 4"],
    world_from_femur: dict[Side, Float[np.ndarray, "4 4"]],
) -> MedialMesh:
    """Muscles of both sides; those of the trunk move with the pelvis, those of the thigh with the femur.

    Args:
        parameters: thickness of the muscles.
        world_from_pelvis: map of the pelvis template, size included.
        world_from_femur: map of a left or mirrored femur template, size included.
    """
    trunk = _solid(muscle_templates.TRUNK_BALLS, muscle_templates.TRUNK_TRIANGLES, parameters)
    thigh = _solid(muscle_templates.THIGH_BALLS, muscle_templates.THIGH_TRIANGLES, parameters)
    both = trunk.joined(trunk.mirrored()).moved(world_from_pelvis)
    for matrix in world_from_femur.values():
        both = both.joined(thigh.moved(matrix))
    return both


def _solid(balls: np.ndarray, triangles: np.ndarray, parameters: AnatomyParameters) -> MedialMesh:
    scale = parameters.size * parameters.muscle_scale
    return MedialMesh(0.1 * balls[:, :3], 0.1 * balls[:, 3] * scale, triangles)


def soft_tissue(
    grid: VoxelGrid,
    core: Outline,
    parameters: AnatomyParameters,
    muscle_mesh: MedialMesh,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "k j i"], Float32[np.ndarray, "k j i"]]:
    """Share of each voxel inside the body (gas excluded), and the lean share of its soft tissue.

    Args:
        grid: the voxels.
        core: outline below the subcutaneous fat.
        parameters: fat, muscles, size.
        muscle_mesh: the muscles.
        rng: source of organs, gas and infiltration.
    """
    voxel_mm = float(grid.voxel_mm3 ** (1 / 3))
    core_mm = outline_distance_mm(core, grid)
    skin_mm = outline_distance_mm(core.thickened(parameters.fat_mm), grid)
    z, y, x = (a.astype(np.float32) for a in _axes(grid))
    # Above the pelvic brim, which rises from the pubis to the promontory.
    above = z > 45.0 * parameters.size + y
    lean = np.full(grid.shape, FAT_LEAN_SHARE, np.float32)
    organs = np.clip(0.55 + 1.2 * random_field(grid, 28.0, rng), 0.1, 0.97)
    cavity = ((core_mm < -14.0) & above & (y < 35.0)) | (
        _ellipsoid(x, y, z, np.array([0.0, 18.0, 15.0]), np.array([52.0, 48.0, 75.0]), parameters.size) < 1
    )
    lean[cavity] = organs[cavity]
    # Abdominal wall: muscle just below the fat.
    lean[(core_mm < 0.0) & (core_mm > -11.0) & above] = 1.0 - parameters.muscle_fat
    bladder = _ellipsoid(x, y, z, np.array([0.0, -22.0, 12.0]), rng.uniform(18.0, 40.0, 3), parameters.size) < 1
    lean[bladder] = 0.99
    muscle = occupied(distance_mm(muscle_mesh, grid, voxel_mm), voxel_mm)
    muscle *= core_mm < 4.0
    infiltrated = 1.0 - np.clip(parameters.muscle_fat * (1.0 + random_field(grid, 9.0, rng)), 0.0, 0.6)
    lean += muscle * np.maximum(infiltrated - lean, 0.0)
    lean[skin_mm > -SKIN_MM] = 0.98
    inside = occupied(skin_mm, voxel_mm).astype(np.float32)
    for _ in range(int(rng.integers(1, 7))):
        centre = rng.uniform([-70.0, -70.0, 25.0], [70.0, 5.0, 170.0])
        gas = _ellipsoid(x, y, z, centre, rng.uniform(5.0, 17.0, 3), parameters.size) < 1
        inside[gas & cavity] = 0.0
    return inside, lean


def _axes(grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World coordinates z, y, x of an axial grid, shaped to broadcast."""
    origin, step = grid.world_from_index[:3, 3], grid.spacing_mm
    n_k, n_j, n_i = grid.shape
    return (
        (origin[2] + step[0] * np.arange(n_k))[:, None, None],
        (origin[1] + step[1] * np.arange(n_j))[None, :, None],
        (origin[0] + step[2] * np.arange(n_i))[None, None, :],
    )


def _ellipsoid(x, y, z, centre, radii, size) -> np.ndarray:
    """Squared relative radius: below 1 inside."""
    c, r = (np.asarray(centre) * size).astype(np.float32), (np.asarray(radii) * size).astype(np.float32)
    return ((x - c[0]) / r[0]) ** 2 + ((y - c[1]) / r[1]) ** 2 + ((z - c[2]) / r[2]) ** 2


def world_from_femur(femur: FemurTruth, side: Side, size: float) -> Float[np.ndarray, "4 4"]:
    """Map of the femur template (x lateral in the plane of head and shaft, z along the shaft) to the world."""
    lateral = femur.shaft_point_mm - femur.head_centre_mm
    lateral = lateral - (lateral @ femur.shaft_axis) * femur.shaft_axis
    lateral /= np.linalg.norm(lateral)
    posterior = np.cross(femur.shaft_axis, lateral) * (1.0 if side == Side.LEFT else -1.0)
    return affine(np.stack([lateral, posterior, femur.shaft_axis], axis=1) * size, femur.head_centre_mm)
