"""Compiled kernels of the search renderer; `shear_warp` gives them their arrays and explains the method.

All of them stand in this file because numba's cache notices a change only in the file of the function that is called.
They have a twin in C (`shear_warp_native`), which is faster and used where a compiler is found. Arrays: density, runs,
run_starts and shape as in `SlicedDensity`; mapping (pose, 3, 4) as from `warps`; images (row, column) float32.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy", nogil=True)
@no_type_check
def render_all(density, runs, run_starts, shape, mapping, ray_lengths, images):
    """Add the projection at every pose to its image."""
    for pose in range(mapping.shape[0]):
        _render(density, runs, run_starts, shape, mapping[pose], ray_lengths, images[pose])


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def score_all(density, runs, run_starts, shape, mapping, ray_lengths, background, weights, target, scores):
    """Write the weighted gradient correlation with the target at every pose into `scores`."""
    rows, columns = weights.shape
    image = np.empty((rows, columns), np.float32)
    count = rows * columns
    for pose in range(mapping.shape[0]):
        image[:] = background
        _render(density, runs, run_starts, shape, mapping[pose], ray_lengths, image)
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
def gradients_all(density, runs, run_starts, shape, mapping, ray_lengths, background, weights, gradients):
    """Write the normalised weighted gradient images at every pose into `gradients`."""
    rows, columns = weights.shape
    image = np.empty((rows, columns), np.float32)
    for pose in range(mapping.shape[0]):
        image[:] = background
        _render(density, runs, run_starts, shape, mapping[pose], ray_lengths, image)
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
def _render(density, runs, run_starts, shape, mapping, ray_lengths, image):
    """Add one projection to an image."""
    slices, rows, columns = shape
    focus = mapping[:, 3]
    if -1.0 < focus[0] < slices:
        return  # The focus lies between the slices: no such X-ray exists.
    plane = 0.5 * (slices - 1)
    row_first, row_count = _extent(focus[0], focus[1], plane, slices, rows)
    column_first, column_count = _extent(focus[0], focus[2], plane, slices, columns)
    if row_count * column_count > 16 * rows * columns:
        return  # The focus all but touches the volume.
    plane_image = np.zeros((row_count, column_count), np.float32)
    _shear(density, runs, run_starts, shape, focus, plane, row_first, column_first, plane_image)
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
def _shear(density, runs, run_starts, shape, focus, plane, row_first, column_first, plane_image):
    """Sum all slices on the plane slice, scaled about the focus; filled runs only.

    A run is resampled once to the columns of the plane image and added to every row of it that lies less than one row
    away: the same bilinear weights as when each pixel of the plane image looks for its four neighbours.
    """
    slices, rows, _ = shape
    plane_rows, plane_columns = plane_image.shape
    source = np.zeros(plane_columns, np.int32)
    weight = np.zeros(plane_columns, np.float32)
    resampled = np.zeros(plane_columns, np.float32)
    for n in range(slices):
        scale = (n - focus[0]) / (plane - focus[0])
        row_shift = focus[1] * (1 - scale) + scale * row_first
        column_shift = focus[2] * (1 - scale) + scale * column_first
        for column in range(plane_columns):
            place = column_shift + scale * column
            source[column] = int(np.floor(place))
            weight[column] = place - np.floor(place)
        for row in range(rows):
            begin_row = max(0, int(np.floor((row - 1 - row_shift) / scale)) + 1)
            end_row = min(plane_rows, int(np.ceil((row + 1 - row_shift) / scale)))
            for run in range(run_starts[n * rows + row], run_starts[n * rows + row + 1]):
                first, stop, start = runs[run]
                begin = max(0, int(np.ceil((first - column_shift) / scale)))
                end = min(plane_columns, int(np.floor((stop - 1 - column_shift) / scale)) + 1)
                if begin < end:
                    lanes = resampled[: end - begin]
                    _resample(density[start - 1 :], source[begin:end], weight[begin:end], np.int32(first - 1), lanes)
                    for plane_row in range(begin_row, end_row):
                        near = np.float32(1 - abs(row_shift + scale * plane_row - row))
                        _add(near, lanes, plane_image[plane_row, begin:end])


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _resample(run, source, weight, first, resampled):
    for column in range(resampled.size):
        # Unsigned: no test for negative indices in the inner loop. Rounding may ask for the voxel before the run.
        at = np.uint32(source[column] - first)
        left = run[at]
        resampled[column] = left + weight[column] * (run[at + np.uint32(1)] - left)


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _add(factor, lanes, plane_row):
    for column in range(plane_row.size):
        plane_row[column] += factor * lanes[column]


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
