"""Renderers against their peers on one volume, pose and detector: images first, then CPU time; prints Markdown tables.

Peers are RTK (itk-rtk, in requirements/dev.lock), DiffDRR and nanodrr. The last two are not installed with the project;
in an environment of their own that sees the project's: pip install diffdrr nanodrr. A peer that cannot be imported is
left out with a line. Run: OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 python benchmarks/renderers.py
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import no_type_check

import numpy as np
from numba import njit
from registration import LABELS, body, centre, phantom  # the script beside this one
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.resampling import spaced
from osteoray.imaging.volume import Volume
from osteoray.radiography import shear_warp, shear_warp_kernels, shear_warp_native
from osteoray.radiography.ray_integrals import areal_density_g_cm2
from osteoray.radiography.shear_warp import GradientTarget, gradient_correlations, pixel_ray_lengths, render, sliced

SID_MM, SOURCE_ISOCENTRE_MM = 1000.0, 850.0
G_CM2 = 1e-4
"""mg/cm³ · mm to g/cm²."""
SAMPLES = 500
"""Samples per ray of DiffDRR and nanodrr: their default."""
POSES = 24
CASES = ((3.0, (104, 128)), (1.0, (104, 128)), (1.5, (208, 256)), (1.0, (208, 256)), (1.0, (417, 512)))
"""Voxel size in mm, and rows and columns of the detector."""
RAYS = 4096
"""Rays that DiffDRR and nanodrr get at a time: their fastest, because their memory is then reused."""
REFERENCE_STRIDE = 4
"""Every so many rows and columns are compared with the reference."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", default=LABELS, type=Path, help="label map: 1 pelvis, 2 femur, 3 sacrum")
    parser.add_argument("--repeats", type=int, default=5, help="timings of which the median counts")
    parser.add_argument("--torch-repeats", type=int, default=1, help="the same for DiffDRR and nanodrr, which are slow")
    args = parser.parse_args()
    qct, bones = phantom(args.labels)
    centre_mm = centre(bones, "pelvis")
    pelvis = body(qct, bones, "pelvis")
    pose = ap_camera_from_world(centre_mm, SOURCE_ISOCENTRE_MM)
    full = Camera.from_geometry(SID_MM, (0.84, 0.84), (208.0, 255.5), (417, 512), pose)
    print("C kernels:", "compiled" if shear_warp_native.library() else "no compiler, numba only", "\n")
    for voxel_mm, shape in CASES:
        volume = spaced(pelvis, (voxel_mm,) * 3)
        smooth = ndimage.gaussian_filter(volume.array, 0.8, truncate=3.0)
        searched = Volume(np.where(smooth < 8, np.float32(0), smooth), volume.grid)
        compare(volume, searched, full.resized(shape), centre_mm, args.repeats, args.torch_repeats)


def compare(
    volume: Volume, searched: Volume, camera: Camera, centre_mm: np.ndarray, repeats: int, torch_repeats: int
) -> None:
    """One table: exact projectors on the volume, search renderers on the smoothed volume."""
    rows, columns = camera.shape
    print(f"\n{columns} x {rows} pixels, voxels of {volume.grid.spacing_mm[0]:g} mm\n")
    print("| renderer | CPU-ms per image | rmse to fine march | RTK / it | DiffDRR / it | nanodrr / it |")
    print("|---|---|---|---|---|---|")
    lines = {"exact": exact(volume, camera, repeats)} | peers(volume, camera, repeats, torch_repeats)
    lines |= search(searched, camera, centre_mm, repeats)
    for name, (spent_ms, error) in lines.items():
        ratios = [
            f"{lines[peer][0] / spent_ms:.3g}" if peer in lines else "" for peer in ("RTK Joseph", "DiffDRR", "nanodrr")
        ]
        print(f"| {name} | {spent_ms:.3g} | {error} | {' | '.join(ratios)} |", flush=True)


def cpu_ms(call: Callable[[], object], repeats: int, warm: bool = True) -> float:
    """Median CPU milliseconds; the first call, which may compile, is not counted."""
    if warm:
        call()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        spent.append(1e3 * (time.process_time() - start))
    return statistics.median(spent)


def exact(volume: Volume, camera: Camera, repeats: int) -> tuple[float, str]:
    image = areal_density_g_cm2(volume, camera)
    return cpu_ms(lambda: areal_density_g_cm2(volume, camera), repeats), error(image, volume, camera)


