"""Rays through bone, misread by a scanner that corrects for water alone."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.calibration.physics import CT_KVP, expected, mineral_over_water, misread_by_bone_cm
from osteoray.simulation.beam_hardening import Rays, linear_reading_cm, water_reading_cm

WATER_CM = np.array([5.0, 20.0, 35.0], np.float32)


@pytest.mark.parametrize("kvp", [80.0, 110.0, 140.0])
def test_water_is_read_right_and_bone_shorter_the_more_there_is(kvp: float) -> None:
    none, some, much = (misread_by_bone_cm(WATER_CM, np.full(3, m, np.float32), kvp) for m in (0.0, 2.0, 6.0))
    np.testing.assert_allclose(none, 0, atol=1e-3)
    # Behind the 20 cm of water that mineral is defined by, a little of it is read right, and more of it too short.
    little = misread_by_bone_cm(WATER_CM, np.full(3, 0.1, np.float32), kvp)
    assert abs(little[1]) < 0.01 and (np.diff(some) < 0).all() and (much[1:] < 3 * some[1:]).all()


@pytest.mark.parametrize("kvp", CT_KVP)
def test_the_virtual_scanner_misreads_alike(kvp: int) -> None:
    """The simulation has its own code, of the same published tables."""
    mineral_g_cm2 = np.array([1.0, 4.0, 8.0], np.float32)
    rays = Rays(WATER_CM.astype(float), mineral_g_cm2.astype(float), np.zeros(3))
    theirs = water_reading_cm(rays, kvp) - linear_reading_cm(rays, kvp)
    np.testing.assert_allclose(misread_by_bone_cm(WATER_CM, mineral_g_cm2, float(kvp)), theirs, atol=3e-3)


def test_voltages_between_the_tables_lie_between_their_values() -> None:
    arguments = WATER_CM, np.full(3, 5.0, np.float32)
    low, middle, high = (misread_by_bone_cm(*arguments, kvp) for kvp in (100.0, 110.0, 120.0))
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-4)
    assert mineral_over_water(100.0) > mineral_over_water(110.0) > mineral_over_water(120.0)
    assert expected(110.0).fat_hu == pytest.approx((expected(100.0).fat_hu + expected(120.0).fat_hu) / 2)


@pytest.mark.parametrize("kvp", [70.0, 150.0])
def test_a_voltage_beyond_the_tables_is_refused(kvp: float) -> None:
    with pytest.raises(ValueError, match=f"kvp: expected 80 to 140 kV, got {kvp:g} kV"):
        misread_by_bone_cm(WATER_CM, WATER_CM, kvp)
