"""Registrations per second in lock-step on a GPU, beside the processor's kernels; prints Markdown tables.

Images, scores and the poses found are compared before any time is measured. The phantom and the X-rays are those of
registration.py. Run: OMP_NUM_THREADS=1 python benchmarks/registration_gpu.py --labels Pelvic-Ref-001_label.nii.gz
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from registration import (  # the script beside this one
    LABELS,
    START_DEG,
    START_DEPTH_MM,
    START_MM,
    head_centre,
    phantom,
    target_xray,
)

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.camera import Camera
from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography import shear_warp_native
from osteoray.radiography.search_renderer import PROCESSOR, GpuRenderer, SearchRenderer, gpu_problem
from osteoray.registration.bone_models import BODIES, BoneModel, bone_model
from osteoray.registration.lock_step import in_lock_step
from osteoray.registration.parametrisation import PoseSpace, mean_image_distance_mm, unit_ranges
from osteoray.registration.targets import gradient_target, xray_level
from osteoray.registration.xray import Registration, register_xray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.register_xrays import limits_of, plan_of

BATCHES = (1, 8, 32, 128)
POSES = 24
CONFIG = RegistrationConfig()


@dataclass(frozen=True, eq=False)
class Case:
    """One registration: an X-ray, a start and a seed."""

    image: Radiograph
    camera: Camera
    models: dict[str, BoneModel]
    seed: int

    def register(self, renderer: SearchRenderer) -> Registration:
        """Find all bones."""
        rng, plan = np.random.default_rng(self.seed), plan_of(CONFIG, CONFIG.depth_range_mm)
        where = self.image, self.camera, self.models, plan, limits_of(CONFIG), rng
        return register_xray("X", *where, renderer=renderer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", default=LABELS, type=Path, help="label map: 1 pelvis, 2 femur, 3 sacrum")
    parser.add_argument("--targets", type=int, default=4, help="X-rays with random poses")
    parser.add_argument("--repeats", type=int, default=3, help="timings of which the median counts")
    parser.add_argument("--processor", type=int, default=8, help="registrations timed on the processor")
    args = parser.parse_args()
    problem = gpu_problem()
    if problem:
        sys.exit(f"registration_gpu: expected a GPU that Triton can use, got {problem}. Run it on a machine with one.")
    made = cases(args.labels, args.targets, max(BATCHES))
    gpu = GpuRenderer()
    print(f"{device_name()}; processor: {'C' if shear_warp_native.library() else 'numba'} kernels, one thread\n")
    agreement(gpu, made[: args.processor])
    scores(gpu, made[0], args.repeats)
    registrations(gpu, made, args.processor, args.repeats)


def device_name() -> str:
    import torch

    return torch.cuda.get_device_name()


def cases(labels: Path, targets: int, count: int) -> list[Case]:
    """Registrations from random starts, spread over X-rays with random poses."""
    qct, bones = phantom(labels)
    heads = {name: head_centre(bones, name) for name in ("left_femur", "right_femur")}
    models = {
        name: bone_model(qct, bones, parts, CONFIG.voxel_mm, centre_mm=heads.get(name))
        for name, parts in BODIES.items()
    }
    rng = np.random.default_rng(1)
    shown = [target_xray(qct, bones, heads, rng) for _ in range(targets)]
    made = []
    for seed in range(count):
        image, camera, truth = shown[seed % targets]
        offset = rng.uniform(-1, 1, (1, 6)) * unit_ranges(START_DEG, START_MM, START_DEPTH_MM)
        start = PoseSpace(truth["pelvis"], models["pelvis"].centre_mm).poses(offset)[0]
        made.append(Case(image, camera.at(start), models, seed))
    return made


def agreement(gpu: GpuRenderer, some: list[Case]) -> None:
    """Images and whole registrations of both, before any is timed."""
    case = some[0]
    bone, pose = case.models["pelvis"].levels[0], case.camera.camera_from_world[None]
    camera = case.camera.resized((104, 128))
    image, expected = (renderer.render(bone, camera.K, pose, camera.shape) for renderer in (gpu, PROCESSOR))
    print(f"Image: largest difference {np.abs(image - expected).max() / expected.max():.1e} of the largest value.")
    distances, verdicts = [], 0
    for case, result in zip(some, in_lock_step(gpu, [case.register for case in some]), strict=True):
        found, known = result.result(), case.register(PROCESSOR)
        verdicts += [finding.code for finding in found.findings] == [finding.code for finding in known.findings]
        for name in found.placed.keys() & known.placed.keys():
            poses = [one.placed[name].camera_from_world for one in (found, known)]
            distances.append(mean_image_distance_mm(*poses, case.models[name].landmarks_mm))
    middle, most = (f"{measure(distances):.3f}" if distances else "-" for measure in (np.median, np.max))
    print(f"Registrations: same verdict in {verdicts} of {len(some)}; bones {middle} mm apart, most {most} mm.\n")


def scores(gpu: GpuRenderer, case: Case, repeats: int) -> None:
    """Populations of 24 poses of the pelvis at the coarsest level."""
    level = xray_level(case.image, case.camera, CONFIG.pixel_mm[0], 2.8)
    bone, target = case.models["pelvis"].levels[0], gradient_target(level)
    units = np.random.default_rng(0).uniform(-5, 5, (POSES, 6))
    poses = PoseSpace(case.camera.camera_from_world, case.models["pelvis"].centre_mm).poses(units)
    request = bone, target, poses
    different = np.abs(gpu.gradient_correlations(*request) - PROCESSOR.gradient_correlations(*request)).max()
    print(f"Scores: largest difference {different:.1e}.\n")
    print("| populations at once | processor, ms per pose | GPU, ms per pose | ratio |\n|---|---|---|---|")
    one = seconds(lambda: PROCESSOR.gradient_correlations(*request), repeats) / POSES
    for count in BATCHES:
        together = seconds(partial(gpu.answer, "gradient_correlations", [request] * count), repeats) / POSES / count
        print(f"| {count} | {1e3 * one:.3g} | {1e3 * together:.3g} | {one / together:.3g} |", flush=True)
    print()


def registrations(gpu: GpuRenderer, made: list[Case], on_processor: int, repeats: int) -> None:
    """Whole registrations, three bones and verdict."""
    one = seconds(lambda: [case.register(PROCESSOR) for case in made[:on_processor]], 1) / on_processor
    print("| registrations at once | processor, per second | GPU, per second | ratio |\n|---|---|---|---|")
    for count in BATCHES:
        batch = [case.register for case in made[:count]]
        rate = count / seconds(partial(in_lock_step, gpu, batch), repeats)
        print(f"| {count} | {1 / one:.3g} | {rate:.3g} | {rate * one:.3g} |", flush=True)


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds; the first call, which may compile, is not counted. Answers lie on the host."""
    call()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
