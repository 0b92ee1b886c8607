"""How far a stage's result lies from the truth of a virtual patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.parts import Part
from osteoray.simulation.raycast import cast


def dice(found: Bool[np.ndarray, "k j i"], true: Bool[np.ndarray, "k j i"]) -> float:
    """Dice coefficient of two masks; NaN if both are empty."""
    total = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / total if total else float("nan")


def sample_points(
    mask: Shaped[np.ndarray, "k j i"], grid: VoxelGrid, count: int, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """LPS positions in mm of at most `count` voxels of a mask, drawn without replacement."""
    index = np.argwhere(mask)
    chosen = index[rng.permutation(len(index))[:count]]
    return apply_affine(grid.world_from_index, chosen.astype(float))


def target_errors_mm(points_mm: Float[np.ndarray, "n 3"], found: Camera, true: Camera) -> tuple[float, float]:
    """Errors of a registered pose over points of the bone.

    Args:
        points_mm: LPS positions in the CT.
        found: registered camera.
        true: true camera, with the same detector.

    Returns:
        Mean target registration error (3-D, depth included) and mean projected error (on the detector, divided by
        the magnification of each point), both in mm.
    """
    at_found = apply_affine(found.camera_from_world, points_mm)
    at_true = apply_affine(true.camera_from_world, points_mm)
    target_mm = np.linalg.norm(at_found - at_true, axis=-1)
    shift_mm = (found.project(points_mm) - true.project(points_mm)) * np.asarray(true.pitch_mm)
    projected_mm = np.linalg.norm(shift_mm, axis=-1) * at_true[:, 2] / true.sid_mm
    return float(target_mm.mean()), float(projected_mm.mean())


def part_of_ct(
    ha_mg_cm3: Shaped[np.ndarray, "k j i"],
    qct_mg_cm3: Shaped[np.ndarray, "k j i"],
    region: Bool[np.ndarray, "k j i"],
    grid: VoxelGrid,
) -> Part:
    """A region of a noise-free CT with the channels that `truth.neutral_density` reads.

    Args:
        ha_mg_cm3: true density at the CT's resolution.
        qct_mg_cm3: what an ideal calibrated CT of that resolution reads.
        region: its true label.
        grid: of the CT.
    """
    label = Volume(region.astype(np.float32), grid).crop_to(region, margin_mm=float(grid.spacing_mm.max()))
    start = np.rint(np.linalg.solve(grid.world_from_index, label.grid.world_from_index[:, 3]))[:3].astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(start, label.array.shape, strict=True))
    inside = label.array
    channels = np.stack([ha_mg_cm3[window] * inside, qct_mg_cm3[window] * inside, inside], axis=-1)
    return Part(channels.astype(np.float32), label.grid)


def areal_map_g_cm2(part: Part, camera: Camera) -> Float[np.ndarray, "rows columns"]:
    """Areal density on the detector that the ideal calibrated CT predicts, by the simulation's own ray integrals."""
    return cast(part.channels, part.grid, camera)[..., 1] * AREAL_G_CM2_FROM_MG_CM3_MM


def femur_truth_of(facts: dict) -> FemurTruth:
    """Landmarks from their JSON values."""
    values: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in facts.items()}
    return FemurTruth(**values)


def map_errors(
    found_g_cm2: Float[np.ndarray, "rows columns"], true_g_cm2: Float[np.ndarray, "rows columns"]
) -> tuple[float, float]:
    """Errors of an areal density map inside the true bone (density above zero).

    Returns:
        Signed relative error of the mean (fraction), and root mean square error in g/cm² over the union of both maps.
    """
    inside, either = true_g_cm2 > 0, (true_g_cm2 > 0) | (found_g_cm2 > 0)
    bias = float(found_g_cm2[found_g_cm2 > 0].mean() / true_g_cm2[inside].mean() - 1)
    rmse = float(np.sqrt(np.mean((found_g_cm2[either] - true_g_cm2[either]) ** 2)))
    return bias, rmse
