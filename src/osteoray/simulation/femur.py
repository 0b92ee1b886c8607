"""A virtual femur: blended from templates, with an exactly spherical head, posed about the head's centre."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.simulation import bone_templates
from osteoray.simulation.anatomy import FemurParameters
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.medial_mesh import MedialMesh, rods
from osteoray.simulation.texture import Deformation

_TEMPLATE_ANGLES_DEG = (113.0, 135.0)
_SHAFT_LENGTH_MM = 260.0
_BOW_RADIUS_MM = 1100.0


def build_femur(
    parameters: FemurParameters,
    size: float,
    side: Side,
    head_centre_mm: Float[np.ndarray, "3"],
    wobble: Deformation,
) -> tuple[MedialMesh, FemurTruth]:
    """The solid of a femur in its pose and its true landmarks.

    The blend of the templates carries the neck-shaft angle: one is varus with a long offset, the other valgus.

    Args:
        parameters: shape and pose.
        size: linear size relative to the templates.
        side: which femur.
        head_centre_mm: LPS position of the head's centre.
        wobble: random deformation in the frame of the template.
    """
    varus, valgus = _TEMPLATE_ANGLES_DEG
    t = (parameters.neck_shaft_angle_deg - varus) / (valgus - varus)
    balls = 0.1 * ((1 - t) * bone_templates.FEMUR_BALLS_A + t * bone_templates.FEMUR_BALLS_B)
    a, b = 0.1 * bone_templates.FEMUR_LANDMARKS.reshape(2, 3, 3)
    stretch = size * np.array([parameters.neck_scale, 1.0, 1.0])
    centre = wobble(np.zeros((1, 3)))
    # The origin stays the centre of the head.
    points = (wobble(balls[:, :3]) - centre) * stretch
    neck, trochanter, shaft = (wobble((1 - t) * a + t * b) - centre) * stretch
    shaft[1] = 0.0
    mesh = MedialMesh(points, balls[:, 3] * size, bone_templates.FEMUR_TRIANGLES)
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


def _with_head(mesh: MedialMesh, neck_axis: Float[np.ndarray, "3"], radius_mm: float) -> MedialMesh:
    """The solid with one exact ball as head, at the origin; no other ball on its side reaches beyond it."""
    distance = np.linalg.norm(mesh.vertices_mm, axis=1)
    on_head = mesh.vertices_mm @ neck_axis > -0.2 * radius_mm
    shrink = np.where(on_head, np.minimum(1.0, (radius_mm - 2.0) / np.maximum(distance, 1.0)), 1.0)
    radii = np.where(on_head, np.minimum(mesh.radii_mm, radius_mm - shrink * distance), mesh.radii_mm)
    head = rods([[(0.0, 0.0, 0.0, radius_mm)]])
    return MedialMesh(mesh.vertices_mm * shrink[:, None], radii, mesh.triangles).joined(head)


def _distal_shaft(mesh: MedialMesh, shaft_mm: Float[np.ndarray, "3"]) -> MedialMesh:
    """Shaft below the template and 20 mm into it, bowed with its convexity to the front."""
    order = np.argsort(mesh.vertices_mm[:, 2])
    (x, y, z), second = mesh.vertices_mm[order[0]], mesh.vertices_mm[order[1]]
    radius = float(mesh.radii_mm[order[0]])
    below = np.arange(0.0, _SHAFT_LENGTH_MM + z, 20.0)
    # The axis settles within 30 mm on the line through the shaft's centre.
    settle = np.exp(-below / 30.0)
    path_x = shaft_mm[0] + (x - shaft_mm[0]) * settle
    path_y = shaft_mm[1] + (y - shaft_mm[1]) * settle + below**2 / (2 * _BOW_RADIUS_MM)
    path = zip(path_x.tolist(), path_y.tolist(), (z - below).tolist(), strict=True)
    above = (2 * second - mesh.vertices_mm[order[0]]).tolist()
    start = [(above[0], above[1], above[2], radius), (float(second[0]), float(second[1]), float(second[2]), radius)]
    return rods([start + [(px, py, pz, radius) for px, py, pz in path]])


def _world_from_femur(
    parameters: FemurParameters, side: Side, head_centre_mm: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    """Pose of a femur: turned about its shaft, adducted, then flexed; a right femur is mirrored first."""
    turn = rotation_from_vector(np.array([0.0, 0.0, np.radians(parameters.rotation_deg + parameters.anteversion_deg)]))
    adduct = rotation_from_vector(np.array([0.0, np.radians(parameters.adduction_deg), 0.0]))
    flex = rotation_from_vector(np.array([-np.radians(parameters.flexion_deg), 0.0, 0.0]))
    mirror = np.diag([1.0 if side == Side.LEFT else -1.0, 1.0, 1.0])
    return affine(flex @ mirror @ adduct @ turn, head_centre_mm)
