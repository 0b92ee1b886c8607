"""A virtual sacrum and coccyx: the outline of the templates with bodies, canal, foramina, crest and endplate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation import bone_templates
from osteoray.simulation.medial_mesh import MedialMesh, distance_mm, plate, rods
from osteoray.simulation.spine import Endplate

_SACROILIAC_GAP_MM = 2.0

_MIDLINE_A = np.array([(25, 91), (48, 75), (69, 58), (82, 36), (85, 14), (80, -5), (70, -31)], float)
_MIDLINE_B = np.array([(45, 83), (66, 65), (86, 45), (102, 23), (103, 3), (97, -15), (87, -37)], float)
"""Middle of the bodies (y, z) in the median plane of both label maps: top of S1, the four fusions, end of S5, tip of
the coccyx; millimetres in the frame of the pelvis template."""

_HALF_DEPTH_MM = (16.0, 11.5, 9.0, 7.5, 6.0, 5.0)
_HALF_WIDTH_MM = (25.0, 18.0, 15.0, 13.0, 11.0, 9.0)
_CANAL_MM = (6.2, 5.8, 4.8, 3.6, 2.6, 2.0)
"""Half the depth of the canal behind the same places."""

_FORAMEN_X_MM = (19.0, 17.0, 15.5, 14.0)
_FORAMEN_MM = (5.8, 5.2, 4.4, 3.6)
"""Radius of the mouths of the anterior foramina, S1 to S4."""


@dataclass(frozen=True, eq=False)
class Sacrum:
    """Solids that make a sacrum, in the world.

    Attributes:
        solid: outline, bodies, lamina, crest, articular processes, coccyx.
        hollow: canal, foramina and the gaps between the segments of the coccyx.
        endplate: top of S1.
        fusions_mm: middle of the fused discs, S1/S2 to S4/S5.
        down: unit tangent of the midline at each fusion.
        size: linear size relative to the template.
    """

    solid: MedialMesh
    hollow: MedialMesh
    endplate: Endplate
    fusions_mm: Float[np.ndarray, "4 3"]
    down: Float[np.ndarray, "4 3"]
    size: float


def build_sacrum(blend: float, size: float, world_from_template: Float[np.ndarray, "4 4"]) -> Sacrum:
    """Blend the templates and add what they lack.

    Args:
        blend: 0 the first template, 1 the second.
        size: linear size, for the radii.
        world_from_template: map of the templates, size included.
    """
    midline = (1 - blend) * _MIDLINE_A + blend * _MIDLINE_B
    tangent = np.gradient(midline, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # Towards the back: the tangent runs down, so its left normal in (y, z) points up and back.
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    canal = midline[:6] + normal[:6] * (np.array(_HALF_DEPTH_MM) + np.array(_CANAL_MM) - 1.0)[:, None]
    solid = _outline(blend).joined(_bodies(midline, tangent)).joined(_roof(canal, normal)).joined(_coccyx(midline))
    hollow = _canal(canal).joined(_foramina(midline, canal, normal)).joined(_coccygeal_gaps(midline))
    solid, hollow = (MedialMesh(mesh.vertices_mm, mesh.radii_mm * size, mesh.triangles) for mesh in (solid, hollow))
    turned = world_from_template[:3, :3] / size
    up = turned @ np.array([0.0, *(-tangent[0])])
    # The body of S1 is a wedge: its endplate tilts less than its axis.
    slope_deg = float(np.degrees(np.arctan2(-up[1], up[2]))) - 4.0
    points = np.c_[np.zeros(4), midline[1:5]]
    return Sacrum(
        solid=solid.moved(world_from_template),
        hollow=hollow.moved(world_from_template),
        endplate=Endplate(apply_affine(world_from_template, np.array([0.0, *midline[0]])), slope_deg),
        fusions_mm=apply_affine(world_from_template, points),
        down=np.c_[np.zeros(4), tangent[1:5]] @ turned.T,
        size=size,
    )


def _outline(blend: float) -> MedialMesh:
    """The templates' half and its mirror image; half a millimetre off keeps the volume of the symmetric union."""
    balls = 0.1 * ((1 - blend) * bone_templates.SACRUM_BALLS_A + blend * bone_templates.SACRUM_BALLS_B)
    # The last triangle is a tail where the coccyx comes.
    half = MedialMesh(balls[:, :3], balls[:, 3] - 0.5, bone_templates.SACRUM_TRIANGLES[:-1])
    return half.joined(half.mirrored())


def _at(x: float, point: Float[np.ndarray, "2"], radius: float) -> tuple[float, float, float, float]:
    return (x, float(point[0]), float(point[1]), radius)


def _bodies(midline: Float[np.ndarray, "7 2"], tangent: Float[np.ndarray, "7 2"]) -> MedialMesh:
    """Bodies of S1 to S5 as one tapering plate; S1 stands above its endplate, which is cut flat later."""
    places = midline[:6].copy()
    places[0] -= 8.0 * tangent[0]
    rings = [(place, depth, width) for place, depth, width in zip(places, _HALF_DEPTH_MM, _HALF_WIDTH_MM, strict=True)]
    plates = []
    for (a, r_a, w_a), (b, r_b, w_b) in pairwise(rings):
        corners = [_at(-(w_a - r_a), a, r_a), _at(w_a - r_a, a, r_a), _at(w_b - r_b, b, r_b), _at(-(w_b - r_b), b, r_b)]
        plates.append(plate(corners))
    return reduce(MedialMesh.joined, plates)


