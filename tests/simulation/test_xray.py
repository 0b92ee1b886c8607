"""Rays, poses and the detector obey geometry and physics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum
from osteoray.simulation.parts import take_apart
from osteoray.simulation.posing import PatientPose, draw_pose, femur_rotation, pose_bones
from osteoray.simulation.raycast import cast
from osteoray.simulation.truth import neutral_camera, neutral_density
from osteoray.simulation.xray_system import (
    SCINTILLATOR_CSI_G_CM2,
    draw_exposure,
    marker_attenuation,
    primary,
    scatter,
    stored_values,
    take_xray,
)
from osteoray.simulation.xray_view import draw_view, project_body

STILL = dict.fromkeys(("flexion", "abduction", "rotation"), 0.0)


def camera(shape=(120, 120), pitch_mm=2.0, sid_mm=1000.0, source_mm=850.0) -> Camera:
    centre = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(np.zeros(3), source_mm)
    return Camera.from_geometry(sid_mm, (pitch_mm, pitch_mm), centre, shape, pose)


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


def test_a_ray_through_a_slab_has_the_slabs_length():
    grid = VoxelGrid.axial((60, 21, 60), (4.0, 4.0, 4.0), (-118.0, -40.0, -118.0))
    ones = np.ones((*grid.shape, 1), np.float32)
    view = camera(shape=(41, 41))
    image = cast(ones, grid, view)[..., 0]
    cosine = view.rays()[..., 1]
    np.testing.assert_allclose(image, 84.0 / cosine, rtol=1e-5)


def test_a_sphere_casts_its_chords():
    spacing = 1.5
    count = 61
    grid = VoxelGrid.axial((count,) * 3, (spacing,) * 3, (-(count - 1) / 2 * spacing,) * 3)
    radius = np.linalg.norm(grid.coordinates_mm(), axis=-1)
    ball = np.clip(0.5 - (radius - 30.0) / spacing, 0, 1)[..., None]
    view = camera()
    image = cast(ball.astype(np.float32), grid, view)[..., 0]
    offset = np.linalg.norm(np.cross(view.rays(), view.focus_mm), axis=-1)
    chord = 2 * np.sqrt(np.maximum(30.0**2 - offset**2, 0))
    inner = offset < 27
    np.testing.assert_allclose(image[inner], chord[inner], atol=0.6)
    assert np.all(image[offset > 33] == 0)


def test_a_rotated_grid_gives_the_rotated_image():
    grid = VoxelGrid.axial((20, 20, 20), (3.0, 3.0, 3.0), (-28.5, -28.5, -28.5))
    values = np.random.default_rng(0).random((20, 20, 20, 1)).astype(np.float32)
    rotation = femur_rotation(Side.LEFT, {"flexion": 9.0, "abduction": 14.0, "rotation": -8.0})
    motion = affine(rotation, np.array([5.0, 3.0, 1.0]))
    moved_grid = VoxelGrid(grid.shape, motion @ grid.world_from_index)
    view = camera()
    np.testing.assert_allclose(
        cast(values, moved_grid, view), cast(values, grid, view.at(view.camera_from_world @ motion)), atol=1e-3
    )


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


def test_primary_is_beer_lambert_over_the_spectrum():
    spectrum = tube_spectrum(80)
    areal = np.zeros((1, 2, 3))
    areal[0, 1] = 3.0, 15.0, 0.8
    signal, _ = primary(areal, spectrum)
    energies = spectrum.energies_kev
    absorbed = 1 - np.exp(-mass_attenuation_cm2_g("caesium iodide", energies) * SCINTILLATOR_CSI_G_CM2)
    exponent = sum(
        mass * mass_attenuation_cm2_g(material, energies)
        for material, mass in zip(("adipose", "lean", "hydroxyapatite"), areal[0, 1], strict=True)
    )
    expected = (spectrum.photons_per_cm2_mas * absorbed * energies * np.exp(-exponent)).sum()
    assert float(signal[0, 1]) == pytest.approx(expected, rel=1e-4)
    assert signal[0, 0] > 50 * signal[0, 1]


def test_the_bone_signal_has_the_known_strength():
    # 85 kVp behind 14 cm muscle and 4 cm fat: 0.50 per g/cm2 without scatter.
    areal = np.zeros((1, 2, 3))
    areal[..., 0], areal[..., 1] = 4 * 0.92, 14 * 1.05
    areal[0, 1, 2] = 1.0
    signal, _ = primary(areal, tube_spectrum(85))
    assert float(np.log(signal[0, 0] / signal[0, 1])) == pytest.approx(0.50, abs=0.01)


def test_scatter_behind_an_even_body_is_the_asked_ratio_and_none_comes_from_air():
    signal = np.ones((200, 200), np.float32)
    ratio = scatter(signal, np.full((200, 200), 20.0), 3.0, 0.5)
    assert ratio[100, 100] == pytest.approx(0.5, abs=0.01)
    assert np.all(scatter(signal, np.zeros((200, 200)), 3.0, 0.5) == 0)


def test_exposure_control_levels_thin_and_thick_bodies():
    levels = []
    for thickness in (12.0, 22.0):
        areal = np.zeros((120, 144, 3), np.float32)
        areal[..., 1] = thickness
        rng = np.random.default_rng(5)
        image = take_xray(areal, 3.0, 1150.0, draw_exposure(80, rng), rng)
        levels.append((float(image.stored[40:80, 50:90].mean()), image.mas))
    assert levels[0][0] == pytest.approx(levels[1][0], abs=60)
    assert abs(levels[0][0] - 8000) < 250
    assert levels[1][1] > 4 * levels[0][1]


def test_stored_values_follow_the_documented_formula():
    np.testing.assert_array_equal(stored_values(np.array([[0.0, -1.0, 1.2345, 99.0]])), [[8000, 7000, 9234, 16383]])


def test_the_marker_stands_on_the_named_side():
    left, right = (marker_attenuation((240, 288), 1.5, letter) for letter in "LR")
    assert np.flatnonzero(left.any(axis=0)).min() > 144 > np.flatnonzero(right.any(axis=0)).max()


def test_magnification_is_plausible(view):
    assert 1.1 < view.camera.sid_mm / view.source_patient_mm < 1.3
