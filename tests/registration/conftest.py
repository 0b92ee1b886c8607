"""A hip phantom of spheres and capsules, and X-rays of it made by a projector of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.volume import Volume
from osteoray.registration.bone_models import BODIES, FEMUR_NAME, patient_models

HEADS_MM = {"left_femur": np.array([85.0, 0.0, 0.0]), "right_femur": np.array([-85.0, 2.0, 3.0])}


def capsule(points_mm: np.ndarray, start, stop, radius_mm: float) -> np.ndarray:
    """Depth in mm below the surface of a capsule, negative outside."""
    start, axis = np.asarray(start, float), np.subtract(stop, start).astype(float)
    along = np.clip((points_mm - start) @ axis / max(axis @ axis, 1e-9), 0, 1)
    return radius_mm - np.linalg.norm(points_mm - start - along[..., None] * axis, axis=-1)


def hip_depth_mm(points_mm: np.ndarray, head_mm: np.ndarray) -> np.ndarray:
    """A hip bone on the side of a femoral head."""
    out = np.sign(head_mm[0])
    parts = [
        ((45, 25, 20), (105, -10, 88), 12),
        ((75, -8, -18), (8, -35, -35), 9),
        ((78, 12, -25), (50, 20, -75), 11),
        ((50, 20, -75), (8, -35, -35), 6),
        ((80, 5, 15), (45, 25, 20), 13),
    ]
    depth = np.max([capsule(points_mm, np.multiply(a, (out, 1, 1)), np.multiply(b, (out, 1, 1)), r)
                    for a, b, r in parts], axis=0)  # fmt: skip
    socket = np.minimum(capsule(points_mm, head_mm, head_mm, 33), out * (head_mm[0] - points_mm[..., 0]) + 10)
    return np.minimum(np.maximum(depth, socket), -capsule(points_mm, head_mm, head_mm, 26))


def femur_depth_mm(points_mm: np.ndarray, head_mm: np.ndarray) -> np.ndarray:
    """A femur with head, neck, trochanters and shaft."""
    out = np.sign(head_mm[0])
    parts = [
        ((0, 0, 0), (0, 0, 0), 23),
        ((0, 0, 0), (36, 5, -30), 13),
        ((43, 10, -24), (43, 10, -30), 15),
        ((36, 5, -30), (27, 3, -170), 14),
        ((24, 19, -62), (24, 19, -62), 8),
    ]
    return np.max([capsule(points_mm, head_mm + np.multiply(a, (out, 1, 1)), head_mm + np.multiply(b, (out, 1, 1)), r)
                   for a, b, r in parts], axis=0)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Phantom:
    """Density and labels on one grid, and the camera of an AP X-ray of it."""

    qct: Volume
    bones: Volume
    camera: Camera

    def body(self, name: str) -> Volume:
        """Density of one rigid body."""
        mask = np.isin(self.bones.array, BODIES[name])
        return Volume(np.where(mask, self.qct.array, 0), self.qct.grid).crop_to(mask, 5.0)

    def xray(self, poses: dict[str, np.ndarray], seed: int = 0) -> Radiograph:
        """Bones at their poses in a soft-tissue cylinder, with scatter, blur and noise."""
        rng = np.random.default_rng(seed)
        areal = sum(project_planes(self.body(name), self.camera.at(pose)) for name, pose in poses.items())
        x_mm = (np.arange(self.camera.shape[1]) - self.camera.K[0, 2]) * self.camera.pitch_mm[1]
        tissue = 4.0 * np.sqrt(np.maximum(1 - (x_mm / 215) ** 2, 0)) * np.linspace(1.1, 0.8, areal.shape[0])[:, None]
        beam = np.exp(-0.5 * areal - tissue)
        beam = ndimage.gaussian_filter(beam, 0.6) + 0.2 * ndimage.gaussian_filter(beam, 30)
        counts = rng.poisson(beam * 1e6)
        return Radiograph(-np.log(np.maximum(counts, 1) / 1e6).astype(np.float32), self.camera.pitch_mm)


def project_planes(density: Volume, camera: Camera, step_mm: float = 1.1) -> np.ndarray:
    """Areal density in g/cm² by sampling coronal planes with SciPy: independent of our kernels."""
    rays, focus_mm = camera.rays(), camera.focus_mm
    k, j, i = np.array(density.array.shape) - 1
    corners = np.array([(a, b, c) for a in (0, k) for b in (0, j) for c in (0, i)], float)
    y_mm = apply_affine(density.grid.world_from_index, corners)[:, 1]
    total = np.zeros(camera.shape)
    for y in np.arange(y_mm.min(), y_mm.max(), step_mm):
        points_mm = focus_mm + rays * ((y - focus_mm[1]) / rays[..., 1:2])
        index = apply_affine(density.grid.index_from_world, points_mm)
        total += ndimage.map_coordinates(density.array, np.moveaxis(index, -1, 0), order=1) / rays[..., 1]
    return total * step_mm * 1e-4


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    grid = VoxelGrid.axial((118, 68, 132), (2.5, 2.2, 2.2), (-145.0, -75.0, -175.0))
    points_mm = grid.coordinates_mm()
    left, right = HEADS_MM["left_femur"], HEADS_MM["right_femur"]
    depths = [
        # One wing of the ilium is larger: nobody is symmetrical.
        np.maximum(hip_depth_mm(points_mm, left), capsule(points_mm, (80, -5, 60), (112, 5, 70), 10)),
        hip_depth_mm(points_mm, right),
        femur_depth_mm(points_mm, left),
        femur_depth_mm(points_mm, right),
        capsule(points_mm, (0, 50, 60), (2, 60, -8), 20),
    ]
    labels = np.zeros(grid.shape, np.uint8)
    density = np.full(grid.shape, 40.0)
    for label, depth in enumerate(depths, start=1):
        labels[(depth > 0) & (labels == 0)] = label
        # A voxel across the surface is partly bone, as in a CT.
        bone = np.where(depth < 3, 750.0, 170.0)
        density = np.maximum(density, 40 + (bone - 40) * np.clip(depth / 2.3 + 0.5, 0, 1))
    noise = np.random.default_rng(0).standard_normal(grid.shape)
    density += np.where(labels > 0, 30 * ndimage.gaussian_filter(noise, 1.0), 10 * noise)
    pose = ap_camera_from_world(np.array([4.0, 0.0, -8.0]), 850.0)
    camera = Camera.from_geometry(1000.0, (1.8, 1.8), (99.5, 119.5), (200, 240), pose)
    return Phantom(Volume(density.astype(np.float32), grid), Volume(labels, grid), camera)


@pytest.fixture(scope="session")
def true_poses(phantom) -> dict[str, np.ndarray]:
    """The patient turned, each femur turned about its head."""
    centre_mm = np.array([0.0, 10.0, -10.0])
    shift = np.eye(4)
    shift[:3, 3] = (9.0, 20.0, -12.0)
    body = phantom.camera.camera_from_world @ shift
    body = body @ rotation_about(centre_mm, rotation_from_vector(np.radians([7.0, -4.0, 5.0])))
    poses = {"pelvis": body}
    for name, degrees in (("left_femur", (6.0, 5.0, 12.0)), ("right_femur", (-4.0, 6.0, -10.0))):
        turn = rotation_about(HEADS_MM[name], rotation_from_vector(np.radians(degrees)))
        poses[name] = body @ turn
    return poses


@pytest.fixture(scope="session")
def xray(phantom, true_poses) -> Radiograph:
    return phantom.xray(true_poses)


@pytest.fixture(scope="session")
def models(phantom) -> dict:
    heads_mm = {side: HEADS_MM[name] for side, name in FEMUR_NAME.items()}
    return patient_models(
        phantom.qct,
        phantom.bones,
        heads_mm,
        (3.0, 2.0, 1.5),
        soft_tissue_mg_cm3=40.0,
        dilation_voxels=1,
        pelvis_rim_mm=3.0,
    )
