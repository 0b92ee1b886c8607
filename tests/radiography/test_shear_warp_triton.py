"""GPU kernels against the processor's, image by image: compiled on a CUDA device, else in Triton's interpreter."""

from __future__ import annotations

import sys
import weakref
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import ndimage

from osteoray import radiography
from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.volume import Volume
from osteoray.radiography import shear_warp, shear_warp_kernels
from osteoray.radiography.search_renderer import PROCESSOR, GpuRenderer, dense, gpu_problem
from osteoray.radiography.shear_warp import GradientTarget, pixel_ray_lengths, rendered_gradients, sliced, warps
from osteoray.registration.parametrisation import PoseSpace
from osteoray.registration.search import refine

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="no Triton: it comes with torch on Linux only")

KERNELS = ("shear_warp_launch", "shear_warp_triton")
STEP = 2.0


@pytest.fixture(scope="module", params=["interpreter", pytest.param("cuda", marks=pytest.mark.gpu)])
def renderer(request):
    """A GPU renderer. Kernels are interpreted only where there is no GPU, and no other file sees them."""
    if (request.param == "cuda") == bool(gpu_problem()):
        pytest.skip(gpu_problem() or "compiled kernels are tested instead")
    if request.param == "cuda":
        yield GpuRenderer()
        return
    # Triton's own library is loaded as it is for everybody else; only our kernels are decorated for the interpreter.
    import_module("triton.experimental.gluon")
    forget_kernels()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        found = GpuRenderer("cpu")
    yield found
    forget_kernels()


def forget_kernels():
    """The next import decorates them anew."""
    for name in KERNELS:
        sys.modules.pop(f"{radiography.__name__}.{name}", None)
        vars(radiography).pop(name, None)


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    """The processor's kernels are those in numba."""
    monkeypatch.setattr(shear_warp, "_kernels", lambda: shear_warp_kernels)


def smooth_volume(seed, shape, spacing_mm):
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.uniform(size=shape), 2.0)
    blobs = np.where(blobs > np.quantile(blobs, 0.7), 800.0, 0.0)
    edge = np.pad(np.ones(tuple(n - 6 for n in shape)), 3)
    smooth = ndimage.gaussian_filter(blobs * edge, 0.8, truncate=3.0).astype(np.float32)
    origin_mm = tuple(-(n - 1) / 2 * spacing_mm for n in shape[::-1])
    return Volume(smooth, VoxelGrid.axial(shape, (spacing_mm,) * 3, origin_mm))


def pose(turn_deg=(0.0, 0.0, 0.0), shift_mm=(0.0, 0.0, 0.0)):
    turn = rotation_about(np.zeros(3), rotation_from_vector(np.radians(turn_deg)))
    return affine(np.eye(3), np.array(shift_mm)) @ ap_camera_from_world(np.zeros(3), 850.0) @ turn


def detector(shape, pitch_mm):
    middle = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    return Camera.from_geometry(1000.0, (pitch_mm, pitch_mm), middle, shape, pose())


def target_of(bone, camera, seed):
    """An X-ray of the bone elsewhere, with uneven weights and something behind it."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 1, camera.shape).astype(np.float32)
    weights[: camera.shape[0] // 4] = 0
    background = ndimage.gaussian_filter(rng.uniform(size=camera.shape), 3).astype(np.float32)
    lengths = pixel_ray_lengths(camera.K, camera.shape)
    blank = GradientTarget(camera.K, lengths, weights, np.zeros((2, *camera.shape), np.float32), background)
    shown = rendered_gradients(bone, blank, pose((3.0, -2.0, 4.0), (3.0, -2.0, 0.0))[None])[0]
    return GradientTarget(camera.K, lengths, weights, shown, background)


TURNED, FAR = ((14.0, -9.0, 30.0), (20.0, 0.0, -300.0)), ((-20.0, 11.0, -4.0), (-40.0, 30.0, 90.0))
POSES = np.stack([pose(), pose(*TURNED), pose(*FAR)])


@pytest.fixture(scope="module")
def scenes():
    """Two bones of different size before two detectors of different size: bone, camera, target."""
    large, small = smooth_volume(0, (22, 14, 30), 4.0), smooth_volume(1, (16, 12, 14), 3.0)
    pairs = [(sliced(large), detector((30, 70), 2.8)), (sliced(small), detector((20, 22), 3.1))]
    return [(bone, camera, target_of(bone, camera, seed)) for seed, (bone, camera) in enumerate(pairs)]


def linearised(scene):
    """Arguments of `normal_equations` at a pose near the target's."""
    bone, _, target = scene
    steps = [pose()]
    for sign in (1, -1):
        turns = np.degrees(0.01 * STEP * sign) * np.eye(3)
        shifts = STEP * sign * np.diag([1.0, 1.0, 10.0])
        steps += [pose(turn) for turn in turns] + [pose((0.0, 0.0, 0.0), shift) for shift in shifts]
    odd_rows = np.arange(len(target.weights)) // 8 % 2 == 1
    return bone, target, np.stack(steps), STEP, odd_rows


