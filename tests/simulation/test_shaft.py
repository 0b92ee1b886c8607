"""The shaft below the lesser trochanter goes on from the template without a step, a notch or a round end."""

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.anatomy import draw_anatomy
from osteoray.simulation.body import DISTAL_CUT_MM
from osteoray.simulation.femur import build_femur
from osteoray.simulation.medial_mesh import distance_mm
from osteoray.simulation.texture import Wobble

STEP_MM = 2.0
PIXEL_MM = 1.0


def upright(n: int):
    """Solid of a left femur with its shaft upright, the head at the origin, and the height of the lesser trochanter."""
    rng = np.random.default_rng(n)
    sex, height, weight = ("M", 170.0, 72.0) if n % 2 else ("F", 158.0, 60.0)
    person = draw_anatomy(sex, 65.0, height, weight, rng)
    mesh, truth = build_femur(person.femurs[Side.LEFT], person.size, Side.LEFT, np.zeros(3), Wobble(rng, 45.0, 1.2))
    medial = truth.neck_axis - (truth.neck_axis @ truth.shaft_axis) * truth.shaft_axis
    lateral = -medial / np.linalg.norm(medial)
    turn = np.eye(4)
    turn[:3, :3] = np.stack([lateral, np.cross(truth.shaft_axis, lateral), truth.shaft_axis])
    return mesh.moved(turn), float((turn[:3, :3] @ truth.lesser_trochanter_mm)[2])


def shaft(n: int):
    """Equivalent radius, lateral and medial edge of the front view per slice from 100 to 8 mm below the trochanter."""
    mesh, trochanter_mm = upright(n)
    grid = VoxelGrid.axial((47, 100, 120), (STEP_MM, PIXEL_MM, PIXEL_MM), (-5.0, -50.0, trochanter_mm - 100.0))
    distance = distance_mm(mesh, grid, 2.0)
    area_mm2 = np.clip(0.5 - distance / PIXEL_MM, 0.0, 1.0).sum(axis=(1, 2)) * PIXEL_MM**2
    front = distance.min(axis=1)
    medial = np.array([edge(row) for row in front])
    lateral = np.array([len(row) - 1 - edge(row[::-1]) for row in front])
    return np.sqrt(area_mm2 / np.pi), medial * PIXEL_MM, lateral * PIXEL_MM


def edge(row: np.ndarray) -> float:
    """Where a row of distances first becomes negative."""
    i = int(np.argmax(row < 0.0))
    return i - 1 + row[i - 1] / (row[i - 1] - row[i])


@pytest.fixture(scope="module")
def shafts():
    return [shaft(n) for n in range(20)]


def test_the_radius_of_the_shaft_changes_slowly(shafts):
    assert max(np.abs(np.diff(radius)).max() for radius, _, _ in shafts) < 0.3


def test_the_shaft_is_widest_at_the_trochanter(shafts):
    for radius, _, _ in shafts:
        assert radius.argmax() == len(radius) - 1
        assert radius.min() > 13.0
        assert radius.max() < 19.0


def test_the_outline_of_the_shaft_in_the_front_view_has_no_corner(shafts):
    # Second differences over 2 mm: the round end of a tube inside the template makes 1.4 mm.
    for _, medial, lateral in shafts:
        assert np.abs(np.diff(medial, 2)).max() < 0.6
        assert np.abs(np.diff(lateral, 2)).max() < 0.6


def test_the_shaft_goes_on_beyond_the_distal_cut():
    mesh, trochanter_mm = upright(3)
    lowest_mm = float((mesh.vertices_mm[:, 2] - mesh.radii_mm).min())
    assert lowest_mm < trochanter_mm - DISTAL_CUT_MM - 100.0
