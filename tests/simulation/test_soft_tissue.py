"""Soft tissue of virtual patients: plausible mass, muscles apart, gas where gas can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.anatomy import AnatomyParameters, draw_anatomy
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.body_outline import Outline, core_outline
from osteoray.simulation.bowel import Tube, fill_gut
from osteoray.simulation.composition import occupied
from osteoray.simulation.medial_mesh import rods
from osteoray.simulation.muscle_solids import PLANE_MM, muscles, separated_mm
from osteoray.simulation.organs import draw_organs
from osteoray.simulation.procedural import procedural_body
from osteoray.simulation.soft_tissue import soft_tissue, world_from_femur


def patient(bmi: float, sex: str = "F", seed: int = 5) -> AnatomyParameters:
    height_cm = 156.0 if sex == "F" else 168.0
    return draw_anatomy(sex, 66.0, height_cm, bmi * (height_cm / 100) ** 2, np.random.default_rng(seed))


def femurs() -> dict[Side, FemurTruth]:
    out = {}
    for side, x in ((Side.RIGHT, -1.0), (Side.LEFT, 1.0)):
        axis = np.array([0.1 * x, 0.0, 1.0]) / np.hypot(0.1, 1.0)
        out[side] = FemurTruth(
            np.array([88.0 * x, 0.0, 0.0]), 23.0, np.array([-0.7 * x, 0.0, 0.7]), np.array([105.0 * x, 5.0, -12.0]),
            axis, np.array([128.0 * x, 12.0, -100.0]), np.array([110.0 * x, 20.0, -62.0]), 128.0, 10.0,
        )  # fmt: skip
    return out


def tissue(parameters: AnatomyParameters, seed: int = 1, spacing_mm: float = 6.0):
    truths = femurs()
    grid = VoxelGrid.axial((66, 66, 82), (spacing_mm,) * 3, (-243.0, -220.0, -185.0))
    heights_mm = -185.0 + spacing_mm * np.arange(66)
    core = core_outline(heights_mm, parameters, truths, 165.0)
    frames = {side: world_from_femur(truth, side, parameters.size) for side, truth in truths.items()}
    mesh = muscles(parameters, np.diag([parameters.size] * 3 + [1.0]), frames)
    return grid, *soft_tissue(grid, core, parameters, mesh, np.random.default_rng(seed))


@pytest.mark.parametrize(("bmi", "sex"), [(18.0, "F"), (24.0, "M"), (34.0, "F"), (48.0, "F")])
def test_the_section_from_thigh_to_waist_weighs_a_third_of_the_patient(bmi, sex):
    # De Leva 1996: lower trunk 11 to 13 %, each thigh 14 to 15 %, a third of the middle trunk 5 %.
    parameters = patient(bmi, sex)
    body = procedural_body(parameters, 6.0, np.random.default_rng(2))
    density_g_cm3 = body.adipose_g_cm3 + body.lean_g_cm3 + body.ha_mg_cm3 / 1e3
    mass_kg = density_g_cm3.sum() * body.grid.voxel_mm3 / 1e6
    assert 0.24 < mass_kg / parameters.weight_kg < 0.42


def test_weight_grows_the_outline_on_all_sides():
    heights_mm, truths = np.linspace(-180.0, 200.0, 40), femurs()
    reach_mm = []
    for bmi in (18.0, 24.0, 34.0, 48.0):
        parameters = patient(bmi)
        outline = core_outline(heights_mm, parameters, truths, 165.0).thickened(parameters.fat_mm)
        reach_mm.append(outline.reach_mm())
    assert (np.diff(reach_mm, axis=0) > 5.0).all()


def test_the_outline_stays_inside_its_stated_reach():
    parameters = patient(40.0)
    heights_mm = np.linspace(-180.0, 200.0, 40)
    outline = core_outline(heights_mm, parameters, femurs(), 165.0).thickened(parameters.fat_mm)
    rng = np.random.default_rng(3)
    points = rng.uniform([-400, -400, -180], [400, 400, 200], (20000, 3))
    inside = points[outline.skin_mm(points) < 0]
    side, front, back = outline.reach_mm()
    assert np.abs(inside[:, 0]).max() <= side
    assert -inside[:, 1].min() <= front
    assert inside[:, 1].max() <= back


def test_soft_tissue_does_not_know_the_density_of_bone():
    parameters = patient(24.0)
    denser = replace(parameters, bmd_scale=2.0 * parameters.bmd_scale)
    _, inside, lean = tissue(parameters)
    _, same_inside, same_lean = tissue(denser)
    np.testing.assert_array_equal(inside, same_inside)
    np.testing.assert_array_equal(lean, same_lean)


def test_the_sides_differ_but_not_in_their_mass():
    _, inside, _ = tissue(patient(24.0))
    left, right = inside[:, :, 41:], inside[:, :, :41][:, :, ::-1]
    assert np.abs(left - right).max() > 0.3
    assert abs(left.sum() - right.sum()) < 0.05 * left.sum()


def test_gas_lies_deep_inside_and_differs_from_patient_to_patient():
    parameters, litres = patient(26.0), []
    for seed in range(4):
        grid, inside, _ = tissue(parameters, seed)
        core = core_outline(-185.0 + 6.0 * np.arange(66), parameters, femurs(), 165.0)
        depth_mm = -core.thickened(parameters.fat_mm).skin_mm(grid.coordinates_mm())
        gas = (1.0 - inside) * (depth_mm > 14.0)
        litres.append(gas.sum() * grid.voxel_mm3 / 1e6)
        # Gas is in bowel, behind the abdominal wall; unevenness moves the skin by some millimetres.
        assert not (gas[(depth_mm < 20.0)] > 0.2).any()
    assert max(litres) < 1.2
    assert np.ptp(litres) > 0.01


def test_gas_rises_to_the_front_of_the_bowel():
    line = np.stack([np.linspace(-40, 40, 30), np.zeros(30), np.zeros(30)], axis=1)
    piece = Tube(line, np.full(30, 15.0), 2.0, np.zeros(30), 0.0)
    grid = VoxelGrid.axial((24, 24, 50), (2.0, 2.0, 2.0), (-50.0, -24.0, -24.0))
    share, _, gas = fill_gut([piece], grid, np.random.default_rng(0))
    y_mm = -24.0 + 2.0 * np.arange(24)
    assert gas[:, y_mm > 2.0].max() == 0.0
    # Half of the lumen: a cylinder of 13 mm radius.
    volume_mm3 = gas[:, :, 10:40].sum() * grid.voxel_mm3
    assert volume_mm3 == pytest.approx(0.5 * np.pi * 13.0**2 * 60.0, rel=0.05)
    assert share.sum() > gas.sum()


def test_touching_muscles_are_parted_by_a_plane_of_fat():
    mesh = rods([[(-12.0, 0.0, 0.0, 14.0)], [(12.0, 0.0, 0.0, 14.0)]])
    grid = VoxelGrid.axial((3, 3, 801), (0.1, 0.1, 0.1), (-40.0, -0.1, -0.1))
    line = separated_mm(mesh, grid)[1, 1]
    x_mm = -40.0 + 0.1 * np.arange(801)
    between = x_mm[(line > 0) & (np.abs(x_mm) < 5.0)]
    assert np.ptp(between) == pytest.approx(PLANE_MM, abs=0.25)
    assert line[np.abs(x_mm + 12.0).argmin()] < -5.0


def test_a_single_muscle_keeps_its_shape():
    mesh = rods([[(0.0, 0.0, -10.0, 8.0), (0.0, 0.0, 10.0, 8.0)]])
    grid = VoxelGrid.axial((41, 41, 41), (1.0, 1.0, 1.0), (-20.0, -20.0, -20.0))
    volume_mm3 = occupied(separated_mm(mesh, grid), 1.0).sum()
    assert volume_mm3 == pytest.approx(np.pi * 64 * 20 + 4 / 3 * np.pi * 512, rel=0.03)


def test_both_sexes_have_a_bladder_and_their_own_organs():
    for sex, place_mm in (("F", (0.0, 4.0, 24.0)), ("M", (0.0, 6.0, -34.0))):
        organs = draw_organs(sex, np.random.default_rng(4))
        k, j, i = (organs.grid.index_from_world @ np.append(place_mm, 1.0))[:3].round().astype(int)
        assert organs.share[k, j, i] == pytest.approx(1.0)
        assert organs.lean[k, j, i] > 0.9
        assert 0.0 <= min(organs.lean.min(), organs.gas.min()) <= organs.lean.max() <= 1.0
        assert organs.gas.max() <= 1.0


def test_fat_is_thin_over_the_sacrum_and_thick_at_the_buttock():
    parameters = patient(24.0)
    outline: Outline = core_outline(np.linspace(-180.0, 200.0, 40), parameters, femurs(), 165.0)
    outline = outline.thickened((15.0, 20.0, 15.0))
    sacrum, buttock = outline.fat_thickness_mm(np.array([[0.0, 100.0, 60.0], [65.0, 100.0, -30.0]]))
    assert sacrum < 0.7 * buttock
