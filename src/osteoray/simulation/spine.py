"""The lower spine of a virtual patient: a chain of vertebrae and discs that stands on the sacrum's endplate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numba
import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.medial_mesh import Box, MedialMesh, crop_around, distance_mm, plate, rods


@dataclass(frozen=True)
class Level:
    """Size of a vertebra of the template person (165 cm), millimetres and degrees.

    Attributes:
        half_width_mm, half_depth_mm, half_height_mm: of the vertebral body at its endplates.
        wedge_deg: angle between the endplates, open to the front.
        disc_mm, disc_wedge_deg: height and angle of the disc below.
        pedicle_half_width_mm: half the width of a pedicle.
        pedicle_x_mm: distance of the pedicle's axis from the midline.
        process_mm: reach of a transverse process from the midline.
    """

    half_width_mm: float
    half_depth_mm: float
    half_height_mm: float
    wedge_deg: float
    disc_mm: float
    disc_wedge_deg: float
    pedicle_half_width_mm: float
    pedicle_x_mm: float
    process_mm: float


LEVELS = (
    Level(26.0, 17.3, 13.4, 8.0, 10.0, 13.0, 5.9, 19.0, 45.0),
    Level(25.3, 17.4, 13.9, 3.0, 11.0, 10.0, 5.0, 17.0, 43.0),
    Level(24.5, 17.2, 13.9, 0.0, 10.5, 8.0, 4.5, 16.0, 48.0),
    Level(23.3, 16.8, 13.6, -2.0, 9.5, 6.0, 4.0, 15.0, 43.0),
    Level(22.3, 16.2, 13.1, -3.0, 8.5, 5.0, 3.7, 14.0, 37.0),
    Level(21.8, 15.8, 12.5, -4.0, 6.5, 3.0, 4.0, 14.0, 22.0),
)
"""L5 up to T12. Pedicles widen from 7.4 mm at L1 to 12.2 mm at L5 and stand 20 to 26 mm apart (Morphometric study of
lumbar vertebral pedicles, Chitwan 2020); bodies as in the label maps from which the pelvis was fitted."""

_FACET_GAP_MM = 1.8


@dataclass(frozen=True, eq=False)
class Vertebra:
    """A vertebra in the world.

    Attributes:
        level: its size before scaling.
        scale: size relative to the template.
        rim_mm: how far the rims of the endplates stand out more than in youth (osteophytes).
        world_from_vertebra: rigid map; x left, y posterior, z up, origin in the middle of the body, millimetres.
    """

    level: Level
    scale: float
    rim_mm: float
    world_from_vertebra: Float[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class Endplate:
    """Top of the sacrum: its middle and its forward tilt from the horizontal (sacral slope)."""

    centre_mm: Float[np.ndarray, "3"]
    slope_deg: float


def build_spine(
    endplate: Endplate, size: float, disc_scale: float, top_tilt_deg: float, bend_deg: float, rim_mm: float
) -> list[Vertebra]:
    """Stack vertebrae L5 to T12 on the sacrum.

    The wedges of discs and bodies are scaled so that the top of L1 has the wanted tilt: lordosis follows sacral slope.

    Args:
        endplate: of the sacrum.
        size: linear size relative to the template.
        disc_scale: height of the discs relative to the template.
        top_tilt_deg: forward tilt of the top of L1; negative leans backwards.
        bend_deg: tilt of T12 to the left in the frontal plane (a mild curve).
        rim_mm: prominence of the rims of the endplates.
    """
    lordosis = sum(level.wedge_deg + level.disc_wedge_deg for level in LEVELS[:5])
    share = (endplate.slope_deg - top_tilt_deg) / lordosis
    place, tilt = endplate.centre_mm, endplate.slope_deg
    spine = []
    for n, level in enumerate(LEVELS):
        lean = bend_deg * np.sin(np.pi * (n + 1) / len(LEVELS))
        below = tilt - share * level.disc_wedge_deg
        place = place + level.disc_mm * disc_scale * size * _axes((tilt + below) / 2, lean)[:, 2]
        axes = _axes(below - share * level.wedge_deg / 2, lean)
        half = level.half_height_mm * size * axes[:, 2]
        spine.append(Vertebra(level, size, rim_mm, affine(axes, place + half)))
        place, tilt = place + 2 * half, below - share * level.wedge_deg
    return spine


def _axes(tilt_deg: float, lean_deg: float) -> Float[np.ndarray, "3 3"]:
    """Left, posterior and upward unit vectors of a vertebra tilted forward and leant to the left, as columns."""
    tilt, lean = np.radians([tilt_deg, lean_deg])
    up = np.array([np.sin(lean), -np.sin(tilt) * np.cos(lean), np.cos(tilt) * np.cos(lean)])
    posterior = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    return np.stack([np.cross(posterior, up), posterior, up], axis=1)


def vertebra_distance_mm(
    vertebra: Vertebra, grid: VoxelGrid, band_mm: float
) -> tuple[Box, Float32[np.ndarray, "k j i"]]:
    """Signed distance to a vertebra, body and arch, in the box of the grid that holds it.

    Args:
        vertebra: which.
        grid: an axial grid.
        band_mm: largest distance of interest.
    """
    arch = vertebral_arch(vertebra)
    body = rods([[(0.0, 0.0, 0.0, 1.45 * vertebra.level.half_width_mm * vertebra.scale)]])
    box = crop_around(grid, arch.joined(body.moved(vertebra.world_from_vertebra)).box(band_mm))
    crop = grid.crop(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))
    distance = distance_mm(arch, crop, band_mm)
    level, scale = vertebra.level, vertebra.scale
    _body(
        distance,
        np.linalg.inv(vertebra.world_from_vertebra) @ crop.world_from_index,
        np.array([level.half_width_mm, level.half_depth_mm, level.half_height_mm]) * scale,
        np.tan(np.radians(level.wedge_deg / 2)),
        vertebra.rim_mm,
    )
    return box, distance


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _body(distance, local_from_index, half, slope, rim):
    """Union with a waisted, kidney-shaped cylinder with concave endplates; distances are first-order."""
    m = local_from_index
    for k in range(distance.shape[0]):
        for j in range(distance.shape[1]):
            for i in range(distance.shape[2]):
                x = m[0, 0] * k + m[0, 1] * j + m[0, 2] * i + m[0, 3]
                y = m[1, 0] * k + m[1, 1] * j + m[1, 2] * i + m[1, 3]
                z = m[2, 0] * k + m[2, 1] * j + m[2, 2] * i + m[2, 3]
                top = half[2] - slope * y
                height = min(abs(z) / max(top, 1.0), 1.0)
                # The back of the body is concave, and its sides are waisted between the rims.
                u = x / half[0]
                v = (y + 0.10 * half[1] * (1.0 - min(u * u, 1.0))) / (half[1] if y < 0 else 0.92 * half[1])
                flare = 1.0 - 0.13 * (1.0 - height * height) + rim / half[0] * height**8
                q = np.sqrt(u * u + v * v) / flare + 1e-6
                side = (1.0 - 1.0 / q) * np.sqrt(x * x + y * y)
                end = abs(z) - top + 1.8 * max(1.0 - q * q, 0.0)
                # A rounded edge of 2 mm.
                a, b = max(side + 2.0, 0.0), max(end + 2.0, 0.0)
                d = min(max(side, end), -2.0) + np.sqrt(a * a + b * b) if (a > 0 and b > 0) else max(side, end)
                distance[k, j, i] = min(distance[k, j, i], d)


def vertebral_arch(vertebra: Vertebra) -> MedialMesh:
    """Pedicles, laminae, articular, transverse and spinous processes in the world."""
    level = vertebra.level
    back = 0.85 * level.half_depth_mm
    parts = [_spinous_process(level, back)]
    for sign in (-1.0, 1.0):
        parts += _half_arch(level, back, sign)
    mesh = reduce(MedialMesh.joined, parts)
    scaled = MedialMesh(mesh.vertices_mm * vertebra.scale, mesh.radii_mm * vertebra.scale, mesh.triangles)
    return scaled.moved(vertebra.world_from_vertebra)


def _spinous_process(level: Level, back: float) -> MedialMesh:
    """A plate in the midline, thickened at its end; shorter at L5, which has the widest pedicles."""
    length = 30.0 - 2.5 * max(level.pedicle_half_width_mm - 4.0, 0.0)
    start, end = back + 21.0, back + 21.0 + length
    corners = [(0.0, start, -3.0, 2.6), (0.0, end, -8.0, 3.2), (0.0, end - 2.0, -19.0, 4.0), (0.0, start, -14.0, 2.6)]
    return plate([(c[0], c[1], c[2], c[3]) for c in corners])


def _half_arch(level: Level, back: float, sign: float) -> list[MedialMesh]:
    """Pedicle, lamina and processes of one side; `sign` is 1 on the left."""
    p, w = level.pedicle_x_mm, level.pedicle_half_width_mm
    high = 7.2 - w
    pedicle = [(p, back - 6.0, 5.0 + high, w), (p, back + 9.0, 4.0 + high, w), (p, back + 9.0, 4.0 - high, w)]
    lamina = [(p - 2.0, back + 12.0, 4.0, 3.0), (0.0, back + 21.0, -2.0, 2.8), (0.0, back + 21.0, -15.0, 2.8)]
    facet = [(p + 3.5, back + 12.0, 6.0, 4.6), (p + 4.5, back + 14.0, 15.0, 4.4), (p + 3.5, back + 12.5, 20.0, 3.4)]
    lower = [(p - 3.0, back + 16.0, -4.0, 4.4), (p - 2.0, back + 18.5, -17.0, 4.8), (p - 1.5, back + 18.0, -23.0, 3.4)]
    reach = level.process_mm
    process = [
        (p + 3.0, back + 8.0, 4.0, 0.8 * w + 0.6),
        (0.6 * reach + 0.4 * p, back + 12.0, 6.0, 0.5 * w + 1.0),
        (reach, back + 15.0, 7.0, 0.35 * w + 1.6),
    ]
    meshes = [
        plate([*pedicle, (p, back - 6.0, 5.0 - high, w)]),
        plate([*lamina, (p - 2.0, back + 14.0, -14.0, 3.2)]),
        rods([facet, lower, process]),
    ]
    return [mesh if sign > 0 else mesh.mirrored() for mesh in meshes]


def add_facet_gap(
    distance_mm: Float32[np.ndarray, "k j i"], neighbours_mm: Float32[np.ndarray, "k j i"]
) -> Float32[np.ndarray, "k j i"]:
    """A vertebra that keeps the width of a joint from the bones below."""
    return np.maximum(distance_mm, _FACET_GAP_MM - neighbours_mm)
