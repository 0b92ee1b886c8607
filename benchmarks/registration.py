"""2D-3D registration, measured on a real anatomy; prints Markdown tables. Renderers: renderers.py.

The target X-ray is made by a projector of its own (planes sampled by SciPy), with every bone moved, soft tissue,
scatter, blur and noise. Run: python benchmarks/registration.py --labels Pelvic-Ref-001_label.nii.gz
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.rigid import angle_between_deg, rotation_about, rotation_from_vector
from osteoray.imaging.bones import Bone
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.volume import Volume
from osteoray.registration.bone_models import BODIES, bone_model
from osteoray.registration.parametrisation import PoseSpace, mean_distance_mm, mean_image_distance_mm, unit_ranges
from osteoray.registration.xray import register_xray
from osteoray.store.nifti import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.register_xrays import limits_of, plan_of

LABELS = Path(__file__).resolve().parents[2] / "shared" / "data" / "anatomy" / "Pelvic-Ref-001_label.nii.gz"
START_DEG, START_MM, START_DEPTH_MM = 10.0, 20.0, 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", default=LABELS, type=Path, help="label map: 1 pelvis, 2 femur, 3 sacrum")
    parser.add_argument("--starts", type=int, default=10, help="registrations from random starts")
    parser.add_argument("--targets", type=int, default=2, help="X-rays with random poses")
    args = parser.parse_args()
    qct, bones = phantom(args.labels)
    registrations(qct, bones, args.targets, args.starts)


def phantom(path: Path) -> tuple[Volume, Volume]:
    """Density (shell and interior, with texture) and labels by side from the label map."""
    source = read_volume(path)
    whole = np.isin(source.array, (1, 2, 3))
    box = source.crop_to(whole, 12.0)
    x_mm = apply_affine(box.grid.world_from_index, np.argwhere(box.array == 3).astype(float))[:, 0].mean()
    is_left = box.grid.coordinates_mm()[..., 0] > x_mm
    labels = np.zeros(box.array.shape, np.uint8)
    for value, (left, right) in {1: (Bone.LEFT_HIP, Bone.RIGHT_HIP), 2: (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)}.items():
        labels[(box.array == value) & is_left] = left
        labels[(box.array == value) & ~is_left] = right
    labels[box.array == 3] = Bone.SACRUM
    depth_mm = ndimage.distance_transform_edt(labels > 0, sampling=box.grid.spacing_mm)
    noise = np.random.default_rng(0).standard_normal(labels.shape)
    texture = 40 * ndimage.gaussian_filter(noise, 1.5) / 0.12
    density = np.where(depth_mm < 2.2, 750.0, 170.0 + texture)
    return Volume(np.where(labels > 0, density, 40.0).astype(np.float32), box.grid), Volume(labels, box.grid)


def body(qct: Volume, bones: Volume, name: str) -> Volume:
    mask = np.isin(bones.array, BODIES[name])
    return Volume(np.where(mask, qct.array, np.float32(0)), qct.grid).crop_to(mask, 6.0)


def centre(bones: Volume, name: str) -> np.ndarray:
    voxels = np.argwhere(np.isin(bones.array, BODIES[name])).astype(float)
    return apply_affine(bones.grid.world_from_index, voxels).mean(axis=0)


def head_centre(bones: Volume, name: str) -> np.ndarray:
    """About the head: the medial half of the femur's top 30 mm."""
    points_mm = apply_affine(bones.grid.world_from_index, np.argwhere(bones.array == BODIES[name][0]).astype(float))
    top_mm = points_mm[points_mm[:, 2] > points_mm[:, 2].max() - 30]
    medial = np.abs(top_mm[:, 0] - centre(bones, "pelvis")[0])
    return top_mm[medial < np.quantile(medial, 0.5)].mean(axis=0)


