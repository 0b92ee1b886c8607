"""The C twins of `shear_warp_kernels`: the same functions with the same arguments, for where there is a compiler."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from osteoray.radiography.native import compiled


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None."""
    return compiled(Path(__file__).with_suffix(".c"))


def render_all(density, runs, run_starts, shape, mapping, ray_lengths, images) -> None:
    """See `shear_warp_kernels.render_all`."""
    _call("render_all", (density, runs, run_starts, shape), mapping, ray_lengths, (), images)


def score_all(density, runs, run_starts, shape, mapping, ray_lengths, background, weights, target, scores) -> None:
    """See `shear_warp_kernels.score_all`."""
    xray = (background, weights, target)
    _call("score_all", (density, runs, run_starts, shape), mapping, ray_lengths, xray, scores)


def gradients_all(density, runs, run_starts, shape, mapping, ray_lengths, background, weights, gradients) -> None:
    """See `shear_warp_kernels.gradients_all`."""
    xray = (background, weights)
    _call("gradients_all", (density, runs, run_starts, shape), mapping, ray_lengths, xray, gradients)


def _call(
    name: str, bone: tuple, mapping: np.ndarray, ray_lengths: np.ndarray, xray: tuple, result: np.ndarray
) -> None:
    """Hand contiguous arrays of C's types over; `result` is written and must be such already."""
    density, *indices = bone
    held = [np.ascontiguousarray(density, np.float32)]
    held += [np.ascontiguousarray(array, np.int32) for array in indices]
    held += [np.ascontiguousarray(mapping, np.float64)]
    held += [np.ascontiguousarray(array, np.float32) for array in (ray_lengths, *xray)]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*held, result)]
    rows, columns = map(ctypes.c_int32, ray_lengths.shape)
    poses = ctypes.c_int64(len(mapping))
    if getattr(library(), name)(*pointers[:5], poses, pointers[5], rows, columns, *pointers[6:]):
        raise MemoryError(f"{name}: no memory for a picture of {ray_lengths.shape} pixels")