def test_dense_density_is_what_the_runs_hold():
    volume = smooth_volume(2, (12, 10, 60), 3.0)
    volume.array[:, :, 20:45] = 0
    bone = sliced(volume)
    box = volume.crop_to(volume.array != 0).array.transpose(1, 0, 2)
    np.testing.assert_allclose(dense(bone), np.pad(box * 1e-4, 1), rtol=1e-5)


def test_a_mixed_batch_renders_what_the_processor_renders(renderer, scenes):
    requests = [(bone, camera.K, POSES[number:], camera.shape) for number, (bone, camera, _) in enumerate(scenes)]
    for request, images in zip(requests, renderer.answer("render", requests), strict=True):
        expected = PROCESSOR.render(*request)
        assert expected.max() > 0.1
        np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_a_mixed_batch_scores_as_the_processor_does(renderer, scenes):
    requests = [(bone, target, POSES[number:]) for number, (bone, _, target) in enumerate(scenes)]
    for request, scores in zip(requests, renderer.answer("gradient_correlations", requests), strict=True):
        expected = PROCESSOR.gradient_correlations(*request)
        assert np.abs(expected).max() > 0.1
        assert scores == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def equations(renderer, scenes):
    """Normal equations of both, asked for together."""
    return renderer.answer("normal_equations", [linearised(scene) for scene in scenes])


def test_a_mixed_batch_has_the_normal_equations_of_the_processor(scenes, equations):
    for scene, found in zip(scenes, equations, strict=True):
        expected = PROCESSOR.normal_equations(*linearised(scene))
        sizes = np.sqrt(np.diagonal(expected.hessian, axis1=1, axis2=2))
        assert np.abs((found.hessian - expected.hessian) / (sizes[:, :, None] * sizes[:, None])).max() < 1e-4
        assert np.abs((found.slope - expected.slope) / (sizes * np.sqrt(expected.square)[:, None])).max() < 1e-4
        assert found.square == pytest.approx(expected.square, rel=1e-4)


def test_the_gradients_are_those_of_the_processor(renderer, scenes):
    # The residual's square without an X-ray is the squared norm of both normalised images, by rows.
    bone, target, poses, step, odd_rows = linearised(scenes[1])
    blank = GradientTarget(target.K, target.ray_lengths, target.weights, 0 * target.gradients, target.background)
    found = renderer.normal_equations(bone, blank, poses, step, odd_rows)
    squares = rendered_gradients(bone, blank, poses[:1])[0].astype(float) ** 2
    assert found.square == pytest.approx([squares[:, ~odd_rows].sum(), squares[:, odd_rows].sum()], rel=1e-5)
    assert found.square.sum() == pytest.approx(2.0, rel=1e-5)


def test_who_else_is_asked_changes_no_bit(renderer, scenes, equations):
    requests = [(bone, target, POSES[1:]) for bone, _, target in scenes]
    together = renderer.answer("gradient_correlations", requests)
    for request, scores in zip(requests, together, strict=True):
        np.testing.assert_array_equal(renderer.gradient_correlations(*request), scores)
    alone = renderer.normal_equations(*linearised(scenes[1]))
    for name in ("hessian", "slope", "square"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(equations[1], name))


