"""Search renderer: projections by shear-warp factorisation (Lacroute and Levoy, 1994) for whole populations of poses.

A cone-beam projection depends on the rotation about the focus only through a plane homography. So the slices of the
volume that face the focus are scaled and shifted onto one of them (the plane image, separable in rows and columns,
no three-dimensional interpolation), and that image is warped once onto the detector. Between slices the integral is a
sum, which is accurate for a density that was smoothed to its voxel size; density maps are made by `ray_integrals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from jaxtyping import Bool, Float, Int

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume
from osteoray.radiography import shear_warp_kernels, shear_warp_native

STEEPEST_DEG = 50.0
"""Angle between rays and the axis across the slices up to which a search may look; 6 % root mean square error there."""
SHORTEST_GAP = 16
"""Empty voxels between two runs of a row below which they are one run."""
RUN_MARGIN = 32
"""Empty voxels before the first and after the last run: kernels read whole vectors."""


@dataclass(frozen=True, eq=False)
class SlicedDensity:
    """A density ready for shear-warp: the filled runs of the rows of slices that face the focus.

    Attributes:
        density: the runs one after the other, in g/cm² per millimetre of path; each ends in empty voxels.
        runs: first column and last-plus-one column of each run, and where it begins in `density`.
        run_starts: (slice, row) to the first of its runs; one entry past the last row ends the list.
        shape: slices, rows and columns, with one empty voxel on every side.
        index_from_world: LPS millimetres to (slice, row, column).
    """

    density: Float[np.ndarray, "voxels"]
    runs: Int[np.ndarray, "runs 3"]
    run_starts: Int[np.ndarray, "starts"]
    shape: Int[np.ndarray, "3"]
    index_from_world: Float[np.ndarray, "4 4"]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What every kernel begins with."""
        return self.density, self.runs, self.run_starts, self.shape


def sliced(density_mg_cm3: Volume, axis: int = 1) -> SlicedDensity:
    """Arrange a volume in slices along an array axis (1, the j axis, faces the focus in an AP view).

    Args:
        density_mg_cm3: density in mg/cm³, smoothed to about its voxel size; 0 outside the grid.
        axis: array axis that makes less than 45° with every ray; see `facing_axis`.

    Raises:
        ValueError: the density is zero everywhere.
    """
    box = density_mg_cm3.crop_to(density_mg_cm3.array != 0)
    order = [axis] + [other for other in range(3) if other != axis]
    density = np.pad(box.array.transpose(order).astype(np.float32) * np.float32(AREAL_G_CM2_FROM_MG_CM3_MM), 1)
    world_from_index = box.grid.world_from_index[:, [*order, 3]]
    index_from_world = affine(np.eye(3), np.ones(3)) @ np.linalg.inv(world_from_index)
    return SlicedDensity(*_filled_runs(density), np.array(density.shape, np.int32), index_from_world)


def _filled_runs(density: Float[np.ndarray, "slices rows columns"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`SlicedDensity.density`, `runs` and `run_starts`; gaps too short to be worth a leap are filled."""
    columns = density.shape[2]
    filled = (density != 0).reshape(-1, columns)
    change = np.diff(filled.astype(np.int8), axis=1)
    row, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    # Voxel `first` is the empty one before a run, `last` the last filled one.
    apart = np.ones(len(row) + 1, bool)
    apart[1:-1] = (row[1:] != row[:-1]) | (first[1:] - last[:-1] > SHORTEST_GAP)
    row, first, stop = row[apart[:-1]], first[apart[:-1]], last[apart[1:]] + 2
    place = np.cumsum(stop - first) - (stop - first)
    voxels = np.arange((stop - first).sum()) + np.repeat(row * columns + first - place, stop - first)
    runs = np.stack([first, stop, place + RUN_MARGIN], axis=1)
    run_starts = np.searchsorted(row, np.arange(len(filled) + 1))
    return np.pad(density.ravel()[voxels], RUN_MARGIN), runs.astype(np.int32), run_starts.astype(np.int32)


def facing_axis(grid: VoxelGrid, camera_from_world: Float[np.ndarray, "4 4"]) -> int:
    """The array axis whose slices a camera faces most squarely."""
    beam = grid.index_from_world[:3, :3] @ camera_from_world[2, :3]
    return int(np.abs(beam * grid.spacing_mm).argmax())


def is_faced(
    bone: SlicedDensity, camera_from_world: Float[np.ndarray, "poses 4 4"], point_mm: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "poses"]:
    """Whether the ray to a point of the bone crosses the slices within `STEEPEST_DEG` of their axis at each pose.

    Beyond it a rendering is coarse, and at some 60 degrees it is blank.
    """
    rotation = np.swapaxes(camera_from_world[:, :3, :3], 1, 2)
    rays_mm = (rotation @ (camera_from_world[:, :3, :3] @ point_mm + camera_from_world[:, :3, 3])[:, :, None])[:, :, 0]
    across = bone.index_from_world[0, :3] / np.linalg.norm(bone.index_from_world[0, :3])
    return np.abs(rays_mm @ across) > np.cos(np.radians(STEEPEST_DEG)) * np.linalg.norm(rays_mm, axis=1)


def shear_warp(density_mg_cm3: Volume, camera: Camera) -> Float[np.ndarray, "rows columns"]:
    """Areal density of a volume on the detector, g/cm²: the fast twin of `ray_integrals.areal_density_g_cm2`."""
    bone = sliced(density_mg_cm3, facing_axis(density_mg_cm3.grid, camera.camera_from_world))
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
    _kernels().render_all(*bone.arrays, warps(bone, K, camera_from_world), pixel_ray_lengths(K, shape), images)
    return images


def _kernels() -> ModuleType:
    """The compiled C kernels where there is a compiler, else their numba twins."""
    return shear_warp_native if shear_warp_native.library() else shear_warp_kernels


def warps(
    bone: SlicedDensity, K: Float[np.ndarray, "3 3"], camera_from_world: Float[np.ndarray, "poses 4 4"]
) -> Float[np.ndarray, "poses 3 4"]:
    """Per pose: directions in voxel indices of the ray of pixel (column, row, 1), and the focus in indices.

    Raises:
        ValueError: a pose is not finite.
    """
    if not np.isfinite(camera_from_world).all():
        raise ValueError("camera_from_world: expected finite poses, got infinity or NaN")
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
    _kernels().score_all(
        *bone.arrays,
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
    _kernels().gradients_all(
        *bone.arrays,
        mapping,
        target.ray_lengths,
        target.background,
        target.weights,
        gradients,
    )
    return gradients
