"""The sacrum: its endplate, canal, foramina and joints."""

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.density import sacrum_fields
from osteoray.simulation.medial_mesh import distance_mm
from osteoray.simulation.sacrum import build_sacrum, sacrum_distance_mm

GRID = VoxelGrid.axial((190, 130, 121), (1.0,) * 3, (-60.0, 0.0, -50.0))


@pytest.fixture(scope="module", params=[0.0, 1.0])
def found(request):
    sacrum = build_sacrum(request.param, 1.0, np.eye(4))
    raw = distance_mm(sacrum.solid, GRID, 8.0)
    far = np.full(GRID.shape, 8.0, np.float32)
    return sacrum, raw, sacrum_distance_mm(raw, GRID, sacrum, far, 8.0)


def at(distance, points_mm):
    return distance[tuple(np.rint(apply_affine(GRID.index_from_world, np.atleast_2d(points_mm))).astype(int).T)]


def test_the_endplate_is_where_the_sacrum_ends(found):
    sacrum, _, distance = found
    slope = np.radians(sacrum.endplate.slope_deg)
    up = np.array([0.0, -np.sin(slope), np.cos(slope)])
    assert at(distance, sacrum.endplate.centre_mm - 3.0 * up)[0] < -1.0
    assert at(distance, sacrum.endplate.centre_mm + 3.0 * up)[0] > 1.0
    assert 25.0 < sacrum.endplate.slope_deg < 60.0


def test_the_bodies_are_solid_and_the_hollows_empty(found):
    sacrum, raw, distance = found
    assert (at(distance, sacrum.fusions_mm) < -2.0).all()
    hollow = distance_mm(sacrum.hollow, GRID, 8.0) < -1.0
    assert (distance[hollow] > 0.9).all()
    # Canal and foramina go through bone, not only past it.
    assert (raw[hollow] < 0).sum() > 2000


def test_four_pairs_of_foramina_open_to_the_front(found):
    _, raw, distance = found
    # Rays from front to back that meet bone of the solid, but little or none of the sacrum.
    path = (distance < 0).sum(axis=1)
    solid = (raw < 0).sum(axis=1)
    thin = (path < 0.55 * solid) & (solid > 8)
    left, right = thin[:, 65:].sum(), thin[:, :56].sum()
    assert left > 60
    assert right == pytest.approx(left, rel=0.15)


def test_the_sacrum_is_symmetric(found):
    _, _, distance = found
    # Quadrilaterals are split along one diagonal, which costs a quarter of a millimetre.
    near = np.abs(distance) < 3.0
    np.testing.assert_allclose(distance[near], distance[:, :, ::-1][near], atol=0.25)


def test_a_hip_bone_keeps_the_gap_of_the_joint():
    sacrum = build_sacrum(0.5, 1.0, np.eye(4))
    raw = distance_mm(sacrum.solid, GRID, 8.0)
    hip = np.broadcast_to((45.0 - GRID.coordinates_mm()[..., 0]), GRID.shape).astype(np.float32)
    cut = sacrum_distance_mm(raw, GRID, sacrum, hip, 8.0)
    assert hip[cut < 0].min() >= 2.0


def test_fused_discs_are_denser_than_bodies_and_bodies_than_alae(found):
    sacrum = found[0]
    body = (sacrum.fusions_mm[0] + sacrum.fusions_mm[1]) / 2
    points = np.stack([sacrum.fusions_mm[0], body, body + np.array([45.0, 0.0, 0.0])])
    fields = sacrum_fields(points, np.zeros(3), sacrum.fusions_mm, sacrum.down, 1.0, 1.0)
    assert fields[1][0] > 1.5 * fields[1][1] > 1.5 * 1.3 * fields[1][2]
