"""A virtual femur: blended from templates, with an exactly spherical head, posed about the head's centre."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.simulation import bone_templates
from osteoray.simulation.anatomy import FemurParameters
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.medial_mesh import MedialMesh, rods
from osteoray.simulation.medial_mesh import distance_mm as solid_distance_mm
from osteoray.simulation.texture import Deformation

_SHAFT_LENGTH_MM = 260.0
_SHAFT_STEP_MM = 10.0
_BOW_RADIUS_MM = 1100.0
_SHAFT_BALLS = (36, 54, 22, 41, 2)
"""The template's balls below the lesser trochanter: at it, lateral and medial below it, two on the shaft's axis."""


def build_femur(
    parameters: FemurParameters,
    size: float,
    side: Side,
    head_centre_mm: Float[np.ndarray, "3"],
    wobble: Deformation,
) -> tuple[MedialMesh, FemurTruth]:
    """The solid of a femur in its pose and its true landmarks.

    Template and neck are blended and stretched until neck-shaft angle and offset are the wanted ones.

    Args:
        parameters: shape and pose.
        size: linear size relative to the templates.
        side: which femur.
        head_centre_mm: LPS position of the head's centre.
        wobble: random deformation in the frame of the template.
    """
    mesh, (neck, trochanter, shaft) = _shaped(parameters, size, wobble)
    to_head = -neck / np.linalg.norm(neck)
    mesh = _with_head(mesh, to_head, parameters.head_radius_mm).joined(_distal_shaft(mesh, shaft))
    posed = _world_from_femur(parameters, side, head_centre_mm)
    neck_axis = posed[:3, :3] @ to_head
    shaft_axis = posed[:3, 2]
    truth = FemurTruth(
        head_centre_mm=head_centre_mm,
        head_radius_mm=parameters.head_radius_mm,
        neck_axis=neck_axis,
        neck_centre_mm=apply_affine(posed, neck),
        shaft_axis=shaft_axis,
        shaft_point_mm=apply_affine(posed, shaft),
        lesser_trochanter_mm=apply_affine(posed, trochanter),
        neck_shaft_angle_deg=float(np.degrees(np.arccos(-(neck_axis @ shaft_axis)))),
        anteversion_deg=parameters.anteversion_deg,
    )
    return mesh.moved(posed), truth


def _shaped(
    parameters: FemurParameters, size: float, wobble: Deformation
) -> tuple[MedialMesh, Float[np.ndarray, "3 3"]]:
    """Femur without its exact head, and neck waist, lesser trochanter and shaft point; origin at the head's centre.

    One template is varus, the other valgus: their blend carries the angle, found by bisection. The offset is then met
    by stretching the neck along its axis, so that angle, trochanters and shaft keep their shapes.
    """
    origin = wobble(np.zeros((1, 3)))
    a, b = 0.1 * bone_templates.FEMUR_LANDMARKS.reshape(2, 3, 3)
    low, high = -0.6, 1.7
    for _ in range(24):
        blend = (low + high) / 2
        landmarks = (wobble((1 - blend) * a + blend * b) - origin) * size
        angle_deg = np.degrees(np.arccos(landmarks[0, 2] / np.linalg.norm(landmarks[0])))
        low, high = (blend, high) if angle_deg < parameters.neck_shaft_angle_deg else (low, blend)
    balls = 0.1 * ((1 - blend) * bone_templates.FEMUR_BALLS_A + blend * bone_templates.FEMUR_BALLS_B)
    shift = landmarks[0] * (parameters.femoral_offset_mm - landmarks[2, 0]) / landmarks[0, 0]
    points = _stretched((wobble(balls[:, :3]) - origin) * size, size, shift)
    landmarks = _stretched(landmarks, size, shift)
    # The shaft axis lies in the plane of the head.
    landmarks[2, 1] = 0.0
    mesh = MedialMesh(points, balls[:, 3] * size, bone_templates.FEMUR_TRIANGLES)
    return mesh.joined(_below_trochanter(mesh)), landmarks


def _below_trochanter(mesh: MedialMesh) -> MedialMesh:
    """What fills the gaps below the lesser trochanter, where the template's balls are joined by rods only.

    The oval section at the trochanter narrows to the round shaft. Where both meet the corner of the outline is cut.
    """
    balls = np.column_stack([mesh.vertices_mm, mesh.radii_mm])[list(_SHAFT_BALLS)]
    _, lateral, medial, upper, lowest = balls
    cut = np.stack([lateral + upper, medial + upper, upper + lowest]) / 2
    balls = np.concatenate([balls, cut])
    return MedialMesh(balls[:, :3], balls[:, 3], np.array([[0, 1, 2], [1, 2, 3], [5, 6, 7]]))


def _stretched(points: Float[np.ndarray, "n 3"], size: float, shift: Float[np.ndarray, "3"]) -> np.ndarray:
    """Points moved along the neck, from not at all in the head to all of the shift beyond the neck."""
    beside = points[:, 0] / (35.0 * size) + np.maximum(-points[:, 2] / size - 45.0, 0.0) / 25.0
    return points + np.clip(beside, 0.0, 1.0)[:, None] * shift


def with_fovea(
    distance_mm: Float32[np.ndarray, "k j i"], grid: VoxelGrid, truth: FemurTruth
) -> Float32[np.ndarray, "k j i"]:
    """A femur with the pit of its ligament: 2 mm deep and 11 mm wide, a little below and behind the neck's axis.

    Args:
        distance_mm: signed distance to the femur.
        grid: its voxels.
        truth: its landmarks.
    """
    direction = truth.neck_axis - 0.3 * truth.shaft_axis + np.array([0.0, 0.2, 0.0])
    centre = truth.head_centre_mm + (truth.head_radius_mm + 6.0) * direction / np.linalg.norm(direction)
    ball = MedialMesh(centre[None], np.array([8.0]), np.zeros((1, 3), int))
    return np.maximum(distance_mm, -solid_distance_mm(ball, grid, 8.0))


def _with_head(mesh: MedialMesh, neck_axis: Float[np.ndarray, "3"], radius_mm: float) -> MedialMesh:
    """The solid with one exact ball as head, at the origin; no other ball on its side reaches beyond it."""
    distance = np.linalg.norm(mesh.vertices_mm, axis=1)
    on_head = mesh.vertices_mm @ neck_axis > -0.2 * radius_mm
    shrink = np.where(on_head, np.minimum(1.0, (radius_mm - 2.0) / np.maximum(distance, 1.0)), 1.0)
    radii = np.where(on_head, np.minimum(mesh.radii_mm, radius_mm - shrink * distance), mesh.radii_mm)
    head = rods([[(0.0, 0.0, 0.0, radius_mm)]])
    return MedialMesh(mesh.vertices_mm * shrink[:, None], radii, mesh.triangles).joined(head)


def _distal_shaft(mesh: MedialMesh, shaft_mm: Float[np.ndarray, "3"]) -> MedialMesh:
    """Shaft that goes on from the template's lowest ball, bowed with its convexity to the front.

    Both axis and radius continue the template: nothing of it begins inside the template, where its round end would
    stand out of a section that is narrower or beside it.
    """
    lowest = int(np.argmin(mesh.vertices_mm[:, 2]))
    (x, y, z), radius = mesh.vertices_mm[lowest], float(mesh.radii_mm[lowest])
    below = np.arange(0.0, _SHAFT_LENGTH_MM + z, _SHAFT_STEP_MM)
    # The axis settles within 30 mm on the line through the shaft's centre.
    settle = np.exp(-below / 30.0)
    path_x = shaft_mm[0] + (x - shaft_mm[0]) * settle
    path_y = shaft_mm[1] + (y - shaft_mm[1]) * settle + below**2 / (2 * _BOW_RADIUS_MM)
    path = zip(path_x.tolist(), path_y.tolist(), (z - below).tolist(), strict=True)
    return rods([[(px, py, pz, radius) for px, py, pz in path]])


def _world_from_femur(
    parameters: FemurParameters, side: Side, head_centre_mm: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    """Pose of a femur: turned about its shaft, adducted, then flexed; a right femur is mirrored first."""
    turn = rotation_from_vector(np.array([0.0, 0.0, np.radians(parameters.rotation_deg + parameters.anteversion_deg)]))
    adduct = rotation_from_vector(np.array([0.0, np.radians(parameters.adduction_deg), 0.0]))
    flex = rotation_from_vector(np.array([-np.radians(parameters.flexion_deg), 0.0, 0.0]))
    mirror = np.diag([1.0 if side == Side.LEFT else -1.0, 1.0, 1.0])
    return affine(flex @ mirror @ adduct @ turn, head_centre_mm)
