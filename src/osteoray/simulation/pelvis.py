"""A virtual pelvis: hip bones and sacrum blended from templates, and the lowest lumbar vertebrae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.simulation import bone_templates
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.medial_mesh import MedialMesh, rods
from osteoray.simulation.texture import Wobble

_SACROILIAC_GAP_MM = 2.0
_SYMPHYSIS_GAP_MM = 4.0
_FORAMINA = (0.30, 0.46, 0.60, 0.72)
"""Heights of the sacral foramina below the top of the sacrum, relative to its length."""


@dataclass(frozen=True, eq=False)
class Pelvis:
    """Solids of the pelvis in the world, and where the femoral heads belong.

    Attributes:
        hips: hip bone of each side, before the socket is cut out.
        sacrum: sacrum.
        vertebrae: L5 and L4, posterior parts only as rods.
        head_centres_mm: per side.
        world_from_template: the linear map of the templates, for muscles.
    """

    hips: dict[Side, MedialMesh]
    sacrum: MedialMesh
    vertebrae: list[Float[np.ndarray, "2 3"]]
    head_centres_mm: dict[Side, Float[np.ndarray, "3"]]
    world_from_template: Float[np.ndarray, "4 4"]


def build_pelvis(parameters: AnatomyParameters, rng: np.random.Generator) -> Pelvis:
    """Draw a pelvis; the origin of the world lies midway between the femoral heads.

    Both hip bones share a random deformation and have a smaller one of their own.
    """
    t = parameters.pelvis_blend
    hip = 0.1 * ((1 - t) * bone_templates.HIP_BALLS_A + t * bone_templates.HIP_BALLS_B)
    sacrum = 0.1 * ((1 - t) * bone_templates.SACRUM_BALLS_A + t * bone_templates.SACRUM_BALLS_B)
    head = 0.1 * ((1 - t) * bone_templates.HEAD_BALL[:1, :3] + t * bone_templates.HEAD_BALL[1:, :3])
    tilt = rotation_from_vector(np.array([np.radians(parameters.pelvic_tilt_deg), 0.0, 0.0]))
    matrix = affine(tilt @ np.diag([parameters.pelvis_width, 1.0, 1.0]) * parameters.size, np.zeros(3))
    common = Wobble(rng, 55.0, 2.0)
    hips, heads = {}, {}
    for side in Side:
        own = Wobble(rng, 45.0, 0.7)
        mesh = MedialMesh(own(common(hip[:, :3])), hip[:, 3] * parameters.size, bone_templates.HIP_TRIANGLES)
        centre = MedialMesh(own(common(head)), np.ones(1), np.zeros((1, 3), int))
        if side == Side.RIGHT:
            mesh, centre = mesh.mirrored(), centre.mirrored()
        hips[side] = mesh.moved(matrix)
        heads[side] = centre.moved(matrix).vertices_mm[0]
    middle = (heads[Side.LEFT] + heads[Side.RIGHT]) / 2
    matrix = affine(matrix[:3, :3], -middle)
    shift = affine(np.eye(3), -middle)
    points = np.concatenate([sacrum[:, :3] * s for s in (np.array([1, 1, 1]), np.array([-1, 1, 1]))])
    triangles = np.concatenate([bone_templates.SACRUM_TRIANGLES, bone_templates.SACRUM_TRIANGLES + len(sacrum)])
    # The union with its mirror image makes the sacrum symmetric; half a millimetre off keeps its volume.
    both = MedialMesh(points, np.tile(sacrum[:, 3] * parameters.size - 0.5, 2), triangles).moved(matrix)
    return Pelvis(
        hips={side: mesh.moved(shift) for side, mesh in hips.items()},
        sacrum=both,
        vertebrae=_vertebrae(both, parameters.size),
        head_centres_mm={side: centre - middle for side, centre in heads.items()},
        world_from_template=matrix,
    )


def _vertebrae(sacrum: MedialMesh, size: float) -> list[Float[np.ndarray, "2 3"]]:
    """Centre and upward axis of the bodies of L5 and L4, stacked on the endplate of the sacrum."""
    points = sacrum.vertices_mm
    # The endplate is the front of the sacrum's top.
    top = points[(points[:, 2] > points[:, 2].max() - 22.0 * size) & (np.abs(points[:, 0]) < 22.0 * size)]
    base = np.array([0.0, top[:, 1].min() + 14.0 * size, top[:, 2].max() + 4.0 * size])
    axes = [np.array([0.0, -np.sin(angle), np.cos(angle)]) for angle in np.radians([22.0, 8.0])]
    fifth = base + 20.0 * size * axes[0]
    fourth = fifth + 18.5 * size * axes[0] + 18.5 * size * axes[1]
    return [np.stack([fifth, axes[0]]), np.stack([fourth, axes[1]])]


def vertebra_distance_mm(
    vertebra: Float[np.ndarray, "2 3"], size: float, points_mm: Float[np.ndarray, "*n 3"]
) -> Float32[np.ndarray, "*n"]:
    """Signed distance to a vertebral body: an elliptic cylinder with a waist and flat endplates."""
    centre, axis = vertebra
    offset = points_mm - centre
    height = offset @ axis
    depth = offset @ np.cross(axis, [1.0, 0.0, 0.0])
    waist = 1.0 - 0.10 * np.exp(-((height / (9.0 * size)) ** 2))
    ratio = np.sqrt((offset[..., 0] / (25.0 * size)) ** 2 + (depth / (17.5 * size)) ** 2) / waist
    side = (ratio - 1.0) * 17.5 * size
    return np.maximum(side, np.abs(height) - 14.0 * size).astype(np.float32)


def posterior_elements(vertebra: Float[np.ndarray, "2 3"], size: float) -> MedialMesh:
    """Pedicles, articular and transverse processes, laminae and the spinous process of a vertebra."""
    chains = [[(0.0, 40.0, -2.0, 3.5), (0.0, 62.0, -8.0, 4.5)], [(0.0, 40.0, -2.0, 3.5), (0.0, 52.0, -12.0, 4.0)]]
    for x in (-1.0, 1.0):
        chains += [
            [(17 * x, 12.0, 5.0, 6.0), (19 * x, 26.0, 2.0, 6.0), (17 * x, 32.0, -8.0, 5.5), (0.0, 40.0, -4.0, 3.5)],
            [(19 * x, 24.0, 3.0, 5.0), (36 * x, 27.0, 4.0, 3.5), (44 * x, 29.0, 6.0, 3.5)],
            [(18 * x, 29.0, 14.0, 4.5), (18 * x, 30.0, -14.0, 5.0)],
        ]
    mesh = rods(chains)
    centre, axis = vertebra
    posterior = np.cross(axis, [1.0, 0.0, 0.0])
    return MedialMesh(mesh.vertices_mm, mesh.radii_mm * size, mesh.triangles).moved(
        affine(np.stack([[1.0, 0.0, 0.0], posterior, axis], axis=1) * size, centre)
    )


def hip_distance_mm(
    raw_mm: Float32[np.ndarray, "k j i"],
    grid: VoxelGrid,
    head_centre_mm: Float[np.ndarray, "3"],
    socket_radius_mm: float,
    side: Side,
) -> Float32[np.ndarray, "k j i"]:
    """A hip bone with its socket and its half of the symphysis cut out.

    Args:
        raw_mm: distance to the uncut hip bone.
        grid: its voxels.
        head_centre_mm: centre of the socket.
        socket_radius_mm: head radius and cartilage.
        side: which hip bone.
    """
    points = grid.coordinates_mm().astype(np.float32)
    socket = socket_radius_mm - np.linalg.norm(points - head_centre_mm.astype(np.float32), axis=-1)
    outward = points[..., 0] if side == Side.LEFT else -points[..., 0]
    return np.maximum(np.maximum(raw_mm, socket), _SYMPHYSIS_GAP_MM / 2 - outward)


def sacrum_distance_mm(
    raw_mm: Float32[np.ndarray, "k j i"], grid: VoxelGrid, sacrum: MedialMesh, hips_mm: Float32[np.ndarray, "k j i"]
) -> Float32[np.ndarray, "k j i"]:
    """The sacrum less the sacroiliac joint gaps and four pairs of foramina.

    Args:
        raw_mm: distance to the uncut sacrum.
        grid: its voxels.
        sacrum: the solid, which places the foramina.
        hips_mm: smallest distance to a hip bone.
    """
    low, high = sacrum.box(0.0)
    length = high[2] - low[2]
    origin, step = grid.world_from_index[:3, 3], grid.spacing_mm
    z = (origin[2] + step[0] * np.arange(grid.shape[0]))[:, None, None]
    y = (origin[1] + step[1] * np.arange(grid.shape[1]))[None, :, None]
    x = (origin[0] + step[2] * np.arange(grid.shape[2]))[None, None, :]
    # The canals run down and backwards.
    level = z + 0.5 * (y - (low[1] + high[1]) / 2)
    distance = np.maximum(raw_mm, _SACROILIAC_GAP_MM - hips_mm)
    for n, fraction in enumerate(_FORAMINA):
        beside = np.abs(x) - length * (0.16 - 0.012 * n)
        radius = length * (0.036 - 0.003 * n)
        distance = np.maximum(distance, radius - np.hypot(beside, level - (high[2] - fraction * length)))
    return distance.astype(np.float32)
