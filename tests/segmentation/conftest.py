"""A femur of balls and rods whose landmarks are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import ndimage

from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.segmenter import Design, Scale, Segmenter, from_checkpoint, to_checkpoint
from osteoray.segmentation.sides import bones_of_classes
from osteoray.segmentation.training import Schedule, Stage, train
from osteoray.segmentation.training_slices import TrainingPatient, training_patient

HEAD_RADIUS_MM = 24.0
NECK_SHAFT_ANGLE_DEG = 128.0
TROCHANTER_BELOW_HEAD_MM = 70.0


@pytest.fixture(scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True, eq=False)
class KnownFemur:
    mask: Volume
    side: Side
    head_centre_mm: np.ndarray
    neck_axis: np.ndarray
    shaft_axis: np.ndarray
    trochanter_mm: np.ndarray


def rod_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> np.ndarray:
    """Signed distance (negative inside) to a rod between two balls, about."""
    t = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) - (radius_a + t * (radius_b - radius_a))


def build_femur(
    side: Side = Side.LEFT,
    spacing_mm: tuple[float, float, float] = (1.5, 1.2, 1.2),
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shaft_below_mm: float = 70.0,
    anteversion_deg: float | None = None,
) -> KnownFemur:
    """Right femur in its own frame (x medial, y posterior, z proximal, head at 0), mirrored for the left, turned.

    With an anteversion it ends in two balls as condyles, 400 mm below the head.
    """
    angle = np.radians(NECK_SHAFT_ANGLE_DEG)
    neck_axis = np.array([np.sin(angle), 0.0, -np.cos(angle)])
    meeting = -52.0 * neck_axis
    shaft_top, shaft_end = meeting + np.array([0, 0, 5]), np.array([meeting[0], 0, -TROCHANTER_BELOW_HEAD_MM - 250.0])
    bump = np.array([meeting[0] + 13.0, 13.0, -TROCHANTER_BELOW_HEAD_MM + 10.0])
    world_from_femur = rotation_from_vector(np.radians(np.array(rotation_deg))) @ np.diag(
        [1.0 if side is Side.RIGHT else -1.0, 1.0, 1.0]
    )
    centre = np.array([95.0 if side is Side.LEFT else -95.0, 10.0, 30.0])
    end = -TROCHANTER_BELOW_HEAD_MM - shaft_below_mm
    corners = np.array([[x, y, z] for x in (-90, 35) for y in (-40, 45) for z in (end - 15, 40)]) @ world_from_femur.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / spacing_mm))
    grid = VoxelGrid.axial(shape, spacing_mm, tuple(low + centre))
    points = (grid.coordinates_mm() - centre) @ world_from_femur
    distance = np.minimum.reduce(
        [
            np.linalg.norm(points, axis=-1) - HEAD_RADIUS_MM,
            rod_distance(points, np.zeros(3), meeting, 15.0, 15.0),
            rod_distance(points, shaft_top, shaft_top - [0, 0, 40], 20.0, 14.0),
            rod_distance(points, shaft_top - [0, 0, 40], shaft_end, 14.0, 14.0),
            rod_distance(points, meeting + np.array([-8, 5, 0]), meeting + np.array([-12, 8, 30]), 16.0, 12.0),
            rod_distance(points, bump - [4, 4, 0], bump, 10.0, 8.0),
        ]
    )
    if anteversion_deg is not None:
        angle = np.radians(anteversion_deg)
        apart = 24.0 * np.array([np.cos(angle), np.sin(angle), 0.0])
        knee = np.array([meeting[0], 8.0, -380.0])
        for condyle in (knee + apart, knee - apart):
            distance = np.minimum(distance, rod_distance(points, condyle, condyle, 20.0, 20.0))
            distance = np.minimum(distance, rod_distance(points, shaft_end, condyle, 14.0, 16.0))
    inside = (distance <= 0) & (points[..., 2] > end)
    return KnownFemur(
        mask=Volume(inside, grid),
        side=side,
        head_centre_mm=centre,
        neck_axis=world_from_femur @ neck_axis,
        shaft_axis=world_from_femur @ np.array([0.0, 0.0, 1.0]),
        trochanter_mm=centre + world_from_femur @ bump,
    )


@pytest.fixture(scope="session")
def femur_of() -> Callable[..., KnownFemur]:
    return build_femur


@pytest.fixture(scope="session")
def pelvis_classes() -> Volume:
    """Two hip bones that touch at the symphysis, two femurs that touch their sockets, and a sacrum."""
    grid = VoxelGrid.axial((70, 60, 110), (3.0, 3.0, 3.0), (-165.0, -90.0, -120.0))
    points = grid.coordinates_mm()
    classes = np.zeros(grid.shape, np.uint8)
    for sign in (-1, 1):
        wing = rod_distance(points, np.array([sign * 60, 40, 70]), np.array([sign * 90, 0, 20]), 12.0, 30.0)
        pubis = rod_distance(points, np.array([sign * 85, 0, 0]), np.array([0, -40, -20]), 12.0, 9.0)
        classes[np.minimum(wing, pubis) <= 0] = 1
    for sign in (-1, 1):
        head = np.linalg.norm(points - [sign * 90, 0, 0], axis=-1) - 24
        shaft = rod_distance(points, np.array([sign * 130, 0, -20]), np.array([sign * 120, 0, -120]), 18.0, 14.0)
        neck = rod_distance(points, np.array([sign * 90, 0, 0]), np.array([sign * 130, 0, -20]), 15.0, 15.0)
        classes[np.minimum.reduce([head, shaft, neck]) <= 0] = 2
    classes[rod_distance(points, np.array([0, 50, 75]), np.array([0, 65, 0]), 25.0, 8.0) <= 0] = 3
    return Volume(classes, grid)


@pytest.fixture(scope="session")
def pelvis_ct(pelvis_classes: Volume) -> Volume:
    """Plausible Hounsfield units around the pelvis, a phantom rod under the body, and noise."""
    grid = pelvis_classes.grid
    points = grid.coordinates_mm()
    hu = np.full(grid.shape, -1000.0)
    hu[(points[..., 0] / 160) ** 2 + ((points[..., 1]) / 85) ** 2 < 1] = 40
    bone = pelvis_classes.array > 0
    hu[bone] = 250
    hu[bone & ~ndimage.binary_erosion(bone)] = 700
    hu += np.random.default_rng(0).normal(0, 15, hu.shape)
    return Volume(np.rint(hu).astype(np.int16), grid)


def tiny_schedule(coarse_steps: int, fine_steps: int, report_steps: int = 1000) -> Schedule:
    """A training of seconds."""
    return Schedule(
        coarse=Stage(coarse_steps, 6, 8e-3),
        fine=Stage(fine_steps, 6, 8e-3),
        window_px=32,
        weight_decay=1e-4,
        seed=0,
        report_steps=report_steps,
    )


@pytest.fixture(scope="session")
def tiny_design() -> Design:
    return Design(Scale(6.0, 6.0, 8, 3), Scale(3.0, 3.0, 8, 2), 0.05, (-200.0, 1000.0))


@pytest.fixture(scope="session")
def tiny_patient(pelvis_ct: Volume, pelvis_classes: Volume, tiny_design: Design) -> TrainingPatient:
    bones = Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)
    return training_patient(pelvis_ct, bones, tiny_design)


@pytest.fixture(scope="session")
def tiny_segmenter(tiny_patient: TrainingPatient, tiny_design: Design) -> Segmenter:
    """Trained on one patient."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    *_, last = train([tiny_patient], tiny_design, tiny_schedule(250, 200))
    torch.set_num_threads(before)
    return from_checkpoint(to_checkpoint(last.segmenter))
