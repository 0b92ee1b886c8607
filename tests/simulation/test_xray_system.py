"""The detector's signal obeys the physics of beam, grid, exposure control, collimator and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import XraySystemConfig
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum
from osteoray.simulation.collimation import (
    BLADE_TRANSMISSION,
    Collimator,
    draw_collimator,
    needed_field,
    open_collimator,
)
from osteoray.simulation.detector import DETECTORS, detect, filtered_along
from osteoray.simulation.exposure import Exposure, draw_exposure
from osteoray.simulation.exposure_control import MAX_MAS, REFERENCE_SIGNAL_KEV_MM2, tube_load_mas
from osteoray.simulation.markers import LEAD_TRANSMISSION, Marker, draw_marker, marker_transmission
from osteoray.simulation.parts import take_apart
from osteoray.simulation.posing import draw_pose
from osteoray.simulation.primary import MATERIALS, primary, quadrature, spectrum_weights
from osteoray.simulation.raycast import cast
from osteoray.simulation.scatter import scatter
from osteoray.simulation.xray_storage import LINEAR_AT_REFERENCE, PixelFormat, inverted, store, stored_values
from osteoray.simulation.xray_system import exposed, take_xray
from osteoray.simulation.xray_view import draw_view

MARKER = Marker("R", "", 18.0, 0.0, 10.0, 10.0)


def camera(shape=(120, 144), pitch_mm=3.0) -> Camera:
    centre = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(np.zeros(3), 980.0)
    return Camera.from_geometry(1150.0, (pitch_mm, pitch_mm), centre, shape, pose)


def plain(seen: Camera, **changes: object) -> Exposure:
    exposure = Exposure(80, 0.45, 1.0, 1.2, (0.0, 0.0), open_collimator(seen, 1.2), MARKER)
    return replace(exposure, **changes)


def slab(seen: Camera, lean_g_cm2: float) -> np.ndarray:
    areal = np.zeros((*seen.shape, 3), np.float32)
    areal[..., 1] = lean_g_cm2
    return areal


def test_a_slab_transmits_the_integral_over_the_spectrum():
    spectrum, detector = tube_spectrum(80), DETECTORS["DX"]
    areal = np.array([[[0, 0, 0], [3.0, 15.0, 0.8], [0, 32.0, 2.5], [2.0, 0.5, -0.01]]])
    signal, variance = primary(areal, 80)
    energies = spectrum.energies_kev
    for n, masses in enumerate(areal[0]):
        exponent = sum(
            mass * mass_attenuation_cm2_g(material, energies)
            for material, mass in zip(MATERIALS[:3], masses, strict=True)
        )
        quanta = spectrum.photons_per_cm2_mas * detector.absorbed(energies) * np.exp(-exponent)
        assert float(signal[0, n]) == pytest.approx((quanta * energies).sum(), rel=1e-3)
        assert float(variance[0, n]) == pytest.approx((quanta * energies**2).sum(), rel=5e-3)


@pytest.mark.parametrize("kvp", [70, 80, 90])
@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_few_energies_stand_for_the_spectrum_within_a_thousandth(kvp, modality):
    rng = np.random.default_rng(0)
    soft, fat = rng.random(2000) * 45, rng.random(2000)
    mineral, metal = np.maximum(rng.random(2000) * 5 - 1, -0.1), np.maximum(rng.random(2000) * 20 - 14, 0)
    areal = np.stack([soft * fat, soft * (1 - fat), mineral, metal], axis=1)
    energies, weights = spectrum_weights(kvp, modality)
    attenuation = np.stack([mass_attenuation_cm2_g(material, energies) for material in MATERIALS])
    full = np.exp(-areal @ attenuation) @ weights
    few, _ = primary(areal[None], kvp, modality)
    assert np.abs(few[0] / full - 1).max() < 1e-3
    assert len(quadrature(kvp, modality).energy_kev) < len(energies) / 3


def test_the_bone_signal_has_the_known_strength():
    # 85 kVp behind 14 cm muscle and 4 cm fat: 0.50 per g/cm2 without scatter.
    areal = np.zeros((1, 2, 3))
    areal[..., 0], areal[..., 1] = 4 * 0.92, 14 * 1.05
    areal[0, 1, 2] = 1.0
    signal, _ = primary(areal, 85)
    assert float(np.log(signal[0, 0] / signal[0, 1])) == pytest.approx(0.50, abs=0.01)


def test_scatter_is_the_asked_ratio_rises_with_thickness_and_falls_at_the_edge():
    even = np.ones((400, 400), np.float32)
    ratios = {mass: scatter(even, np.full((400, 400), mass), 3.0, 0.5) for mass in (0.0, 10.0, 20.0, 30.0)}
    assert ratios[20.0][200, 200] == pytest.approx(0.5, abs=0.01)
    assert ratios[10.0][200, 200] == pytest.approx(0.5 / 2**1.2, abs=0.01)
    assert ratios[30.0][200, 200] > 1.5 * ratios[20.0][200, 200]
    assert ratios[20.0][200, 0] == pytest.approx(0.25, abs=0.03)
    assert np.all(ratios[0.0] == 0)


def test_exposure_control_hits_its_aim_behind_thin_and_thick_bodies():
    seen = camera()
    levels = []
    for thickness in (12.0, 22.0):
        signal, _, mas = exposed(slab(seen, thickness), seen, 980.0, plain(seen, aec_factor=1.05), "DX")
        levels.append((float(signal[40:70, 60:84].mean()), mas))
    assert levels[0][0] == pytest.approx(1.05 * REFERENCE_SIGNAL_KEV_MM2, rel=0.03)
    assert levels[0][0] == pytest.approx(levels[1][0], rel=0.03)
    assert levels[1][1] > 4 * levels[0][1]


def test_the_backup_timer_ends_an_exposure():
    assert tube_load_mas(np.full((120, 144), 1.0), 3.0) == MAX_MAS


@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_noise_is_that_of_the_absorbed_quanta(modality):
    # Wide means are free of blur and read-out noise counts little: variance times area is that of the quanta.
    detector, pitch, energy = DETECTORS[modality], 0.25, 52.0
    signal = np.full((1600, 1600), 2.0e6, np.float32)
    image = detect(signal, signal * np.float32(energy), pitch, detector, np.random.default_rng(0))
    blocks = image.reshape(40, 40, 40, 40).mean(axis=(1, 3))
    quanta = 2.0e6 / energy * (40 * pitch) ** 2
    read_out = (detector.read_out_kev / pitch**2) ** 2 / 1600
    expected = np.sqrt(2.0e6**2 * detector.light_noise / quanta + read_out)
    assert blocks.std() == pytest.approx(expected, rel=0.06)
    assert image.mean() == pytest.approx(2.0e6, rel=1e-3)


def test_quantum_noise_is_blurred_and_read_out_noise_is_white():
    rng = np.random.default_rng(1)
    signal = np.full((512, 512), 2.0e6, np.float32)

    def neighbours(variance, detector):
        image = detect(signal, variance, 0.2, detector, rng) - signal
        return float((image[:, 1:] * image[:, :-1]).mean() / image.var())

    detector = DETECTORS["DX"]
    assert neighbours(signal * np.float32(52), replace(detector, read_out_kev=0.0)) > 0.3
    assert abs(neighbours(np.zeros_like(signal), detector)) < 0.02


@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_an_edge_shows_the_modulation_transfer_of_the_detector(modality):
    detector = replace(DETECTORS[modality], read_out_kev=0.0)
    pitch, columns = 0.1, 1024
    step = np.zeros((64, columns), np.float32)
    step[:, columns // 2 :] = 1.0
    image = detect(step, np.zeros_like(step), pitch, detector, np.random.default_rng(0))
    spread = np.diff(image[32].astype(float))[256:768]
    transfer = np.abs(np.fft.rfft(spread))
    frequency = np.fft.rfftfreq(len(spread), pitch)
    # The difference of neighbouring pixels is itself a filter.
    expected = detector.mtf(frequency)
    chosen = (frequency > 0.1) & (frequency < 3.0)
    np.testing.assert_allclose(transfer[chosen] / transfer[0], expected[chosen], atol=0.03)
    assert expected[np.argmin(np.abs(frequency - 2.5))] == pytest.approx(0.2, abs=0.03)


def test_motion_keeps_the_mean_and_blurs_along_its_path():
    image = np.zeros((101, 101), np.float32)
    image[50, 50] = 1.0
    blurred = filtered_along(image, 0.5, (0.0, 4.0))
    assert float(blurred.sum()) == pytest.approx(1.0, abs=1e-3)
    assert blurred[50, 47:54].min() > 0.08 and abs(float(blurred[45, 50])) < 1e-3


def test_a_reprojected_landmark_hits_the_xray_within_a_tenth_of_a_pixel():
    body = ellipsoid_body(8.0)
    rng = np.random.default_rng(3)
    view = draw_view(body, draw_pose("abduction", rng), (360, 432), 1.0, (1150.0, 25.0), rng)
    exposure = replace(plain(view.camera), marker=replace(MARKER, down_mm=1.0, aside_mm=1.0))
    for side in Side:
        head = body.femurs[side].head_centre_mm
        grid = VoxelGrid.axial((21, 21, 21), (0.5, 0.5, 0.5), tuple(head + np.array([-4.87, -4.92, -5.19])))
        radius = np.linalg.norm(grid.coordinates_mm() - head, axis=-1)
        ball = np.clip(0.5 - (radius - 2.5) / 0.5, 0, 1)[..., None].astype(np.float32) * 6.0
        areal = np.zeros((*view.camera.shape, 3), np.float32)
        areal[..., 1] = 15.0
        areal[..., 2] = cast(ball, grid, view.femur(side))[..., 0] / 10
        image = take_xray(areal, view.camera, view.source_patient_mm, exposure, PixelFormat(), np.random.default_rng(0))
        row, column = (int(n) for n in view.femur(side).project(head))
        window = (slice(row - 8, row + 10), slice(column - 8, column + 10))
        shadow = image.stored[window].astype(float)
        shadow = np.maximum(shadow - np.median(shadow) - 60.0, 0)
        found = np.array(center_of_mass(shadow)) + np.array([row - 8, column - 8])
        np.testing.assert_allclose(found, view.femur(side).project(head), atol=0.1)


def test_metal_takes_nearly_all():
    areal = np.zeros((1, 2, 4))
    areal[..., 1], areal[0, 1, 3] = 15.0, 1.5 * 4.43
    signal, _ = primary(areal, 80)
    assert signal[0, 1] < 0.05 * signal[0, 0]


def test_the_field_holds_both_hips_whatever_is_drawn():
    body = ellipsoid_body(8.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        view = draw_view(body, draw_pose("supine", rng), (360, 450), 1.0, (1150.0, 25.0), rng)
        collimator = draw_collimator(view, body.femurs, 1.2, rng)
        top, bottom, left, right = needed_field(view, body.femurs)
        inside = collimator.field(5.0)
        assert inside[int(top) + 1 : int(bottom), int(left) + 1 : int(right)].all()


def test_blades_and_scatter_stay_behind_a_soft_edge():
    collimator = Collimator((200, 300), (20.0, 180.0, 30.5, 270.0), 0.0, 3.0)
    share = collimator.transmission()
    assert share[100, 150] == pytest.approx(1.0, abs=1e-4)
    assert share[100, 30] == pytest.approx(0.5, abs=0.01)
    assert share[100, 2] == pytest.approx(BLADE_TRANSMISSION, rel=0.01)
    seen = camera((200, 300), 1.5)
    signal, _, _ = exposed(slab(seen, 15.0), seen, 980.0, plain(seen, collimator=collimator), "DX")
    assert 0.01 < signal[100, 5] / signal[100, 150] < 0.2


def test_a_turned_field_is_bounded_by_its_corners():
    collimator = Collimator((400, 500), (50.0, 350.0, 60.0, 440.0), 2.0, 3.0)
    field = collimator.field()
    corners = collimator.corners()
    outwards = np.sign(corners - np.array([199.5, 249.5]))
    for corner, outward in zip(corners, outwards, strict=True):
        assert field[tuple(np.rint(corner - 2 * outward).astype(int))]
        assert not field[tuple(np.rint(corner + 2 * outward).astype(int))]


def test_the_marker_stands_on_the_named_side_and_takes_nearly_all():
    field = (0.0, 240.0, 0.0, 288.0)
    left, right = (
        marker_transmission((240, 288), 1.5, replace(MARKER, letter=letter, turn_deg=5.0), field) for letter in "LR"
    )
    assert np.flatnonzero((left < 0.5).any(axis=0)).min() > 144 > np.flatnonzero((right < 0.5).any(axis=0)).max()
    assert left.min() == pytest.approx(LEAD_TRANSMISSION, abs=0.02)
    named = marker_transmission((240, 288), 1.5, replace(MARKER, text="STANDING"), field)
    assert (named < 0.5).sum() > 1.5 * (right < 0.5).sum()


def test_markers_vary():
    rng = np.random.default_rng(0)
    drawn = [draw_marker("standing", True, rng) for _ in range(30)]
    assert {marker.letter for marker in drawn} == {"L", "R"} and {marker.text for marker in drawn} == {"STANDING"}
    assert np.ptp([marker.down_mm for marker in drawn]) > 10


def test_stored_values_follow_the_documented_formula():
    np.testing.assert_array_equal(stored_values(np.array([[0.0, -1.0, 1.2345, 99.0]])), [[8000, 7000, 9234, 16383]])
    np.testing.assert_array_equal(stored_values(np.array([[0.0, 1.0]]), -1), [[8000, 7000]])


def test_linear_and_log_hold_the_same_exposure():
    signal = (np.geomspace(0.05, 100, 200) * REFERENCE_SIGNAL_KEV_MM2).astype(np.float32).reshape(10, 20)
    field = np.ones_like(signal, bool)
    log = store(signal, field, PixelFormat(storage="log"))
    linear = store(signal, field, PixelFormat(storage="linear"))
    from_linear = -np.log(linear / LINEAR_AT_REFERENCE)
    np.testing.assert_allclose((log - 8000.0) / 1000.0, from_linear, atol=0.03)


@pytest.mark.parametrize("storage", ["log", "presentation"])
def test_monochrome1_is_monochrome2_inverted(storage):
    signal = (np.random.default_rng(0).random((64, 64)).astype(np.float32) + 0.2) * 2.0e6
    field = np.ones_like(signal, bool)
    bright, dark = (
        store(signal, field, PixelFormat(storage=storage, photometric=photometric))
        for photometric in ("MONOCHROME2", "MONOCHROME1")
    )
    np.testing.assert_allclose(inverted(bright, PixelFormat(storage=storage)).astype(int), dark.astype(int), atol=1)


def test_the_conditions_are_drawn_within_what_hospitals_use():
    body = ellipsoid_body(8.0)
    assert take_apart(body).femur_rays[Side.LEFT].count == 7
    for seed in range(30):
        rng = np.random.default_rng(seed)
        view = draw_view(body, draw_pose("standing", rng), (240, 300), 1.5, (1150.0, 25.0), rng)
        exposure = draw_exposure(XraySystemConfig(), view, body.femurs, rng)
        assert 1000 <= view.camera.sid_mm <= 1250
        assert 0.2 <= exposure.scatter_ratio <= 0.9 and 1.0 <= exposure.focal_spot_mm <= 1.4
        assert not exposure.marker.text
    shut = draw_exposure(XraySystemConfig(collimation=False, pose_text=True), view, body.femurs, rng)
    assert shut.collimator.field().all() and shut.marker.text == "STANDING"
