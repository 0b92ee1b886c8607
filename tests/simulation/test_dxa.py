"""DXA: regions where the field puts them, closed forms on simple solids, and an error of the size asked for."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.dxa import dxa_facts, internal_rotation_deg, scan_hip
from osteoray.simulation.enrolment import STREAMS, enrolled, generator
from osteoray.simulation.parts import Part, take_apart
from osteoray.simulation.regions import BONE_G_CM2, HipLandmarks, bone_mask, hip_regions
from osteoray.simulation.virtual_body import drawn_body


@pytest.fixture(scope="module")
def patient():
    config = SimulationConfig(anatomy_spacing_mm=3.0)
    body = drawn_body(config, enrolled(config, "V001"))
    return body, take_apart(body)


def drawing(mirrored: bool = False):
    """A femur of straight edges: head 20 mm, neck 30 mm wide at 45°, trochanter above it, shaft 30 mm wide."""
    rows, columns = np.indices((180, 120)).astype(float)
    head = np.hypot(rows - 40, columns - 30) < 20
    along, across = (rows - 40 + columns - 30) / np.sqrt(2), (columns - 30 - rows + 40) / np.sqrt(2)
    neck = (np.abs(across) < 15) & (along > 0) & (along < 55)
    shaft = (columns > 65) & (columns < 95) & (rows > 35)
    areal = np.where(neck, 0.6, 0.0) + np.where(shaft & ~neck, 1.0, 0.0) + np.where(head & ~neck, 0.8, 0.0)
    marks = {"head_mm": (40.0, 30.0), "neck_mm": (60.0, 50.0), "trochanter_mm": (110.0, 65.0)}
    if mirrored:
        areal = areal[:, ::-1]
        marks = {name: (row, 119.0 - column) for name, (row, column) in marks.items()}
    points = {name: np.array(value) for name, value in marks.items()}
    return areal, HipLandmarks(head_radius_mm=20.0, **points)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_neck_box_lies_across_the_neck_and_touches_the_trochanter(mirrored):
    areal, landmarks = drawing(mirrored)
    regions = hip_regions(areal, 1.0, landmarks)
    # 15 mm along a neck 30 mm wide, all of it neck.
    assert regions.neck.sum() == pytest.approx(15 * 30, rel=0.05)
    assert areal[regions.neck] == pytest.approx(0.6)
    assert regions.box_mm == pytest.approx(49.0, abs=8)
    assert not (regions.neck & ~regions.total).any()


def test_the_total_hip_ends_ten_millimetres_below_the_lesser_trochanter():
    areal, landmarks = drawing()
    rows, columns = np.nonzero(hip_regions(areal, 1.0, landmarks).total)
    assert rows.max() == 120
    # No part of the head on the far side of the cut.
    assert ((rows - 40 + columns - 30) / np.sqrt(2)).min() >= 15.0


def test_a_short_neck_shortens_the_box_and_never_takes_the_head():
    areal, landmarks = drawing()
    areal[20:60, 64:70] = 1.0  # a trochanter close to the head
    regions = hip_regions(areal, 1.0, landmarks)
    assert 30 < regions.box_mm < 42
    rows, columns = np.nonzero(regions.neck)
    assert ((rows - 40 + columns - 30) / np.sqrt(2)).min() >= 0.75 * 20


def test_bone_is_the_largest_patch_with_its_holes():
    areal = np.zeros((40, 40))
    areal[5:25, 5:25] = 2 * BONE_G_CM2
    areal[10:14, 10:14] = 0.0
    areal[30:34, 30:34] = 2 * BONE_G_CM2
    assert bone_mask(areal).sum() == 20 * 20
    with pytest.raises(ValueError, match=r"expected pixels of at least 0\.2"):
        bone_mask(0.5 * BONE_G_CM2 * np.ones((4, 4)))


def test_a_block_has_the_areal_density_of_its_depth():
    grid = VoxelGrid.axial((140, 25, 40), (1.0, 2.0, 2.0), (-40.0, -25.0, -100.0))
    channels = np.zeros((*grid.shape, 3), np.float32)
    channels[2:-2, 2:-2, 2:-2, 2] = 0.3
    up = np.array([0.0, 0.0, 1.0])
    femur = FemurTruth(
        head_centre_mm=np.array([-30.0, 0.0, 20.0]),
        head_radius_mm=20.0,
        neck_axis=np.array([-1.0, 0.0, 1.0]) / np.sqrt(2),
        neck_centre_mm=np.array([-10.0, 0.0, 0.0]),
        shaft_axis=up,
        shaft_point_mm=np.array([0.0, 0.0, -80.0]),
        lesser_trochanter_mm=np.array([-15.0, 0.0, -50.0]),
        neck_shaft_angle_deg=135.0,
        anteversion_deg=None,
    )
    scan = scan_hip(femur, Side.LEFT, Part(channels, grid))
    assert scan.areal_g_cm2.max() == pytest.approx(0.3 * 42 / 10, rel=1e-3)
    mass_g = channels[..., 2].sum() * grid.voxel_mm3 * 1e-3
    # The focus is 10 m away: what lies in front of the femur's plane is cast larger, what lies behind it smaller.
    assert scan.areal_g_cm2.sum() * 0.01 == pytest.approx(mass_g, rel=1e-3)
    assert scan.internal_rotation_deg == pytest.approx(0)


@pytest.mark.parametrize(("side", "medial"), [(Side.LEFT, -1.0), (Side.RIGHT, 1.0)])
def test_a_neck_that_points_forward_is_turned_inwards(side, medial, patient):
    body, _ = patient
    forward = np.array([medial * np.cos(0.3), -np.sin(0.3), 1.0]) / np.sqrt(2)
    femur = FemurTruth(**{**vars(body.femurs[side]), "neck_axis": forward, "shaft_axis": np.array([0.0, 0.0, 1.0])})
    assert internal_rotation_deg(femur, side) == pytest.approx(np.degrees(0.3))


def test_a_virtual_hip_reads_like_a_hip(patient):
    facts = dxa_facts(*patient, 1.8, np.random.default_rng(0))
    for hip in facts.values():
        assert 0.3 < hip["total_hip_true_g_cm2"] < 1.4
        assert hip["neck_true_g_cm2"] < 1.1 * hip["total_hip_true_g_cm2"]
        assert 22 < hip["total_hip_area_cm2"] < 55
        assert 3.5 < hip["neck_area_cm2"] < 7.5


def test_the_precision_error_has_the_size_that_was_asked_for(patient):
    body, parts = patient
    ratios = []
    for seed in range(60):
        facts = dxa_facts(body, parts, 1.8, np.random.default_rng(seed))
        ratios += [
            [hip[f"{site}_g_cm2"] / hip[f"{site}_true_g_cm2"] - 1 for site in ("total_hip", "neck")]
            for hip in facts.values()
        ]
    errors = np.array(ratios)
    assert errors.std() == pytest.approx(0.018, rel=0.15)
    assert abs(np.corrcoef(errors.T)[0, 1]) < 0.3
    exact = dxa_facts(body, parts, 0.0, np.random.default_rng(0))["left"]
    assert exact["neck_g_cm2"] == exact["neck_true_g_cm2"]


def test_dxa_draws_change_no_other_stream():
    assert STREAMS[:4] == ("enrolment", "anatomy", "ct", "xrays")
    assert generator(1, 2, "dxa").random() != generator(1, 2, "xrays").random()