def target_xray(qct: Volume, bones: Volume, heads: dict, rng: np.random.Generator) -> tuple[Radiograph, Camera, dict]:
    """An X-ray of the moved bones, and the truth."""
    centre_mm = centre(bones, "pelvis")
    camera = Camera.from_geometry(
        1000.0, (0.9, 0.9), (199.5, 239.5), (400, 480), ap_camera_from_world(centre_mm, 850.0)
    )
    turn = rotation_about(centre_mm, rotation_from_vector(rng.uniform(-0.1, 0.1, 3)))
    poses = {"pelvis": camera.camera_from_world @ affine(np.eye(3), rng.uniform(-15, 15, 3)) @ turn}
    for name, head_mm in heads.items():
        femur = rotation_about(head_mm, rotation_from_vector(np.radians(rng.uniform(-1, 1, 3) * [8, 6, 14])))
        poses[name] = poses["pelvis"] @ affine(np.eye(3), rng.uniform(-0.5, 0.5, 3)) @ femur
    areal = sum(project_planes(body(qct, bones, name), camera.at(pose)) for name, pose in poses.items())
    x = (np.arange(480) - 239.5) / 239.5
    tissue = 4.0 * np.sqrt(np.maximum(1.05 - x**2, 0)) * np.linspace(1.1, 0.8, 400)[:, None]
    beam = ndimage.gaussian_filter(np.exp(-0.5 * areal - tissue), 0.6)
    beam = beam + 0.25 * ndimage.gaussian_filter(beam, 40)
    image = -np.log(np.maximum(rng.poisson(beam * 1e6), 1) / 1e6)
    return Radiograph(image.astype(np.float32), camera.pitch_mm), camera, poses


def project_planes(density: Volume, camera: Camera, step_mm: float = 0.8) -> np.ndarray:
    rays, focus_mm = camera.rays(), camera.focus_mm
    corners = np.array([(0, 0, 0), np.array(density.array.shape) - 1], float)
    y_mm = apply_affine(density.grid.world_from_index, corners)[:, 1]
    total = np.zeros(camera.shape)
    for y in np.arange(y_mm.min(), y_mm.max(), step_mm):
        index = apply_affine(density.grid.index_from_world, focus_mm + rays * ((y - focus_mm[1]) / rays[..., 1:2]))
        total += ndimage.map_coordinates(density.array, np.moveaxis(index, -1, 0), order=1) / rays[..., 1]
    return total * step_mm * 1e-4


def registrations(qct: Volume, bones: Volume, targets: int, starts: int) -> None:
    """Accuracy and time of whole registrations, three bones and verdict, from random starts."""
    config = RegistrationConfig()
    heads = {name: head_centre(bones, name) for name in ("left_femur", "right_femur")}
    models = {
        name: bone_model(qct, bones, labels, config.voxel_mm, centre_mm=heads.get(name))
        for name, labels in BODIES.items()
    }
    limits = limits_of(config)
    plan = plan_of(config, config.depth_range_mm)
    rng = np.random.default_rng(1)
    errors: dict[str, list] = {name: [] for name in BODIES}
    seconds = []
    for number in range(starts):
        if number % -(-starts // targets) == 0:
            image, camera, truth = target_xray(qct, bones, heads, rng)
        space = PoseSpace(truth["pelvis"], models["pelvis"].centre_mm)
        offset = rng.uniform(-1, 1, (1, 6)) * unit_ranges(START_DEG, START_MM, START_DEPTH_MM)
        begin = time.process_time()
        result = register_xray("X", image, camera.at(space.poses(offset)[0]), models, plan, limits, rng)
        if number:  # The first one compiles.
            seconds.append(time.process_time() - begin)
        for name, placed in result.placed.items():
            pose, points_mm = placed.camera_from_world, models[name].landmarks_mm
            distances = [
                measure(pose, truth[name], points_mm) for measure in (mean_distance_mm, mean_image_distance_mm)
            ]
            errors[name].append([*distances, angle_between_deg(pose[:3, :3], truth[name][:3, :3])])
    report(errors, seconds, starts)


def report(errors: dict[str, list], seconds: list[float], starts: int) -> None:
    print(f"{starts} starts within ±{START_DEG:g}°, ±{START_MM:g} mm, ±{START_DEPTH_MM:g} mm depth of the truth")
    print(f"CPU-s per X-ray with three bones and verdict: median {np.median(seconds):.2f}, most {max(seconds):.2f}\n")
    print("| bone | trusted | mTRE < 2 mm | mTRE median / most mm | projected mm | rotation ° |")
    print("|---|---|---|---|---|---|")
    for name, rows in errors.items():
        table = np.array(rows).reshape(-1, 3)
        cells = [f"{np.median(column):.2f} / {column.max():.2f}" for column in table.T]
        print(f"| {name} | {len(table)}/{starts} | {(table[:, 0] < 2).sum()} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
