"""A virtual pelvis: hip bones blended from templates, with the sacrum between them and the spine on it."""

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
from osteoray.simulation.medial_mesh import MedialMesh
from osteoray.simulation.sacrum import Sacrum, build_sacrum
from osteoray.simulation.spine import Vertebra, build_spine
from osteoray.simulation.texture import Wobble, random_field

_SYMPHYSIS_GAP_MM = 4.0


@dataclass(frozen=True, eq=False)
class Pelvis:
    """Solids of the pelvis in the world, and where the femoral heads belong.

    Attributes:
        hips: hip bone of each side, before the socket is cut out.
        sacrum: sacrum and coccyx.
        spine: L5 up to T12.
        head_centres_mm: per side.
        world_from_template: the linear map of the templates, for muscles.
    """

    hips: dict[Side, MedialMesh]
    sacrum: Sacrum
    spine: list[Vertebra]
    head_centres_mm: dict[Side, Float[np.ndarray, "3"]]
    world_from_template: Float[np.ndarray, "4 4"]


def build_pelvis(parameters: AnatomyParameters, rng: np.random.Generator) -> Pelvis:
    """Draw a pelvis; the origin of the world lies midway between the femoral heads.

    Both hip bones share a random deformation and have a smaller one of their own.
    """
    t = parameters.pelvis_blend
    hip = 0.1 * ((1 - t) * bone_templates.HIP_BALLS_A + t * bone_templates.HIP_BALLS_B)
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
    sacrum = build_sacrum(t, parameters.size, matrix)
    return Pelvis(
        hips={side: mesh.moved(shift) for side, mesh in hips.items()},
        sacrum=sacrum,
        spine=build_spine(
            sacrum.endplate,
            parameters.size,
            parameters.disc_scale,
            parameters.lumbar_tilt_deg,
            parameters.spine_bend_deg,
            parameters.rim_mm,
        ),
        head_centres_mm={side: centre - middle for side, centre in heads.items()},
        world_from_template=matrix,
    )


def with_uneven_tuberosity(
    distance_mm: Float32[np.ndarray, "k j i"], grid: VoxelGrid, size: float, rng: np.random.Generator
) -> Float32[np.ndarray, "k j i"]:
    """A hip bone whose thick part behind the sacroiliac joint swells and sinks by about 1 mm over 20 mm.

    Args:
        distance_mm: signed distance to a hip bone.
        grid: its voxels.
        size: linear size relative to the template.
        rng: source of the unevenness.
    """
    z, y, _ = _axes_mm(grid)
    weight = np.clip((y / size - 40.0) / 20.0, 0.0, 1.0) * np.clip((z / size - 35.0) / 20.0, 0.0, 1.0)
    return distance_mm + np.float32(1.8) * weight.astype(np.float32) * random_field(grid, 20.0, rng)


def _axes_mm(grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World coordinates z, y, x of an axial grid, shaped to broadcast."""
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    return z[:, None, None], y[:, None], x


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
    z, y, x = _axes_mm(grid)
    centre = head_centre_mm.astype(np.float32)
    socket = np.float32(socket_radius_mm) - np.sqrt(
        (x - centre[0]) ** 2 + ((y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    )
    outward = x if side == Side.LEFT else -x
    return np.maximum(np.maximum(raw_mm, socket), _SYMPHYSIS_GAP_MM / 2 - outward)