def test_a_refinement_goes_where_the_processors_goes(renderer, scenes):
    bone, _, target = scenes[1]
    space, start = PoseSpace(pose(), np.zeros(3)), np.array([2.0, -1.0, 3.0, 1.0, 1.0, 0.5])
    units, correlation = refine(bone, target, space, start, 1, renderer=renderer)
    expected, best = refine(bone, target, space, start, 1)
    assert units == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert correlation == pytest.approx(best, abs=1e-5)
    assert correlation > PROCESSOR.gradient_correlations(bone, target, space.poses(start[None]))[0]


class Counted:
    """A kernel that counts its launches."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.launches = 0

    def __getitem__(self, grid):
        self.launches += 1
        return self.kernel[grid]


@pytest.fixture
def launched(renderer, monkeypatch):
    """Answers where so many pixels fit into one launch, and the number of launches."""

    def answer(pixels, question, requests):
        shear = Counted(renderer._launch.kernels.shear)
        with monkeypatch.context() as patch:
            patch.setattr(renderer._launch.kernels, "shear", shear)
            patch.setattr(renderer._launch, "MOST_PIXELS", pixels)
            return renderer.answer(question, requests), shear.launches

    return answer


def plane_pixels(renderer, requests):
    return sum(renderer._launch._plane_pixels(renderer._view(*request[:3])) for request in requests)


def test_bones_that_do_not_fit_are_launched_in_portions(renderer, launched, scenes):
    requests = [(bone, target, POSES[:1]) for bone, _, target in scenes]
    fitting = plane_pixels(renderer, requests)
    whole, launches = launched(fitting, "gradient_correlations", requests)
    assert launches == 1
    portions, launches = launched(fitting - 1, "gradient_correlations", requests)
    assert launches == len(requests)
    np.testing.assert_array_equal(np.concatenate(portions), np.concatenate(whole))


def test_poses_that_do_not_fit_are_launched_in_portions(launched, scenes):
    bone, camera, target = scenes[1]
    for question, request in {
        "gradient_correlations": (bone, target, POSES),
        "render": (bone, camera.K, POSES, camera.shape),
    }.items():
        whole, launches = launched(2**28, question, [request])
        assert launches == 1
        portions, launches = launched(1, question, [request])
        assert launches == len(POSES)
        np.testing.assert_array_equal(portions[0], whole[0])


def test_drawn_images_count_towards_a_launch(renderer, launched, scenes):
    bone, camera, target = scenes[1]
    request, drawn = (bone, camera.K, POSES[:2], camera.shape), 2 * camera.shape[0] * camera.shape[1]
    fitting = plane_pixels(renderer, [(bone, target, POSES[:2])]) + drawn
    assert launched(fitting, "render", [request])[1] == 1
    assert launched(fitting - 1, "render", [request])[1] == 2


def test_stored_gradients_count_towards_a_launch_and_a_linearisation_is_never_split(
    renderer, launched, scenes, equations
):
    request = linearised(scenes[1])
    planes = plane_pixels(renderer, [request])
    too_few = planes + 26 * request[1].weights.size - 1
    assert too_few > 2 * planes
    portions, launches = launched(too_few, "normal_equations", [request] * 2)
    assert launches == 2
    for found in portions:
        np.testing.assert_array_equal(found.hessian, equations[1].hessian)


def test_a_linearisation_has_thirteen_poses(renderer, scenes):
    bone, target, poses, *others = linearised(scenes[1])
    with pytest.raises(ValueError, match="views: expected 13 poses each, got 12"):
        renderer.answer("normal_equations", [(bone, target, poses[:12], *others)])


def test_plane_images_are_as_large_as_on_the_processor(renderer, scenes):
    bone = scenes[0][0]
    shape = bone.shape.astype(np.int64)
    middle = 0.5 * (shape[0] - 1)
    mapping = warps(bone, scenes[0][2].K, POSES)
    first, counts = renderer._launch.plane_extents(mapping, np.tile(shape, (len(POSES), 1)))
    for number, focus in enumerate(mapping[:, :, 3]):
        for axis in (0, 1):
            expected = shear_warp_kernels._extent(focus[0], focus[1 + axis], middle, shape[0], shape[1 + axis])
            assert (first[number, axis], counts[number, axis]) == expected


@pytest.mark.parametrize("depth_mm", [-850.0, -819.0], ids=["between the slices", "all but touching them"])
def test_a_focus_too_near_renders_nothing(renderer, scenes, depth_mm):
    bone, camera, target = scenes[0]
    near = np.stack([pose(shift_mm=(0.0, 0.0, depth_mm)), pose()])
    images = renderer.render(bone, camera.K, near, camera.shape)
    assert images[0].max() == PROCESSOR.render(bone, camera.K, near, camera.shape)[0].max() == 0
    assert images[1].max() > 0.1
    blank = GradientTarget(target.K, target.ray_lengths, target.weights, target.gradients, 0 * target.background)
    assert renderer.gradient_correlations(bone, blank, near)[0] == 0


def test_a_bone_outside_the_picture_scores_zero(renderer, scenes):
    bone, _, target = scenes[1]
    blank = GradientTarget(target.K, target.ray_lengths, target.weights, target.gradients, 0 * target.background)
    assert renderer.gradient_correlations(bone, blank, pose(shift_mm=(900.0, 0.0, 0.0))[None]) == 0


def test_a_pose_that_is_not_a_number_is_refused(renderer, scenes):
    bone, camera, _ = scenes[1]
    with pytest.raises(ValueError, match="camera_from_world: expected finite poses"):
        renderer.render(bone, camera.K, np.full((1, 4, 4), np.nan), camera.shape)


def test_what_no_longer_lives_is_not_kept_on_the_device(renderer):
    bone = sliced(smooth_volume(3, (12, 10, 12), 3.0))
    held = len(renderer._volumes)
    camera = detector((9, 9), 6.0)
    renderer.render(bone, camera.K, POSES[:1], camera.shape)
    assert len(renderer._volumes) == held + 1
    del bone
    assert len(renderer._volumes) == held


def test_pictures_stay_on_the_device_as_long_as_their_target_lives(renderer, scenes):
    bone, camera, _ = scenes[1]
    target = target_of(bone, camera, 4)
    held = len(renderer._pictures)
    renderer.gradient_correlations(bone, target, POSES[:1])
    picture = weakref.ref(renderer._pictures[target])
    renderer.gradient_correlations(bone, target, POSES[1:2])
    assert renderer._pictures[target] is picture()
    assert len(renderer._pictures) == held + 1
    del target
    assert len(renderer._pictures) == held
    assert picture() is None


def test_the_smallest_launch_runs_a_kernel(renderer, monkeypatch):
    total = Counted(renderer._launch.kernels.total)
    monkeypatch.setattr(renderer._launch.kernels, "total", total)
    renderer._launch.try_launch(renderer._device)
    assert total.launches == 1


POINTERS = {
    "*i64": ("integers", "counts", "requests"),
    "*fp64": ("reals", "totals"),
    "*fp32": ("plane_images", "images", "gradients", "sums", "partial", "moments", "odd_rows", "per_step", "products"),
    "i32": ("tiles", "parts"),
}
CONSTANTS = {"TALL": 16, "WIDE": 64, "LANES": 8, "COUNT": 8, "SIZE": 64, "TIMES": 16, "KEEP": True}


@pytest.mark.parametrize("name", ["shear", "draw", "compare", "total", "multiply"])
def test_kernels_compile_where_there_is_no_gpu(monkeypatch, tmp_path, name):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import_module("triton.experimental.gluon")
    compiler, backends = import_module("triton.compiler"), import_module("triton.backends.compiler")
    kernel = getattr(import_module("osteoray.radiography.shear_warp_triton"), name)
    types = {parameter: kind for kind, parameters in POINTERS.items() for parameter in parameters}
    signature = {parameter: types.get(parameter, "constexpr") for parameter in kernel.arg_names}
    constants = {parameter: CONSTANTS[parameter] for parameter in kernel.arg_names if parameter in CONSTANTS}
    source = compiler.ASTSource(kernel, signature, constants)
    compiled = compiler.compile(source, target=backends.GPUTarget("cuda", 80, 32))
    assert len(compiled.asm["cubin"]) > 0
    assert "atom." not in compiled.asm["ptx"]
