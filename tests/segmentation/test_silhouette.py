"""The standard view of a femur: its plane and its outline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.silhouette import PIXEL_MM, NeckShaftPlane, Silhouette


@pytest.fixture(scope="module", params=list(Side))
def femur(request, femur_of):
    return locate_femur(femur_of(request.param, (3.0, 2.0, 2.0), (8.0, 4.0, 10.0)).mask, request.param, 20.0)


def test_plane_and_world_are_inverse_within_the_plane(femur):
    plane = NeckShaftPlane.of(femur)
    points = np.random.default_rng(0).normal(0, 50, (20, 2))
    np.testing.assert_allclose(plane.project(plane.lift(points)), points, atol=1e-9)
    np.testing.assert_allclose((plane.lift(points) - plane.origin_mm) @ plane.posterior, 0, atol=1e-9)


def test_neck_coordinates_are_inverse(femur):
    plane = NeckShaftPlane.of(femur)
    along, across = np.random.default_rng(1).normal(0, 50, (2, 20))
    points = plane.from_neck(along, across)
    np.testing.assert_allclose(plane.along_neck(points), along, atol=1e-9)
    np.testing.assert_allclose(plane.across_neck(points), across, atol=1e-9)


def test_plane_looks_from_the_front_at_both_sides(femur):
    plane = NeckShaftPlane.of(femur)
    towards_body = -1.0 if femur.side is Side.LEFT else 1.0
    assert plane.medial[0] * towards_body > 0.9
    assert plane.posterior[1] > 0.9
    # The neck lies in the plane: the distance along it is the same in space.
    points = femur.head.centre_mm - np.outer([10.0, 30.0], femur.neck.axis)
    np.testing.assert_allclose(plane.along_neck(plane.project(points)), [10.0, 30.0], atol=1e-9)
    np.testing.assert_allclose(plane.across_neck(plane.project(points)), 0.0, atol=1e-9)


def test_silhouette_of_a_ball_is_a_disc(femur):
    grid = VoxelGrid.axial((60, 60, 60), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))
    ball = Volume(np.linalg.norm(grid.coordinates_mm(), axis=-1) < 20.0, grid)
    at_origin = replace(
        femur,
        head=replace(femur.head, centre_mm=50.0 * femur.neck.axis),
        lesser_trochanter=replace(femur.lesser_trochanter, lower_edge_mm=-60.0 * femur.shaft.direction),
    )
    silhouette = Silhouette.of(ball, at_origin)
    assert (silhouette.depth_mm > 0).sum() * PIXEL_MM**2 == pytest.approx(np.pi * 20.0**2, rel=0.02)
    assert silhouette.depth_mm.max() == pytest.approx(20.0, abs=2.0)
    rim = np.array([[20.0, 0.0], [0.0, 20.0], [-20.0, 0.0], [0.0, -20.0]])
    centre = silhouette.plane.project(np.zeros(3))
    np.testing.assert_allclose(silhouette.sample(centre + rim), 0.0, atol=0.6)
    far = np.array([[200.0, 0.0]])
    assert silhouette.sample(far)[0] < -10


def test_lines_enter_the_outline_between_samples(femur):
    low = np.array([-30.0, -30.0])
    medial = low[0] + np.arange(61.0)
    wall = Silhouette(np.tile(medial - 4.3, (61, 1)), low, NeckShaftPlane.of(femur))
    inwards = np.stack(np.broadcast_arrays(np.arange(-20.0, 20.0), np.array([[0.0], [5.0]])), axis=-1)
    step, begins_inside = wall.first_bone(inwards)
    np.testing.assert_allclose(step - 20.0, 4.3, atol=1e-6)
    assert not begins_inside.any()
    step, begins_inside = wall.first_bone(inwards[:, ::-1])
    assert np.isnan(step).all()
    assert begins_inside.all()
