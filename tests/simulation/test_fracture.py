"""A broken femur keeps volumes and the other bones, has a crack where it says, and its head stays in the socket."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, Side
from osteoray.simulation.body import ADIPOSE_G_CM3, HYDROXYAPATITE_G_CM3, LEAN_G_CM3, Body
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.fracture import Fracture, break_femur, broken_body, draw_fracture


@pytest.fixture(scope="module")
def body() -> Body:
    return ellipsoid_body(3.0)


def broken(body: Body, fracture: Fracture) -> Body:
    return break_femur(body, Side.LEFT, fracture, np.random.default_rng(1))


def filled(body: Body) -> np.ndarray:
    mineral = body.ha_mg_cm3 / (1000 * HYDROXYAPATITE_G_CM3)
    return body.adipose_g_cm3 / ADIPOSE_G_CM3 + body.lean_g_cm3 / LEAN_G_CM3 + mineral


@pytest.mark.parametrize("fracture", [Fracture("neck", 4.0, 12.0), Fracture("trochanteric", 3.0, 0.0)])
def test_a_fracture_conserves_volume_and_touches_no_other_bone(body, fracture):
    after = broken(body, fracture)
    inside = filled(body) > 0.99
    np.testing.assert_allclose(filled(after)[inside], 1.0, atol=2e-3)
    for bone in set(np.unique(body.bones)) - {0, FEMUR[Side.LEFT]}:
        np.testing.assert_array_equal(after.bones == bone, body.bones == bone)
    right = body.grid.coordinates_mm()[..., 0] < 0
    np.testing.assert_array_equal(after.ha_mg_cm3[right], body.ha_mg_cm3[right])


def test_mineral_is_lost_in_the_crack_only_where_nothing_moved(body):
    femur = body.femurs[Side.LEFT]
    after = broken(body, Fracture("neck", 6.0, 0.0))
    lost = (body.ha_mg_cm3 - after.ha_mg_cm3) > 50
    assert lost.any()
    height_mm = (body.grid.coordinates_mm()[lost] - femur.neck_centre_mm) @ femur.neck_axis
    assert np.abs(height_mm).max() < 3.0 + 3 * 1.5 + 3.0
    assert (after.ha_mg_cm3 - body.ha_mg_cm3).max() < 1.0


def test_a_varus_turn_carries_the_fragment_about_the_heads_centre(body):
    femur = body.femurs[Side.LEFT]
    marker_mm = femur.head_centre_mm - 16.0 * femur.neck_axis
    is_marked = np.linalg.norm(body.grid.coordinates_mm() - marker_mm, axis=-1) < 5.0
    marked = replace(body, ha_mg_cm3=body.ha_mg_cm3 + np.where(is_marked, 500.0, 0.0).astype(np.float32))
    fracture = Fracture("neck", 4.0, 15.0)
    added = broken(marked, fracture).ha_mg_cm3 - broken(body, fracture).ha_mg_cm3
    where = np.argwhere(added > 1.0)
    centre_mm = apply_affine(body.grid.world_from_index, np.average(where, axis=0, weights=added[tuple(where.T)]))
    # By hand: in the plane of neck and shaft, the neck's axis turns away from the shaft's.
    away = (femur.shaft_axis @ femur.neck_axis) * femur.neck_axis - femur.shaft_axis
    away /= np.linalg.norm(away)
    turned = np.cos(np.radians(15.0)) * femur.neck_axis + np.sin(np.radians(15.0)) * away
    np.testing.assert_allclose(centre_mm, femur.head_centre_mm - 16.0 * turned, atol=1.0)


def test_the_same_patient_has_the_same_fracture_in_ct_and_xrays(body):
    config = SimulationConfig()
    first, second = (broken_body(config, enrolled(config, "V001"), body) for _ in range(2))
    assert first[1] == second[1]
    np.testing.assert_array_equal(first[0].ha_mg_cm3, second[0].ha_mg_cm3)


def test_both_kinds_are_drawn_and_all_are_displaced():
    drawn = [draw_fracture(np.random.default_rng(n)) for n in range(60)]
    assert {fracture.at for fracture in drawn} == {"neck", "trochanteric"}
    assert all(3 <= fracture.gap_mm <= 5 and 8 <= fracture.varus_deg <= 16 for fracture in drawn)
