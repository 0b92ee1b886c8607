"""The muscles of a patient as solids, and what thin planes of fat leave of them where they touch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation import muscle_templates
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.medial_mesh import MedialMesh, crop_around, distance_mm, rods
from osteoray.simulation.muscle_straps import STRAPS, THIGH_BELOW_MM, Chain, thigh_coordinates

PLANE_MM = 1.6
"""Thickness of the fat between two muscles that touch."""

BAND_MM = 5.0
"""Cap of the distance outside muscles."""


def muscles(
    parameters: AnatomyParameters,
    world_from_pelvis: Float[np.ndarray, "4 4"],
    world_from_femur: dict[Side, Float[np.ndarray, "4 4"]],
) -> MedialMesh:
    """Muscles and vessels of both sides; those of the trunk move with the pelvis, those of the thigh with the femur.

    Args:
        parameters: thickness of the muscles.
        world_from_pelvis: map of the pelvis template, size included.
        world_from_femur: map of a left or mirrored femur template, size included.
    """
    # The last solid of the trunk is the abdominal wall, which follows the belly instead (`tissue_sampling`).
    triangles = muscle_templates.TRUNK_TRIANGLES
    triangles = triangles[(triangles < muscle_templates.FIRST_WALL_BALL).all(axis=1)]
    trunk = _solid(muscle_templates.TRUNK_BALLS, triangles, parameters)
    thigh = _solid(muscle_templates.THIGH_BALLS, muscle_templates.THIGH_TRIANGLES, parameters)
    both = trunk.joined(trunk.mirrored()).moved(world_from_pelvis)
    for side, matrix in world_from_femur.items():
        both = both.joined(thigh.moved(matrix))
        mirror = np.diag([1.0 if side == Side.LEFT else -1.0, 1.0, 1.0, 1.0])
        for chains in STRAPS.values():
            both = both.joined(_strap(_ribbon(chains), parameters, world_from_pelvis @ mirror, matrix))
    return both


def _solid(balls: np.ndarray, triangles: np.ndarray, parameters: AnatomyParameters) -> MedialMesh:
    return MedialMesh(0.1 * balls[:, :3], 0.1 * balls[:, 3] * parameters.size * parameters.muscle_scale, triangles)


def _strap(
    mesh: MedialMesh,
    parameters: AnatomyParameters,
    world_from_pelvis: Float[np.ndarray, "4 4"],
    world_from_femur: Float[np.ndarray, "4 4"],
) -> MedialMesh:
    """A slender muscle: its upper part moves with the pelvis and its lower part with the femur."""
    upper = apply_affine(world_from_pelvis, mesh.vertices_mm)
    lower = apply_affine(world_from_femur, thigh_coordinates(mesh.vertices_mm))
    points = np.where(mesh.vertices_mm[:, 2:] > THIGH_BELOW_MM, upper, lower)
    return MedialMesh(points, mesh.radii_mm * parameters.size * parameters.muscle_scale, mesh.triangles)


def separated_mm(mesh: MedialMesh, grid: VoxelGrid) -> Float32[np.ndarray, "k j i"]:
    """Distance to the muscles, negative inside, with a plane of fat between every two of them.

    Where two muscles overlap, each keeps what is deeper in itself.

    Args:
        mesh: every connected part is a muscle.
        grid: axial voxels.
    """
    nearest = np.full(grid.shape, BAND_MM, np.float32)
    second = nearest.copy()
    for muscle in _parts(mesh):
        box = crop_around(grid, muscle.box(BAND_MM))
        crop = grid.crop(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))
        if min(crop.shape) == 0:
            continue
        distance = distance_mm(muscle, crop, BAND_MM)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], distance))
        nearest[box] = np.minimum(nearest[box], distance)
    return np.maximum(nearest, 0.5 * (nearest - second + PLANE_MM))


def _parts(mesh: MedialMesh) -> list[MedialMesh]:
    """The connected parts of a mesh."""
    a, b, c = mesh.triangles.T
    rows, columns = np.concatenate([a, a]), np.concatenate([b, c])
    count = len(mesh.vertices_mm)
    links = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    labels = connected_components(links, directed=False)[1]
    used = labels[a]
    return [_compact(mesh, mesh.triangles[used == n]) for n in np.unique(used)]


def _compact(mesh: MedialMesh, triangles: np.ndarray) -> MedialMesh:
    """Some triangles of a mesh with only the balls that they use."""
    kept, index = np.unique(triangles, return_inverse=True)
    return MedialMesh(mesh.vertices_mm[kept], mesh.radii_mm[kept], index.reshape(-1, 3))


def _ribbon(chains: tuple[Chain, ...]) -> MedialMesh:
    """Chains of the same length side by side as one ribbon; others as rods."""
    mesh = rods([list(chain) for chain in chains])
    count = len(chains[0])
    if len(chains) != 2 or len(chains[1]) != count:
        return mesh
    first = np.arange(count - 1)
    across = np.concatenate(
        [
            np.stack([first, first + 1, first + count], axis=1),
            np.stack([first + 1, first + count + 1, first + count], axis=1),
        ]
    )
    return MedialMesh(mesh.vertices_mm, mesh.radii_mm, across)
