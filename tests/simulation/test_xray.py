"""Rays, poses and the detector obey geometry and physics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import Side
from osteoray.simulation.parts import take_apart
from osteoray.simulation.posing import PatientPose, draw_pose, pose_bones
from osteoray.simulation.raycast import cast
from osteoray.simulation.truth import neutral_camera, neutral_density
from osteoray.simulation.xray_view import draw_view, project_body

STILL = dict.fromkeys(("flexion", "abduction", "rotation"), 0.0)


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(4.0)


@pytest.fixture(scope="module")
def parts(body):
    return take_apart(body)


@pytest.fixture(scope="module")
def view(body):
    rng = np.random.default_rng(3)
    return draw_view(body, draw_pose("abduction", rng), (240, 288), 1.5, (1150.0, 25.0), rng)


def test_the_map_holds_the_mass_of_the_bone(body, parts):
    femur = body.femurs[Side.LEFT]
    view = neutral_camera(femur)
    image = cast(parts.proximal_density[Side.LEFT].channels[..., :1], parts.proximal_density[Side.LEFT].grid, view)
    # In almost parallel rays, areal density times the pixel's area is the mass.
    mass_g = image.sum() * 1e-4 * (0.5 / 10) ** 2
    expected_g = body.ha_mg_cm3[body.proximal_femur == 1].sum() * body.grid.voxel_mm3 * 1e-6
    assert mass_g == pytest.approx(expected_g, rel=0.01)
    density = neutral_density(femur, parts.proximal_density[Side.LEFT])
    assert density["bmc_g"] == pytest.approx(expected_g, rel=0.05)
    assert density["vbmd_mg_cm3"] == pytest.approx(400, abs=1e-2)


def test_bones_move_about_the_head_and_outwards_when_abducted():
    heads = {Side.LEFT: np.array([90.0, 0, 0]), Side.RIGHT: np.array([-90.0, 0, 0])}
    turned = {"flexion": 10.0, "abduction": 15.0, "rotation": 20.0}
    pose = PatientPose("abduction", 5.0, {Side.LEFT: turned, Side.RIGHT: turned}, 0.0, 0.0)
    posed = pose_bones(pose, heads)
    for side, sign in ((Side.LEFT, 1), (Side.RIGHT, -1)):
        by_femur, by_pelvis = (apply_affine(motion, heads[side]) for motion in (posed.femur[side], posed.pelvis))
        np.testing.assert_allclose(by_femur, by_pelvis, atol=1e-9)
        knee = apply_affine(posed.femur[side], heads[side] + np.array([0, 0, -100.0])) - heads[side]
        assert sign * knee[0] > 20 and knee[1] < -10
        front = posed.femur[side][:3, :3] @ np.array([0, -1.0, 0])
        assert sign * front[0] < -0.2
    crest = apply_affine(posed.pelvis, np.array([0, 0, 100.0]))
    assert crest[1] == pytest.approx(100 * np.sin(np.radians(5)), abs=1e-6)


def test_a_landmark_projects_onto_the_drawn_image(parts, body, view):
    # The head of each femur alone, in the X-ray: centre of its shadow is the projected centre.
    grid = body.grid
    points = grid.coordinates_mm()
    for side in Side:
        head = body.femurs[side].head_centre_mm
        radius = np.linalg.norm(points - head, axis=-1)
        ball = np.clip(0.5 - (radius - 20.0) / 4.0, 0, 1)[..., None].astype(np.float32)
        image = cast(ball, grid, view.femur(side))[..., 0]
        np.testing.assert_allclose(center_of_mass(image), view.femur(side).project(head), atol=0.5)


def test_parts_add_up_to_the_body(parts, body):
    still = draw_view(
        body, PatientPose("supine", 0.0, dict.fromkeys(Side, STILL), 0.0, 0.0), (120, 144), 3.0, (1150.0, 0.0),
        np.random.default_rng(0),
    )  # fmt: skip
    assembled, _ = project_body(parts, still, body, 4.0)
    whole = np.stack([body.adipose_g_cm3, body.lean_g_cm3, 1e-3 * body.ha_mg_cm3], axis=-1)
    direct = cast(whole, body.grid, still.camera) / 10.0
    # Soft tissue continues beyond the ends of the body's grid: compare where rays stay inside it.
    middle = (slice(25, 95), slice(20, 124))
    np.testing.assert_allclose(assembled[middle][..., :3].sum(axis=-1), direct[middle].sum(axis=-1), atol=1.0)
    np.testing.assert_allclose(assembled[middle][..., 2], direct[middle][..., 2], atol=0.02)


def test_maps_of_the_bones_contain_the_proximal_femur(parts, body, view):
    _, maps = project_body(parts, view, body, 4.0)
    names = ("bone", "proximal_femur_left", "proximal_femur_right")
    assert set(maps) == {f"{name}{suffix}" for name in names for suffix in ("", "_qct")}
    for side in Side:
        assert np.all(maps["bone"] >= maps[f"proximal_femur_{side}"] - 1e-5)
        assert 0.8 < maps[f"proximal_femur_{side}"].max() < 1.4


def test_magnification_is_plausible(view):
    assert 1.1 < view.camera.sid_mm / view.source_patient_mm < 1.3
