"""Search renderer: projections by shear-warp factorisation (Lacroute and Levoy, 1994) for whole populations of poses.

A cone-beam projection depends on the rotation about the focus only through a plane homography. So the slices of the
volume that face the focus are scaled and shifted onto one of them (the plane image, separable in rows and columns,
no three-dimensional interpolation), and that image is warped once onto the detector. Between slices the integral is a
sum, which is accurate for a density that was smoothed to its voxel size; density maps are made by `ray_integrals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume
from osteoray.radiography.shear_warp_kernels import gradients_all, render_all, score_all

SHORTEST_GAP = 4
"""Empty voxels between two runs of a row below which they are one run."""


@dataclass(frozen=True, eq=False)
class SlicedDensity:
    """A density ready for shear-warp: slices that face the focus, and where their rows are filled.

    Attributes:
        density: (slice, row, column) in g/cm² per millimetre of path; one empty voxel on every side.
        index_from_world: LPS millimetres to (slice, row, column).
        runs: first and last-plus-one column of each filled run of two neighbouring rows together, an empty voxel
            included at either end.
        run_starts: (slice, row) to the first of its runs; one entry past the last row ends the list.
    """

    density: Float[np.ndarray, "slices rows columns"]
    index_from_world: Float[np.ndarray, "4 4"]
    runs: Int[np.ndarray, "runs 2"]
    run_starts: Int[np.ndarray, "starts"]


def sliced(density_mg_cm3: Volume, axis: int = 1) -> SlicedDensity:
    """Arrange a volume in slices along an array axis (1, the j axis, faces the focus in an AP view).

    Args:
        density_mg_cm3: density in mg/cm³, smoothed to about its voxel size; 0 outside the grid.
        axis: array axis that makes less than 45° with every ray.

    Raises:
        ValueError: the density is zero everywhere.
    """
    box = density_mg_cm3.crop_to(density_mg_cm3.array != 0)
    order = [axis] + [other for other in range(3) if other != axis]
    density = np.pad(box.array.transpose(order).astype(np.float32) * np.float32(AREAL_G_CM2_FROM_MG_CM3_MM), 1)
    world_from_index = box.grid.world_from_index[:, [*order, 3]]
    index_from_world = affine(np.eye(3), np.ones(3)) @ np.linalg.inv(world_from_index)
    return SlicedDensity(density, index_from_world, *_filled_runs(density != 0))


def _filled_runs(filled: Bool[np.ndarray, "slices rows columns"]) -> tuple[np.ndarray, np.ndarray]:
    """`SlicedDensity.runs` and `run_starts`; gaps too short to be worth a leap are filled."""
    pairs = filled[:, :-1] | filled[:, 1:]
    pairs = pairs.reshape(-1, filled.shape[2])
    change = np.diff(pairs.astype(np.int8), axis=1)
    row, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    # Voxel `first` is the empty one before a run, `last` the last filled one.
    apart = np.ones(len(row) + 1, bool)
    apart[1:-1] = (row[1:] != row[:-1]) | (first[1:] - last[:-1] > SHORTEST_GAP)
    runs = np.stack([first[apart[:-1]], last[apart[1:]] + 2], axis=1)
    run_starts = np.searchsorted(row[apart[:-1]], np.arange(len(pairs) + 1))
    return runs.astype(np.int32), run_starts.astype(np.int32)


def shear_warp(density_mg_cm3: Volume, camera: Camera) -> Float[np.ndarray, "rows columns"]:
    """Areal density of a volume on the detector, g/cm²: the fast twin of `ray_integrals.areal_density_g_cm2`."""
    beam = density_mg_cm3.grid.index_from_world[:3, :3] @ camera.camera_from_world[2, :3]
    bone = sliced(density_mg_cm3, int(np.abs(beam * density_mg_cm3.grid.spacing_mm).argmax()))
    return render(bone, camera.K, camera.camera_from_world[None], camera.shape)[0]


def render(
    bone: SlicedDensity,
    K: Float[np.ndarray, "3 3"],
    camera_from_world: Float[np.ndarray, "poses 4 4"],
    shape: tuple[int, int],
) -> Float[np.ndarray, "poses rows columns"]:
    """Areal density in g/cm² of a bone at each pose.

    Args:
        bone: the sliced density.
        K: intrinsic matrix in pixels.
        camera_from_world: rigid pose of the bone for each image.
        shape: rows and columns of the detector.
    """
    images = np.zeros((len(camera_from_world), *shape), np.float32)
    render_all(
        bone.density, bone.runs, bone.run_starts, warps(bone, K, camera_from_world), pixel_ray_lengths(K, shape), images
    )
    return images


def warps(
    bone: SlicedDensity, K: Float[np.ndarray, "3 3"], camera_from_world: Float[np.ndarray, "poses 4 4"]
) -> Float[np.ndarray, "poses 3 4"]:
    """Per pose: directions in voxel indices of the ray of pixel (column, row, 1), and the focus in indices."""
    rotation = np.swapaxes(camera_from_world[:, :3, :3], 1, 2)
    focus_mm = -(rotation @ camera_from_world[:, :3, 3:])
    linear = bone.index_from_world[:3, :3]
    focus = linear @ focus_mm + bone.index_from_world[:3, 3:]
    return np.concatenate([linear @ rotation @ np.linalg.inv(K), focus], axis=2)


def pixel_ray_lengths(K: Float[np.ndarray, "3 3"], shape: tuple[int, int]) -> Float[np.ndarray, "rows columns"]:
    """Length of each pixel's ray per millimetre of depth."""
    x = (np.arange(shape[1]) - K[0, 2]) / K[0, 0]
    y = (np.arange(shape[0]) - K[1, 2]) / K[1, 1]
    return np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GradientTarget:
    """What rendered gradients are compared with: an X-ray at one resolution.

    Attributes:
        K: intrinsic matrix in pixels of this image.
        ray_lengths: see `pixel_ray_lengths`.
        weights: weight of the gradients at each pixel; 0 is ignored.
        gradients: weighted (row, column) gradients of the X-ray, each of zero mean and unit norm.
        background: areal density in g/cm² that is added to every rendering.
    """

    K: Float[np.ndarray, "3 3"]
    ray_lengths: Float[np.ndarray, "rows columns"]
    weights: Float[np.ndarray, "rows columns"]
    gradients: Float[np.ndarray, "2 rows columns"]
    background: Float[np.ndarray, "rows columns"]


def gradient_correlations(
    bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
) -> Float[np.ndarray, "poses"]:
    """Weighted gradient correlation of the X-ray with the bone at each pose: rendered and compared in one pass.

    The mean of the normalised cross-correlations of the row and column gradients (Penney 1998, eq. 8), in [-1, 1];
    0 for an image without gradients.
    """
    scores = np.zeros(len(camera_from_world))
    mapping = warps(bone, target.K, camera_from_world)
    score_all(
        bone.density,
        bone.runs,
        bone.run_starts,
        mapping,
        target.ray_lengths,
        target.background,
        target.weights,
        target.gradients,
        scores,
    )
    return scores


def rendered_gradients(
    bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
) -> Float[np.ndarray, "poses 2 rows columns"]:
    """Weighted gradient images of the bone at each pose, normalised as `GradientTarget.gradients` are."""
    gradients = np.zeros((len(camera_from_world), 2, *target.weights.shape), np.float32)
    mapping = warps(bone, target.K, camera_from_world)
    gradients_all(
        bone.density,
        bone.runs,
        bone.run_starts,
        mapping,
        target.ray_lengths,
        target.background,
        target.weights,
        gradients,
    )
    return gradients
