"""Averages of a voxel array over the footprint of other, usually smaller voxels of an axial grid."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from osteoray.geometry.grids import VoxelGrid


@dataclass(frozen=True, eq=False)
class Footprint:
    """Weights of one axis: new voxel n is the sum over t of `weights[n, t]` times old voxel `first[n] + t`.

    Attributes:
        first: may lie outside the old array, where everything is 0.
        weights: sum to 1.
    """

    first: Int[np.ndarray, " new"]
    weights: Float32[np.ndarray, "new taps"]

    def reached(self, start: int, stop: int) -> slice:
        """The new voxels that old voxels from `start` up to `stop` touch."""
        touched = np.flatnonzero((self.first < stop) & (self.first + self.weights.shape[1] > start))
        return slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 0)


Footprints = tuple[Footprint, ...]
"""Three, along k, j, i."""


def footprints(source: VoxelGrid, target: VoxelGrid) -> Footprints:
    """Weights that average the linear interpolation of an axial grid's values over another axial grid's voxels."""
    return _footprint(source, target, 0), _footprint(source, target, 1), _footprint(source, target, 2)


def average(array: Float32[np.ndarray, "k j i"], weights: Footprints) -> Float32[np.ndarray, "k j i"]:
    """Averages over new voxels; 0 outside the old array."""
    out = np.zeros([len(axis.first) for axis in weights], np.float32)
    k, j, i = weights
    values = np.ascontiguousarray(array, np.float32)
    _average(values, k.first, k.weights, j.first, j.weights, i.first, i.weights, out)
    return out


@dataclass(frozen=True, eq=False)
class CoarseField:
    """A smooth quantity on coarse voxels that is needed slice by slice on finer ones.

    Attributes:
        values: on the coarse grid.
        weights: from there to the fine grid.
    """

    values: Float32[np.ndarray, "a b c"]
    weights: Footprints

    def slice(self, k: int) -> Float32[np.ndarray, "j i"]:
        """One slice of the fine grid; 0 outside the coarse one."""
        along_k, along_j, along_i = self.weights
        here = Footprint(along_k.first[k : k + 1], along_k.weights[k : k + 1])
        return average(self.values, (here, along_j, along_i))[0]


def labels_of_half_filled(labels: UInt8[np.ndarray, "k j i"], weights: Footprints) -> UInt8[np.ndarray, "k j i"]:
    """A new voxel carries the label that fills at least half of it.

    The nearest label would shift the whole mask by up to half a voxel where both grids have the same spacing.
    """
    found = np.zeros([len(axis.first) for axis in weights], np.uint8)
    for label in np.unique(labels[labels > 0]):
        mask = labels == label
        old = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(int(index[0]), int(index[-1]) + 1) for index in old)
        reached = tuple(axis.reached(part.start, part.stop) for axis, part in zip(weights, box, strict=True))
        cut = tuple(
            Footprint(axis.first[new] - part.start, axis.weights[new])
            for axis, part, new in zip(weights, box, reached, strict=True)
        )
        filled: Bool[np.ndarray, "k j i"] = average(mask[box].astype(np.float32), cut) >= 0.5
        found[reached][filled] = label
    return found


def _footprint(source: VoxelGrid, target: VoxelGrid, axis: int) -> Footprint:
    world = 2 - axis
    spacing_mm = source.spacing_mm[axis]
    offset_mm = target.world_from_index[world, 3] - source.world_from_index[world, 3]
    centres = (offset_mm + np.arange(target.shape[axis]) * target.spacing_mm[axis]) / spacing_mm
    half = target.spacing_mm[axis] / spacing_mm / 2
    first = np.ceil(centres - half - 1).astype(np.int64)
    taps = int(np.ceil(2 * half + 2)) + 1
    offset = centres[:, None] - (first[:, None] + np.arange(taps))
    weights: Float[np.ndarray, "new taps"] = (_hat_integral(offset + half) - _hat_integral(offset - half)) / (2 * half)
    return Footprint(first, weights.astype(np.float32))


def _hat_integral(t: np.ndarray) -> np.ndarray:
    """Integral of the unit hat function from minus infinity to t."""
    t = np.clip(t, -1, 1)
    return 0.5 + t - np.sign(t) * t**2 / 2


@numba.njit(cache=True, fastmath=True)
def _average(array, first_k, weights_k, first_j, weights_j, first_i, weights_i, out):
    """Axis by axis within one new slice, so that intermediate results stay in the processor's cache."""
    old_k, old_j, old_i = array.shape
    new_k, new_j, new_i = out.shape
    for k in range(new_k):
        plane = np.zeros((old_j, old_i), np.float32)
        is_empty = True
        for t in range(weights_k.shape[1]):
            source, weight = first_k[k] + t, weights_k[k, t]
            if 0 <= source < old_k and weight != 0.0:
                is_empty = False
                for j in range(old_j):
                    for i in range(old_i):
                        plane[j, i] += weight * array[source, j, i]
        if is_empty:
            continue
        for j in range(new_j):
            row = np.zeros(old_i, np.float32)
            for t in range(weights_j.shape[1]):
                source, weight = first_j[j] + t, weights_j[j, t]
                if 0 <= source < old_j and weight != 0.0:
                    for i in range(old_i):
                        row[i] += weight * plane[source, i]
            for i in range(new_i):
                total = np.float32(0.0)
                for t in range(weights_i.shape[1]):
                    source = first_i[i] + t
                    if 0 <= source < old_i:
                        total += weights_i[i, t] * row[source]
                out[k, j, i] = total
