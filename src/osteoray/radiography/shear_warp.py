"""Search renderer: projections by shear-warp factorisation (Lacroute and Levoy, 1994) for whole populations of poses.

A cone-beam projection depends on the rotation about the focus only through a plane homography. So the slices of the
volume that face the focus are scaled and shifted onto one of them (the plane image, separable in rows and columns,
no three-dimensional interpolation), and that image is warped once onto the detector. Between slices the integral is a
sum, which is accurate for a density that was smoothed to its voxel size; density maps are made by `ray_integrals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.imaging.volume import Volume


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
    _render_all(
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
    _score_all(
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
    _gradients_all(
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


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _render_all(density, runs, run_starts, mapping, ray_lengths, images):
    for pose in range(mapping.shape[0]):
        _render(density, runs, run_starts, mapping[pose], ray_lengths, images[pose])


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _score_all(density, runs, run_starts, mapping, ray_lengths, background, weights, target, scores):
    rows, columns = weights.shape
    image = np.empty((rows, columns), np.float32)
    count = rows * columns
    for pose in range(mapping.shape[0]):
        image[:] = background
        _render(density, runs, run_starts, mapping[pose], ray_lengths, image)
        sum_r = sum_c = square_r = square_c = cross_r = cross_c = np.float64(0)
        for row in range(1, rows - 1):
            # Float32 sums within a row vectorise; rows are added in float64.
            a = b = aa = bb = at = bt = np.float32(0)
            for column in range(1, columns - 1):
                w = weights[row, column]
                g = w * (image[row + 1, column] - image[row - 1, column])
                h = w * (image[row, column + 1] - image[row, column - 1])
                a += g
                b += h
                aa += g * g
                bb += h * h
                at += g * target[0, row, column]
                bt += h * target[1, row, column]
            sum_r += a
            sum_c += b
            square_r += aa
            square_c += bb
            cross_r += at
            cross_c += bt
        norm_r = square_r - sum_r * sum_r / count
        norm_c = square_c - sum_c * sum_c / count
        if norm_r > 0 and norm_c > 0:
            scores[pose] = 0.5 * (cross_r / np.sqrt(norm_r) + cross_c / np.sqrt(norm_c))


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _gradients_all(density, runs, run_starts, mapping, ray_lengths, background, weights, gradients):
    rows, columns = weights.shape
    image = np.empty((rows, columns), np.float32)
    for pose in range(mapping.shape[0]):
        image[:] = background
        _render(density, runs, run_starts, mapping[pose], ray_lengths, image)
        along_rows, along_columns = gradients[pose, 0], gradients[pose, 1]
        for row in range(1, rows - 1):
            for column in range(1, columns - 1):
                w = weights[row, column]
                along_rows[row, column] = w * (image[row + 1, column] - image[row - 1, column])
                along_columns[row, column] = w * (image[row, column + 1] - image[row, column - 1])
        for direction in range(2):
            field = gradients[pose, direction]
            field -= np.float32(field.mean())
            norm = np.sqrt((field * field).sum())
            if norm > 0:
                field /= norm


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _render(density, runs, run_starts, mapping, ray_lengths, image):
    """Add one projection to an image."""
    slices = density.shape[0]
    focus = mapping[:, 3]
    if -1.0 < focus[0] < slices:
        return  # The focus lies between the slices: no such X-ray exists.
    plane = 0.5 * (slices - 1)
    row_first, row_count = _extent(focus[0], focus[1], plane, slices, density.shape[1])
    column_first, column_count = _extent(focus[0], focus[2], plane, slices, density.shape[2])
    if row_count * column_count > 16 * density.shape[1] * density.shape[2]:
        return  # The focus all but touches the volume.
    plane_image = np.zeros((row_count, column_count), np.float32)
    _shear(density, runs, run_starts, focus, plane, row_first, column_first, plane_image)
    _warp(plane_image, mapping, plane, row_first, column_first, ray_lengths, image)


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def _extent(focus_slice, focus, plane, slices, size):
    """First index and number of pixels of the plane image along one axis, so that every slice falls inside."""
    low, high = 1e9, -1e9
    for n in (0, slices - 1):
        scale = (n - focus_slice) / (plane - focus_slice)
        for edge in (0, size - 1):
            place = focus + (edge - focus) / scale
            low, high = min(low, place), max(high, place)
    first = int(np.floor(low))
    return first, int(np.ceil(high)) - first + 2


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _shear(density, runs, run_starts, focus, plane, row_first, column_first, plane_image):
    """Sum all slices on the plane slice, scaled about the focus; filled runs only."""
    slices, rows, columns = density.shape
    plane_rows, plane_columns = plane_image.shape
    blended = np.zeros(columns + 1, np.float32)
    source = np.zeros(plane_columns, np.uint32)  # Unsigned: no test for negative indices in the inner loop.
    weight = np.zeros(plane_columns, np.float32)
    for n in range(slices):
        scale = (n - focus[0]) / (plane - focus[0])
        row_shift = focus[1] * (1 - scale) + scale * row_first
        column_shift = focus[2] * (1 - scale) + scale * column_first
        for column in range(plane_columns):
            place = column_shift + scale * column
            source[column] = max(0, int(np.floor(place)))
            weight[column] = place - np.floor(place)
        for row in range(max(0, int(np.ceil(-row_shift / scale))), plane_rows):
            place = row_shift + scale * row
            upper = int(place)
            if upper >= rows - 1:
                break
            low = np.float32(place - upper)
            high = np.float32(1) - low
            pair = n * (rows - 1) + upper
            for run in range(run_starts[pair], run_starts[pair + 1]):
                first, stop = runs[run]
                _blend(high, density[n, upper, first:stop], low, density[n, upper + 1, first:stop], blended[first:stop])
                begin = max(0, int(np.ceil((first - column_shift) / scale)))
                end = min(plane_columns, int(np.floor((stop - 1 - column_shift) / scale)) + 1)
                _add_shifted(blended, source[begin:end], weight[begin:end], plane_image[row, begin:end])


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _blend(high, upper, low, lower, blended):
    for column in range(blended.size):
        blended[column] = high * upper[column] + low * lower[column]


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _add_shifted(blended, source, weight, plane_row):
    for column in range(plane_row.size):
        left = blended[source[column]]
        plane_row[column] += left + weight[column] * (blended[source[column] + np.uint32(1)] - left)


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _warp(plane_image, mapping, plane, row_first, column_first, ray_lengths, image):
    """Add the plane image, seen through the homography of the detector, to the image."""
    plane_rows, plane_columns = plane_image.shape
    to_plane = plane - mapping[0, 3]
    for row in range(image.shape[0]):
        across = mapping[0, 1] * row + mapping[0, 2]
        down = mapping[1, 1] * row + mapping[1, 2]
        along = mapping[2, 1] * row + mapping[2, 2]
        for column in range(image.shape[1]):
            slope = mapping[0, 0] * column + across
            t = to_plane / slope
            r = mapping[1, 3] + t * (mapping[1, 0] * column + down) - row_first
            c = mapping[2, 3] + t * (mapping[2, 0] * column + along) - column_first
            if t > 0.0 and r >= 0.0 and c >= 0.0 and r < plane_rows - 1 and c < plane_columns - 1:
                i, j = int(r), int(c)
                v, u = np.float32(r - i), np.float32(c - j)
                top = plane_image[i, j] + u * (plane_image[i, j + 1] - plane_image[i, j])
                bottom = plane_image[i + 1, j] + u * (plane_image[i + 1, j + 1] - plane_image[i + 1, j])
                image[row, column] += (top + v * (bottom - top)) * ray_lengths[row, column] / np.float32(abs(slope))
