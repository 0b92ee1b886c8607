"""Search renderer: equal to the exact projector on smoothed volumes, for any axis and oblique grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.volume import Volume
from osteoray.radiography import shear_warp as search_renderer
from osteoray.radiography import shear_warp_kernels, shear_warp_native
from osteoray.radiography.ray_integrals import areal_density_g_cm2
from osteoray.radiography.shear_warp import (
    GradientTarget,
    facing_axis,
    gradient_correlations,
    is_faced,
    pixel_ray_lengths,
    render,
    rendered_gradients,
    shear_warp,
    sliced,
)


@pytest.fixture(autouse=True, params=["numba", "c"])
def kernels(request, monkeypatch):
    """Every claim holds for both sets of kernels."""
    if request.param == "c" and shear_warp_native.library() is None:
        pytest.skip("no C compiler")
    chosen = shear_warp_native if request.param == "c" else shear_warp_kernels
    monkeypatch.setattr(search_renderer, "_kernels", lambda: chosen)


def smooth_volume(seed=0, shape=(44, 40, 60), spacing_mm=3.0):
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.uniform(size=shape), 3.0)
    blobs = np.where(blobs > np.quantile(blobs, 0.75), 800.0, 0.0)
    edge = np.pad(np.ones(tuple(n - 6 for n in shape)), 3)
    smooth = ndimage.gaussian_filter(blobs * edge, 0.8, truncate=3.0).astype(np.float32)
    origin_mm = tuple(-(n - 1) / 2 * spacing_mm for n in shape[::-1])
    return Volume(smooth, VoxelGrid.axial(shape, (spacing_mm,) * 3, origin_mm))


def view(turn_deg=(0.0, 0.0, 0.0), shift_mm=(0.0, 0.0, 0.0)):
    pose = ap_camera_from_world(np.zeros(3), 850.0)
    pose = (
        affine(np.eye(3), np.array(shift_mm))
        @ pose
        @ rotation_about(np.zeros(3), rotation_from_vector(np.radians(turn_deg)))
    )
    return Camera.from_geometry(1000.0, (3.4, 3.4), (51.5, 63.5), (104, 128), pose)


def relative_rmse(image, reference):
    return np.sqrt(np.mean((image - reference) ** 2) / np.mean(reference**2))


@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 0.0), (12.0, 0.0, 0.0), (0.0, 15.0, 0.0), (-10.0, 8.0, 20.0)])
@pytest.mark.parametrize("shift_mm", [(0.0, 0.0, 0.0), (40.0, -30.0, 90.0)])
def test_equals_the_exact_projector(turn_deg, shift_mm):
    volume, camera = smooth_volume(), view(turn_deg, shift_mm)
    reference = areal_density_g_cm2(volume, camera)
    image = shear_warp(volume, camera)
    assert relative_rmse(image, reference) < 0.03
    assert image.sum() == pytest.approx(reference.sum(), rel=2e-3)


@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 90.0), (90.0, 0.0, 0.0), (0.0, 0.0, 180.0)])
def test_the_facing_axis_is_chosen(turn_deg):
    volume, camera = smooth_volume(), view(turn_deg)
    assert relative_rmse(shear_warp(volume, camera), areal_density_g_cm2(volume, camera)) < 0.03


def test_oblique_grids_are_placed_where_they_are():
    volume = smooth_volume()
    turned = affine(rotation_from_vector(np.array([0.1, -0.15, 0.2])), np.array([5.0, 9.0, -4.0]))
    volume = Volume(volume.array, VoxelGrid(volume.grid.shape, turned @ volume.grid.world_from_index))
    assert relative_rmse(shear_warp(volume, view()), areal_density_g_cm2(volume, view())) < 0.03


def test_a_landmark_is_rendered_where_the_camera_projects_it():
    volume = smooth_volume()
    for place in [(10, 5, 50), (35, 34, 8)]:
        speck = np.zeros(volume.grid.shape, np.float32)
        speck[place] = 1000.0
        speck = ndimage.gaussian_filter(speck, 0.8)
        camera = view((5.0, -12.0, 25.0), (20.0, 10.0, 0.0))
        image = shear_warp(Volume(speck, volume.grid), camera)
        centre_mm = volume.grid.world_from_index @ [*place, 1.0]
        assert ndimage.center_of_mass(image) == pytest.approx(camera.project(centre_mm[:3]), abs=0.05)


def test_a_population_equals_its_members():
    bone, camera = sliced(smooth_volume()), view()
    poses = np.stack([view((a, 0.0, b)).camera_from_world for a, b in ((0.0, 0.0), (9.0, -7.0), (-14.0, 3.0))])
    together = render(bone, camera.K, poses, camera.shape)
    alone = [render(bone, camera.K, pose[None], camera.shape)[0] for pose in poses]
    assert np.array_equal(together, np.stack(alone))


def test_runs_leave_nothing_out():
    volume = smooth_volume()
    haze = Volume(volume.array + np.float32(1e-3), volume.grid)
    assert shear_warp(volume, view((8.0, 4.0, 2.0))) == pytest.approx(shear_warp(haze, view((8.0, 4.0, 2.0))), abs=1e-4)


def test_a_focus_inside_the_bone_renders_nothing():
    bone, camera = sliced(smooth_volume()), view(shift_mm=(0.0, 0.0, -850.0))
    assert render(bone, camera.K, camera.camera_from_world[None], camera.shape).max() == 0


def test_an_empty_volume_is_refused():
    volume = smooth_volume()
    with pytest.raises(ValueError, match="at least one voxel"):
        sliced(Volume(np.zeros_like(volume.array), volume.grid))


def test_a_bone_outside_the_picture_scores_zero():
    bone, camera = sliced(smooth_volume()), view(shift_mm=(2000.0, 0.0, 0.0))
    ones = np.ones(camera.shape, np.float32)
    target = GradientTarget(camera.K, ones, ones, np.stack([ones, ones]), np.zeros_like(ones))
    assert gradient_correlations(bone, target, camera.camera_from_world[None]) == pytest.approx(0.0)


def some_target(camera, seed=3):
    rng = np.random.default_rng(seed)
    weights, background, *gradients = rng.uniform(size=(4, *camera.shape)).astype(np.float32)
    return GradientTarget(camera.K, pixel_ray_lengths(camera.K, camera.shape), weights, np.stack(gradients), background)


@pytest.mark.parametrize("shape", [(104, 128), (37, 51)])
def test_kernels_agree(monkeypatch, shape):
    if shear_warp_native.library() is None:
        pytest.skip("no C compiler")
    bone, camera = sliced(smooth_volume()), view().resized(shape)
    # The fourth is half outside the picture, the last two are so oblique that some rays run along the slices.
    turns = [(0.0, 0.0, 0.0), (14.0, -9.0, 30.0), (-20.0, 11.0, -4.0), (0.0, 0.0, 5.0)]
    turns += [(0.0, 0.0, 85.0), (88.0, 0.0, 0.0)]
    shifts = [(0.0, 0.0, 0.0), (60.0, 0.0, -300.0), (-250.0, 90.0, 200.0), (190.0, 150.0, 0.0), *2 * [(0.0, 0.0, 0.0)]]
    poses = np.stack([view(turn, shift).camera_from_world for turn, shift in zip(turns, shifts, strict=True)])
    results = []
    for chosen in (shear_warp_kernels, shear_warp_native):
        monkeypatch.setattr(search_renderer, "_kernels", lambda chosen=chosen: chosen)
        target = some_target(camera)
        images = render(bone, camera.K, poses, camera.shape)
        results.append([images, gradient_correlations(bone, target, poses), rendered_gradients(bone, target, poses)])
    for numba, c in zip(*results, strict=True):
        np.testing.assert_allclose(c, numba, rtol=1e-5, atol=1e-5 * np.abs(numba).max())


def test_a_close_focus_is_rendered_too():
    # Slices near the focus are enlarged more than twice on the plane image.
    volume, camera = smooth_volume(), view(shift_mm=(0.0, 0.0, -760.0))
    assert relative_rmse(shear_warp(volume, camera), areal_density_g_cm2(volume, camera)) < 0.05


@pytest.mark.parametrize(("turn_deg", "axis"), [((0.0, 0.0, 0.0), 1), ((0.0, 0.0, 75.0), 2), ((80.0, 0.0, 0.0), 0)])
def test_a_search_may_face_any_axis(turn_deg, axis):
    volume, camera = smooth_volume(), view(turn_deg)
    assert facing_axis(volume.grid, camera.camera_from_world) == axis
    bone, pose = sliced(volume, axis), camera.camera_from_world[None]
    image = render(bone, camera.K, pose, camera.shape)[0]
    assert relative_rmse(image, areal_density_g_cm2(volume, camera)) < 0.03
    ones, zeros = np.ones(camera.shape, np.float32), np.zeros(camera.shape, np.float32)
    lengths = pixel_ray_lengths(camera.K, camera.shape)
    own = rendered_gradients(bone, GradientTarget(camera.K, lengths, ones, np.stack([ones, ones]), zeros), pose)[0]
    target = GradientTarget(camera.K, lengths, ones, own, zeros)
    assert gradient_correlations(bone, target, pose) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("aside_mm", [1e7, 3e8, 6e8, 3e9, 1e25])
def test_an_absurd_pose_renders_nothing(aside_mm):
    box = Volume(np.full((20, 20, 20), 1000.0, np.float32), VoxelGrid.axial((20, 20, 20), (1.0,) * 3, (0.0,) * 3))
    pose = np.eye(4)
    pose[:3] = [[1, 0, 0, aside_mm], [0, 0, -1, 0], [0, 1, 0, 2]]
    K = np.array([[100.0, 0, 8], [0, 100, 8], [0, 0, 1]])
    assert render(sliced(box), K, pose[None], (16, 16)).max() == 0


def test_a_pose_that_is_not_a_number_is_refused():
    bone, camera = sliced(smooth_volume()), view()
    with pytest.raises(ValueError, match="camera_from_world: expected finite poses"):
        render(bone, camera.K, np.full((1, 4, 4), np.nan), camera.shape)


@pytest.mark.parametrize("axis_rad", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.0, -0.8)])
def test_slices_that_a_camera_sees_from_the_side_are_not_faced(axis_rad):
    volume = smooth_volume()
    bone, middle_mm = sliced(volume), volume.grid.centre_mm
    start = ap_camera_from_world(middle_mm, 850.0)
    degrees = np.array([0.0, 30.0, 45.0, 55.0, 80.0])
    turns = [rotation_about(middle_mm, rotation_from_vector(np.radians(d) * np.array(axis_rad))) for d in degrees]
    poses = np.array([start @ turn for turn in turns])
    assert is_faced(bone, poses, middle_mm).tolist() == [True, True, True, False, False]
    assert not is_faced(bone, poses[:1] @ turns[4], middle_mm)[0]
