"""A solid as a medial mesh: balls at vertices, interpolated over triangles (Thiery et al. 2013, Sphere-Meshes).

One primitive serves bones and muscles: a triangle whose thickness varies linearly is a plate, a triangle with a
repeated vertex is a rod, and one with three equal vertices is a ball.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from jaxtyping import Float, Float32, Int

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid

Box = tuple[slice, slice, slice]
"""Slices (k, j, i) of a part of a grid."""


@dataclass(frozen=True, eq=False)
class MedialMesh:
    """Union of thick triangles.

    Attributes:
        vertices_mm: centres of the balls.
        radii_mm: their radii.
        triangles: indices of three vertices each; equal indices make rods and balls.
    """

    vertices_mm: Float[np.ndarray, "n 3"]
    radii_mm: Float[np.ndarray, "n"]
    triangles: Int[np.ndarray, "m 3"]

    def moved(self, matrix: Float[np.ndarray, "4 4"]) -> MedialMesh:
        """The solid after an affine map of its vertices; radii stay."""
        return replace(self, vertices_mm=apply_affine(matrix, self.vertices_mm))

    def mirrored(self) -> MedialMesh:
        """The solid mirrored in x."""
        return replace(self, vertices_mm=self.vertices_mm * np.array([-1.0, 1.0, 1.0]))

    def joined(self, other: MedialMesh) -> MedialMesh:
        """The union of two solids."""
        return MedialMesh(
            np.concatenate([self.vertices_mm, other.vertices_mm]),
            np.concatenate([self.radii_mm, other.radii_mm]),
            np.concatenate([self.triangles, other.triangles + len(self.vertices_mm)]),
        )

    def box(self, margin_mm: float) -> Float[np.ndarray, "2 3"]:
        """Lowest and highest corner of a box around the solid, LPS millimetres."""
        reach = self.radii_mm[:, None] + margin_mm
        return np.stack([(self.vertices_mm - reach).min(axis=0), (self.vertices_mm + reach).max(axis=0)])


def rods(chains: list[list[tuple[float, float, float, float]]]) -> MedialMesh:
    """Union of chains of (x, y, z, radius), each joined in order."""
    balls = np.array([ball for chain in chains for ball in chain], float)
    triangles, first = [], 0
    for chain in chains:
        pairs = [(first + n, first + n + 1, first + n + 1) for n in range(len(chain) - 1)]
        triangles += pairs or [(first, first, first)]
        first += len(chain)
    return MedialMesh(balls[:, :3], balls[:, 3], np.array(triangles))


def plate(corners: list[tuple[float, float, float, float]]) -> MedialMesh:
    """A plate between four corners (x, y, z, radius) in order around it."""
    balls = np.array(corners, float)
    return MedialMesh(balls[:, :3], balls[:, 3], np.array([[0, 1, 2], [0, 2, 3]]))


def crop_around(grid: VoxelGrid, box_mm: Float[np.ndarray, "2 3"]) -> Box:
    """Slices (k, j, i) of the part of an axial grid that lies in a box; empty slices if none does."""
    index = apply_affine(grid.index_from_world, box_mm)
    start = np.clip(np.floor(index.min(axis=0)).astype(int), 0, grid.shape).tolist()
    stop = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, start, grid.shape).tolist()
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])


def distance_mm(mesh: MedialMesh, grid: VoxelGrid, band_mm: float) -> Float32[np.ndarray, "k j i"]:
    """Signed distance to the solid, negative inside, capped at `band_mm` outside.

    Exact for balls and cylinders, close to it elsewhere (the foot on the surface of a cone is taken square to its
    axis). Each primitive visits only the voxels in its own box.

    Args:
        mesh: the solid.
        grid: an axial grid.
        band_mm: largest distance of interest.
    """
    distance = np.full(grid.shape, band_mm, np.float32)
    origin, spacing = grid.world_from_index[:3, 3], grid.spacing_mm
    _splat(distance, origin, spacing, mesh.vertices_mm, mesh.radii_mm, mesh.triangles, band_mm)
    return distance


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _splat(distance, origin, spacing, vertices, radii, triangles, band):
    """Write the smallest distance to any primitive into the voxels around it."""
    n_k, n_j, n_i = distance.shape
    for t in range(len(triangles)):
        a, b, c = vertices[triangles[t, 0]], vertices[triangles[t, 1]], vertices[triangles[t, 2]]
        r_a, r_b, r_c = radii[triangles[t, 0]], radii[triangles[t, 1]], radii[triangles[t, 2]]
        is_rod = triangles[t, 1] == triangles[t, 2]
        reach = max(r_a, r_b, r_c) + band
        i0 = max(int(np.ceil((min(a[0], b[0], c[0]) - reach - origin[0]) / spacing[2])), 0)
        i1 = min(int(np.floor((max(a[0], b[0], c[0]) + reach - origin[0]) / spacing[2])) + 1, n_i)
        j0 = max(int(np.ceil((min(a[1], b[1], c[1]) - reach - origin[1]) / spacing[1])), 0)
        j1 = min(int(np.floor((max(a[1], b[1], c[1]) + reach - origin[1]) / spacing[1])) + 1, n_j)
        k0 = max(int(np.ceil((min(a[2], b[2], c[2]) - reach - origin[2]) / spacing[0])), 0)
        k1 = min(int(np.floor((max(a[2], b[2], c[2]) + reach - origin[2]) / spacing[0])) + 1, n_k)
        for k in range(k0, k1):
            z = origin[2] + k * spacing[0]
            for j in range(j0, j1):
                y = origin[1] + j * spacing[1]
                for i in range(i0, i1):
                    x = origin[0] + i * spacing[2]
                    d = _rod(x, y, z, a, b, r_a, r_b) if is_rod else _thick_triangle(x, y, z, a, b, c, r_a, r_b, r_c)
                    if d < distance[k, j, i]:
                        distance[k, j, i] = d


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _rod(x, y, z, a, b, r_a, r_b):
    """Distance to a segment less the radius at the nearest point of it; a ball if both ends are one."""
    abx, aby, abz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    apx, apy, apz = x - a[0], y - a[1], z - a[2]
    length2 = max(abx * abx + aby * aby + abz * abz, 1e-9)
    v = min(max((abx * apx + aby * apy + abz * apz) / length2, 0.0), 1.0)
    ex, ey, ez = apx - v * abx, apy - v * aby, apz - v * abz
    return np.sqrt(ex * ex + ey * ey + ez * ez) - (r_a + v * (r_b - r_a))


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _thick_triangle(x, y, z, a, b, c, r_a, r_b, r_c):
    """Distance to a triangle less the radius at the nearest point of it (Ericson 2005, section 5.1.5)."""
    abx, aby, abz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    acx, acy, acz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    apx, apy, apz = x - a[0], y - a[1], z - a[2]
    d1 = abx * apx + aby * apy + abz * apz
    d2 = acx * apx + acy * apy + acz * apz
    bpx, bpy, bpz = x - b[0], y - b[1], z - b[2]
    d3 = abx * bpx + aby * bpy + abz * bpz
    d4 = acx * bpx + acy * bpy + acz * bpz
    cpx, cpy, cpz = x - c[0], y - c[1], z - c[2]
    d5 = abx * cpx + aby * cpy + abz * cpz
    d6 = acx * cpx + acy * cpy + acz * cpz
    area_c, area_b, area_a = d1 * d4 - d3 * d2, d5 * d2 - d1 * d6, d3 * d6 - d5 * d4
    v, w = 0.0, 0.0
    if d1 <= 0.0 and d2 <= 0.0:
        pass
    elif d3 >= 0.0 and d4 <= d3:
        v = 1.0
    elif area_c <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v = d1 / (d1 - d3)
    elif d6 >= 0.0 and d5 <= d6:
        w = 1.0
    elif area_b <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        w = d2 / (d2 - d6)
    elif area_a <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        total = area_a + area_b + area_c
        v, w = area_b / total, area_c / total
    ex, ey, ez = apx - v * abx - w * acx, apy - v * aby - w * acy, apz - v * abz - w * acz
    return np.sqrt(ex * ex + ey * ey + ez * ez) - (r_a + v * (r_b - r_a) + w * (r_c - r_a))