def search(volume: Volume, camera: Camera, centre_mm: np.ndarray, repeats: int) -> dict[str, tuple[float, str]]:
    """The search renderer with and without its similarity, in C and in numba, for a population of poses."""
    rng = np.random.default_rng(0)
    turns = [rotation_about(centre_mm, rotation_from_vector(rng.uniform(-0.1, 0.1, 3))) for _ in range(POSES)]
    poses = np.stack([camera.camera_from_world @ turn for turn in turns])
    bone, shape = sliced(volume), camera.shape
    ones, gradients = np.ones(shape, np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    target = GradientTarget(camera.K, pixel_ray_lengths(camera.K, shape), ones, gradients, 0 * ones)
    lines = {}
    for name, kernels in (("C", shear_warp_native), ("numba", shear_warp_kernels)):
        if kernels is shear_warp_kernels or shear_warp_native.library():
            shear_warp._kernels = lambda kernels=kernels: kernels
            image = render(bone, camera.K, camera.camera_from_world[None], shape)[0]
            drawn_ms = cpu_ms(lambda: render(bone, camera.K, poses, shape), repeats) / POSES
            scored_ms = cpu_ms(lambda: gradient_correlations(bone, target, poses), repeats) / POSES
            lines[f"search, {name}"] = drawn_ms, error(image, volume, camera)
            lines[f"search with similarity, {name}"] = scored_ms, ""
    return lines


def error(image: np.ndarray, volume: Volume, camera: Camera) -> str:
    """Root mean square difference to the fine march, relative to its root mean square."""
    some = (slice(REFERENCE_STRIDE // 2, None, REFERENCE_STRIDE),) * 2
    directions = camera.rays()[some] @ volume.grid.index_from_world[:3, :3].T
    focus = apply_affine(volume.grid.index_from_world, camera.focus_mm)
    reference = np.zeros(directions.shape[:2])
    fine_march(np.pad(volume.array, 1), focus + 1, directions, 0.05, reference)
    reference *= np.linalg.norm(camera.rays()[some], axis=-1) * G_CM2
    return f"{100 * np.sqrt(np.mean((image[some] - reference) ** 2) / np.mean(reference**2)):.2f} %"


@njit(error_model="numpy")
@no_type_check
def fine_march(density, focus, directions, step, sums):
    """Plain trilinear march in steps of a fraction of a voxel: the reference, which no renderer shares code with."""
    limit = np.array(density.shape) - 1.0
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            ray = directions[row, column]
            low, high = 0.0, 1e9
            for axis in range(3):
                one, other = -focus[axis] / ray[axis], (limit[axis] - focus[axis]) / ray[axis]
                low, high = max(low, min(one, other)), min(high, max(one, other))
            pace = step / np.abs(ray).max()
            t = low + 0.5 * pace
            while t < high:
                k, j, i = focus[0] + t * ray[0], focus[1] + t * ray[1], focus[2] + t * ray[2]
                c, b, a = int(min(k, limit[0] - 1)), int(min(j, limit[1] - 1)), int(min(i, limit[2] - 1))
                w, v, u = k - c, j - b, i - a
                sum_k = 0.0
                for m in range(2):
                    upper = density[c + m, b, a] * (1 - u) + density[c + m, b, a + 1] * u
                    lower = density[c + m, b + 1, a] * (1 - u) + density[c + m, b + 1, a + 1] * u
                    sum_k += (upper * (1 - v) + lower * v) * (w if m else 1 - w)
                sums[row, column] += sum_k * pace
                t += pace


def peers(volume: Volume, camera: Camera, repeats: int, torch_repeats: int) -> dict[str, tuple[float, str]]:
    lines = {}
    for name, build, times in (
        ("RTK Joseph", rtk, repeats),
        ("DiffDRR", diffdrr, torch_repeats),
        ("nanodrr", nanodrr, torch_repeats),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                project = build(volume, camera)
                image = project()
                lines[name] = cpu_ms(project, times, warm=False), error(image, volume, camera)
        except ImportError as missing:
            print(f"({name} is left out: {missing})")
    return lines


def rtk(volume: Volume, camera: Camera) -> Callable[[], np.ndarray]:
    """Joseph's projector of the Reconstruction Toolkit; needs an AP camera on the axes of the patient."""
    import itk

    isocentre_mm = camera.focus_mm + np.array([0.0, SOURCE_ISOCENTRE_MM, 0.0])
    # RTK's source at angle 0 lies on +z: its world is ours as (x, -z, -y) about the isocentre.
    image = itk.image_from_array(np.ascontiguousarray(volume.array[::-1, ::-1].transpose(1, 0, 2)))
    last_mm = apply_affine(volume.grid.world_from_index, np.array(volume.array.shape) - 1.0)
    first_mm = volume.grid.world_from_index[:3, 3]
    image.SetOrigin([first_mm[0] - isocentre_mm[0], isocentre_mm[2] - last_mm[2], isocentre_mm[1] - last_mm[1]])
    image.SetSpacing(volume.grid.spacing_mm[[2, 0, 1]].tolist())
    geometry = itk.RTK.ThreeDCircularProjectionGeometry.New()
    geometry.AddProjection(SOURCE_ISOCENTRE_MM, SID_MM, 0.0)
    row_mm, column_mm = camera.pitch_mm

    def project() -> np.ndarray:
        stack = itk.image_from_array(np.zeros((1, *camera.shape), np.float32))
        stack.SetSpacing([column_mm, row_mm, 1.0])
        stack.SetOrigin([-camera.K[0, 2] * column_mm, -camera.K[1, 2] * row_mm, 0.0])
        projector = itk.RTK.JosephForwardProjectionImageFilter[type(image), type(image)].New()
        projector.SetInput(0, stack)
        projector.SetInput(1, image)
        projector.SetGeometry(geometry)
        projector.Update()
        return itk.array_from_image(projector.GetOutput())[0] * G_CM2

    return project


def diffdrr(volume: Volume, camera: Camera) -> Callable[[], np.ndarray]:
    """DiffDRR's trilinear renderer, on our rays in its (x, y, z) voxel indices."""
    import torch
    from diffdrr.renderers import Trilinear

    torch.set_num_threads(1)
    rays_mm = camera.rays().reshape(-1, 3) * SID_MM
    ends = apply_affine(volume.grid.index_from_world, camera.focus_mm + rays_mm)[:, ::-1]
    start = apply_affine(volume.grid.index_from_world, camera.focus_mm)[::-1]
    target = torch.from_numpy(np.ascontiguousarray(ends, np.float32))[None]
    source = torch.from_numpy(np.ascontiguousarray(start, np.float32))[None, None]
    lengths = torch.from_numpy(np.linalg.norm(rays_mm, axis=1).astype(np.float32))[None, None]
    density = torch.from_numpy(np.ascontiguousarray(volume.array, np.float32)).permute(2, 1, 0)
    renderer = Trilinear()

    def project() -> np.ndarray:
        with torch.no_grad():
            parts = zip(target.split(RAYS, 1), lengths.split(RAYS, 2), strict=True)
            images = [renderer(density, source, t, length, n_points=SAMPLES)[0, 0] for t, length in parts]
        return torch.cat(images).reshape(camera.shape).numpy() * G_CM2

    return project


def nanodrr(volume: Volume, camera: Camera) -> Callable[[], np.ndarray]:
    """nanodrr's renderer for CPUs, on our rays."""
    import torch
    from nanodrr.data import Subject
    from nanodrr.drr.renderer import render as nanodrr_render

    torch.set_num_threads(1)
    density = torch.from_numpy(np.ascontiguousarray(volume.array, np.float32))[None, None]
    flip = np.eye(4)[[2, 1, 0, 3]]
    world_from_voxel = volume.grid.world_from_index @ flip
    size = np.array(volume.array.shape[::-1], float)
    grid_from_voxel = np.diag([*(2 / size), 1.0])
    grid_from_voxel[:3, 3] = 1 / size - 1
    matrices = [world_from_voxel, np.linalg.inv(world_from_voxel), grid_from_voxel]
    matrices = [torch.from_numpy(matrix.astype(np.float32)) for matrix in matrices]
    subject = Subject(density, torch.zeros_like(density), *matrices, torch.zeros(3), 0, convert_to_mu=False)
    index = np.stack(np.meshgrid(*map(np.arange, camera.shape), indexing="ij")[::-1], axis=-1).reshape(-1, 2)
    pixels = np.column_stack([index, np.ones(len(index))]) @ np.linalg.inv(camera.K).T * SID_MM
    target = torch.from_numpy(pixels.astype(np.float32))[None]
    world_from_camera = torch.from_numpy(np.linalg.inv(camera.camera_from_world).astype(np.float32))[None]
    k_inv = torch.from_numpy(np.linalg.inv(camera.K).astype(np.float32))[None]
    distance = torch.tensor([SID_MM])

    def project() -> np.ndarray:
        with torch.no_grad():
            images = [
                nanodrr_render(
                    subject, k_inv, world_from_camera, distance, 1, part.shape[1], SAMPLES, tgt=part, backend="torch"
                )[0, 0, 0]
                for part in target.split(RAYS, 1)
            ]
        return torch.cat(images).reshape(camera.shape).numpy() * G_CM2

    return project


if __name__ == "__main__":
    main()
