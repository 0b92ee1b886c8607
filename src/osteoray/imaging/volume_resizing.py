"""Resizing of volumes over the same extent: a few taps per voxel and axis, in compiled loops."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int64
from numba import njit

from osteoray.imaging.resampling import resize_weights

BLOCK = 4096
"""Values along the inner axes that are worked on together: what is read twice is still in the cache."""


def resize_volume(volume: Float32[np.ndarray, "k j i"], shape: tuple[int, ...]) -> Float32[np.ndarray, "a b c"]:
    """Resize a volume as `resize_image` does an image; only the axes that change cost time.

    A volume that has the shape already is returned itself, not copied.

    Args:
        volume: intensive values (shares, attenuation), which are averaged and never summed.
        shape: voxels along k, j and i.
    """
    for axis, (old, new) in enumerate(zip(volume.shape, shape, strict=True)):
        if old != new:
            first, weights = _taps(old, new)
            outer, inner = int(np.prod(volume.shape[:axis])), int(np.prod(volume.shape[axis + 1 :]))
            resized = np.zeros((outer, new, inner), np.float32)
            source = np.ascontiguousarray(volume).reshape(outer, old, inner)
            if inner == 1:
                _resize_innermost(source[..., 0], first, weights, resized[..., 0])
            else:
                _resize_outer(source, first, weights, resized)
            volume = resized.reshape(*volume.shape[:axis], new, *volume.shape[axis + 1 :])
    return volume


def _taps(old: int, new: int) -> tuple[Int64[np.ndarray, "new"], Float32[np.ndarray, "new taps"]]:
    """The weights of `resize_weights` without their zeros: where each row begins, and its values."""
    matrix = resize_weights(old, new)
    count = int((matrix > 0).sum(axis=1).max())
    first = np.minimum((matrix > 0).argmax(axis=1), old - count)
    return first, np.take_along_axis(matrix, first[:, None] + np.arange(count), axis=1).astype(np.float32)


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _resize_outer(source, first, weights, resized):
    """Add the taps of every row of the middle axis."""
    inner = source.shape[2]
    for begin in range(0, inner, BLOCK):
        end = min(begin + BLOCK, inner)
        for outer in range(source.shape[0]):
            for row in range(resized.shape[1]):
                into = resized[outer, row, begin:end]
                for tap in range(weights.shape[1]):
                    weight = weights[row, tap]
                    values = source[outer, first[row] + tap, begin:end]
                    for n in range(end - begin):
                        into[n] += weight * values[n]


@njit(cache=True, error_model="numpy", nogil=True, fastmath=True)
@no_type_check
def _resize_innermost(source, first, weights, resized):
    """The same along the last axis."""
    for row in range(source.shape[0]):
        for n in range(resized.shape[1]):
            total = np.float32(0)
            for tap in range(weights.shape[1]):
                total += weights[n, tap] * source[row, first[n] + tap]
            resized[row, n] = total
