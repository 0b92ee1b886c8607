"""How far a stage's result lies from the truth of a virtual patient."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.simulation.parts import Part
from osteoray.simulation.raycast import cast


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


def areal_map_g_cm2(part: Part, camera: Camera) -> Float[np.ndarray, "rows columns"]:
    """Areal density on the detector that the ideal calibrated CT predicts, by the simulation's own ray integrals."""
    return cast(part.channels, part.grid, camera)[..., 1] * AREAL_G_CM2_FROM_MG_CM3_MM


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