def _roof(canal: Float[np.ndarray, "6 2"], normal: Float[np.ndarray, "7 2"]) -> MedialMesh:
    """Laminae behind the canal, the tubercles of the median crest, and the processes that carry L5's facets."""
    back = canal + normal[:6] * (np.array(_CANAL_MM) + 2.0)[:, None]
    parts = []
    for n in range(3):
        a, b, wide = back[n], back[n + 1], 13.0 - 2.5 * n
        parts.append(plate([_at(-wide, a, 2.6), _at(wide, a, 2.6), _at(wide - 2.5, b, 2.2), _at(2.5 - wide, b, 2.2)]))
    for n, height in enumerate((9.0, 8.0, 6.0)):
        tip = (back[n] + back[n + 1]) / 2 + height * normal[n]
        parts.append(rods([[_at(0.0, back[n], 2.8), _at(0.0, tip, 3.4), _at(0.0, back[n + 1], 2.8)]]))
    for x in (-22.0, 22.0):
        top = canal[0] + np.array([4.0, 8.0])
        parts.append(rods([[_at(x, canal[0] + 2.0 * normal[0], 5.0), _at(1.05 * x, top, 4.6)]]))
    return reduce(MedialMesh.joined, parts)


def _canal(canal: Float[np.ndarray, "6 2"]) -> MedialMesh:
    """Sacral canal, open above; it tapers out at S4."""
    path = np.concatenate([2 * canal[:1] - canal[1:2], canal[:4]])
    radius, half = (_CANAL_MM[0], *_CANAL_MM[:3], 1.5), (8.0, 7.0, 4.5, 2.0, 0.0)
    plates = []
    for n in range(4):
        (a, b), (r_a, r_b), (w_a, w_b) = path[n : n + 2], radius[n : n + 2], half[n : n + 2]
        plates.append(plate([_at(-w_a, a, r_a), _at(w_a, a, r_a), _at(w_b, b, r_b), _at(-w_b, b, r_b)]))
    return reduce(MedialMesh.joined, plates)


def _foramina(
    midline: Float[np.ndarray, "7 2"], canal: Float[np.ndarray, "6 2"], normal: Float[np.ndarray, "7 2"]
) -> MedialMesh:
    """Channels from the canal to the front, widening sideways, and narrower ones to the back."""
    chains = []
    for n, (x, radius) in enumerate(zip(_FORAMEN_X_MM, _FORAMEN_MM, strict=True), start=1):
        # Steeper than the bodies: seen from the front they are open.
        forward = 0.45 * normal[n] + np.array([0.55, 0.0])
        front = midline[n] - (_HALF_DEPTH_MM[n] + 10.0) * forward / np.linalg.norm(forward)
        for sign in (-1.0, 1.0):
            middle, groove = _at(sign * x, midline[n], 0.8 * radius), _at(sign * (x + 3.0), front, 1.3 * radius)
            chains.append([_at(0.85 * sign * x, canal[n], 0.6 * radius), middle, groove])
            chains.append([middle, _at(sign * (x - 1.0), canal[n] + 18.0 * normal[n], 0.55 * radius)])
    return rods(chains)


def _coccyx(midline: Float[np.ndarray, "7 2"]) -> MedialMesh:
    """Four shrinking segments on a curve below S5."""
    start, tip = midline[5], midline[6]
    chains = []
    for fraction, half, radius in ((0.14, 7.0, 4.2), (0.46, 3.6, 3.7), (0.73, 2.0, 3.2), (0.95, 0.8, 2.7)):
        place = start + fraction * (tip - start) + np.array([2.5 * np.sin(np.pi * fraction), 0.0])
        chains.append([_at(-half, place, radius - 0.8), _at(0.0, place, radius), _at(half, place, radius - 0.8)])
        chains.append([_at(0.0, place - 0.10 * (tip - start), radius - 0.4), _at(0.0, place, radius)])
    return rods(chains)


def _coccygeal_gaps(midline: Float[np.ndarray, "7 2"]) -> MedialMesh:
    """Thin discs between S5 and the coccyx and below its first segment."""
    start, tip = midline[5], midline[6]
    along = (tip - start) / np.linalg.norm(tip - start)
    across = 12.0 * np.array([-along[1], along[0]])
    gaps = []
    for fraction in (-0.04, 0.31):
        place = start + fraction * (tip - start)
        corners = [(-14.0, place - across), (14.0, place - across), (14.0, place + across), (-14.0, place + across)]
        gaps.append(plate([_at(x, point, 0.9) for x, point in corners]))
    return reduce(MedialMesh.joined, gaps)


def sacrum_distance_mm(
    raw_mm: Float32[np.ndarray, "k j i"],
    grid: VoxelGrid,
    sacrum: Sacrum,
    hips_mm: Float32[np.ndarray, "k j i"],
    band_mm: float,
) -> Float32[np.ndarray, "k j i"]:
    """The sacrum with a flat endplate, its hollows, and the gaps of the sacroiliac joints.

    Args:
        raw_mm: distance to the solid.
        grid: its voxels.
        sacrum: what is cut out.
        hips_mm: smallest distance to a hip bone.
        band_mm: largest distance of interest.
    """
    distance = np.maximum(raw_mm, _SACROILIAC_GAP_MM - hips_mm)
    distance = np.maximum(distance, -distance_mm(sacrum.hollow, grid, band_mm))
    slope = np.radians(sacrum.endplate.slope_deg)
    up, back = np.array([0.0, -np.sin(slope), np.cos(slope)]), np.array([0.0, np.cos(slope), np.sin(slope)])
    offset = grid.coordinates_mm()[:, :, :1, 1:] - sacrum.endplate.centre_mm[1:]
    above, behind = offset @ up[1:], offset @ back[1:]
    # Above the endplate and in front of the canal there is disc; the articular processes stand behind.
    disc = np.minimum(above, 20.0 * sacrum.size - behind)
    return np.maximum(distance, disc).astype(np.float32)
