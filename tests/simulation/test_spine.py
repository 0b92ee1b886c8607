"""The lower spine: its curve, the shape of its vertebrae, its joints, and what of it the body shows."""

import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.density import vertebra_fields
from osteoray.simulation.spine import LEVELS, Endplate, add_facet_gap, build_spine, vertebra_distance_mm

GRID = VoxelGrid.axial((260, 150, 130), (1.0,) * 3, (-65.0, -90.0, -20.0))
ENDPLATE = Endplate(np.zeros(3), 40.0)


@pytest.fixture(scope="module")
def spine():
    return build_spine(ENDPLATE, 1.0, 1.0, -8.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def distances(spine):
    found = []
    for vertebra in spine[:2]:
        box, part = vertebra_distance_mm(vertebra, GRID, 8.0)
        whole = np.full(GRID.shape, 8.0, np.float32)
        whole[box] = part
        found.append(whole)
    return found


def at(distance, vertebra, local_mm):
    """Distances at points of a vertebra's own frame."""
    index = apply_affine(GRID.index_from_world, apply_affine(vertebra.world_from_vertebra, np.array(local_mm, float)))
    return distance[tuple(np.rint(index).astype(int).T)]


def tilt_deg(vertebra):
    up = vertebra.world_from_vertebra[:3, 2]
    return np.degrees(np.arctan2(-up[1], up[2]))


@pytest.mark.parametrize("slope_deg", [28.0, 40.0, 52.0])
def test_the_top_of_l1_has_the_wanted_tilt_whatever_the_sacral_slope(slope_deg):
    spine = build_spine(Endplate(np.zeros(3), slope_deg), 1.0, 1.0, -8.0, 0.0, 0.0)
    share = (slope_deg + 8.0) / sum(level.wedge_deg + level.disc_wedge_deg for level in LEVELS[:5])
    assert tilt_deg(spine[4]) - share * LEVELS[4].wedge_deg / 2 == pytest.approx(-8.0, abs=1e-6)
    tilts = [tilt_deg(vertebra) for vertebra in spine]
    assert tilts[0] < slope_deg
    assert (np.diff(tilts[:5]) < 0).all()


def test_bodies_and_discs_stack_to_the_height_of_a_lumbar_spine(spine):
    heights = [vertebra.world_from_vertebra[2, 3] for vertebra in spine]
    steps = np.diff(heights)
    assert ((steps > 30.0) & (steps < 42.0)).all()


def test_a_taller_disc_moves_the_spine_up(spine):
    low = build_spine(ENDPLATE, 1.0, 0.6, -8.0, 0.0, 0.0)
    lost = sum(0.4 * level.disc_mm for level in LEVELS[:3])
    moved = np.linalg.norm(spine[2].world_from_vertebra[:3, 3] - low[2].world_from_vertebra[:3, 3])
    assert moved == pytest.approx(lost, rel=0.1)


def test_a_vertebral_body_is_waisted_and_as_high_and_wide_as_its_level(spine, distances):
    level = LEVELS[1]
    points = {z: [(x, 0.0, z) for x in np.arange(-35.0, 35.0, 0.5)] for z in (0.0, 0.8 * level.half_height_mm)}
    width = {z: 0.5 * (at(distances[1], spine[1], line) < 0).sum() for z, line in points.items()}
    middle, rim = width.values()
    assert rim > middle + 2.0
    assert rim == pytest.approx(2 * level.half_width_mm, abs=4.0)
    column = at(distances[1], spine[1], [(0.0, -12.0, z) for z in np.arange(-25.0, 25.0, 0.5)])
    assert 0.5 * (column < 0).sum() == pytest.approx(2 * level.half_height_mm, abs=4.0)


def test_pedicles_join_body_and_arch_around_an_open_canal(spine, distances):
    level, back = LEVELS[1], 0.85 * LEVELS[1].half_depth_mm
    pedicles = [(sign * level.pedicle_x_mm, back + 4.0, 4.5) for sign in (-1, 1)]
    assert (at(distances[1], spine[1], pedicles) < -3.0).all()
    assert at(distances[1], spine[1], [(0.0, back + 9.0, 0.0)])[0] > 5.0
    assert at(distances[1], spine[1], [(0.0, back + 32.0, -10.0)])[0] < -1.5


def test_neighbours_keep_the_gap_of_a_joint(distances):
    below, above = distances
    cut = add_facet_gap(above, below)
    touching = (below < 0) & (np.maximum(above, 0) < 1e-3)
    assert not ((cut < 0) & (below < 0)).any()
    assert below[cut < 0].min() >= 1.7
    # The facets do meet: without the gap they would touch or nearly so.
    assert touching.any() or above[below < 0].min() < 4.0


def test_endplates_are_denser_than_the_middle_of_a_body_and_pedicles_thicker_walled(spine):
    vertebra, level = spine[1], LEVELS[1]
    local = np.array([(0.0, 0.0, 0.0), (0.0, 0.0, level.half_height_mm), (17.0, 25.0, 4.0)])
    points = apply_affine(vertebra.world_from_vertebra, local)
    cortex, density = vertebra_fields(points, np.zeros(3), vertebra, 1.0, 5.0, 0)
    assert density[1] > 1.2 * density[0]
    assert cortex[0] < cortex[1]
    assert cortex[0] < cortex[2]
