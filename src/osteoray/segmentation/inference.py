"""Monte Carlo inference: bones by the mean probability of several dropout samples, doubt by their variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.segmentation.network import BayesianUNet
from osteoray.segmentation.sides import bones_of_classes
from osteoray.segmentation.slices import central_box, network_input


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Bones of a CT and how sure the network is.

    Attributes:
        bones: labels of `Bone` on the CT grid.
        uncertainty: predictive variance, 0 to 0.25, on the CT grid; 0 outside the box that was looked at.
    """

    bones: UInt8[np.ndarray, "k j i"]
    uncertainty: Float32[np.ndarray, "k j i"]


def segment_ct(
    network: BayesianUNet,
    ct_hu: Volume,
    inplane_mm: float,
    slice_mm: float,
    window_hu: tuple[float, float],
    samples: int,
    seed: int,
) -> Segmentation:
    """Segment a CT: central box, network, probabilities back on the CT grid, arg-max, sides.

    Args:
        network: trained at the same working resolution and window.
        ct_hu: CT in Hounsfield units.
        inplane_mm: pixel size of the network's slices.
        slice_mm: smallest slice distance.
        window_hu: HU window.
        samples: dropout samples.
        seed: of the dropout.
    """
    box = central_box(ct_hu)
    slices = network_input(box, inplane_mm, slice_mm, window_hu)
    probability, variance = predict(network, slices.array, samples, seed)
    classes = most_probable(probability, slices.grid, box.grid)
    place = _place_of(box.grid, ct_hu.grid)
    bones = np.zeros(ct_hu.array.shape, np.uint8)
    bones[place] = bones_of_classes(Volume(classes, box.grid))
    uncertainty = np.zeros(ct_hu.array.shape, np.float32)
    uncertainty[place] = resample(Volume(variance, slices.grid), box.grid).array
    return Segmentation(bones, uncertainty)


def most_probable(
    probability: Float32[np.ndarray, "classes k rows columns"], grid: VoxelGrid, target: VoxelGrid
) -> UInt8[np.ndarray, "k j i"]:
    """The class with the highest interpolated probability at every voxel of another grid."""
    classes = np.zeros(target.shape, np.uint8)
    highest = np.zeros(target.shape, np.float32)
    for number, channel in enumerate(probability):
        value = resample(Volume(channel, grid), target).array
        classes[value > highest] = number
        np.maximum(highest, value, out=highest)
    return classes


def _place_of(box: VoxelGrid, grid: VoxelGrid) -> tuple[slice, slice, slice]:
    """Where a crop of a grid lies in it."""
    start = np.rint(grid.index_from_world @ box.world_from_index[:, 3])[:3].astype(int)
    k, j, i = (slice(first, first + size) for first, size in zip(start, box.shape, strict=True))
    return k, j, i


def predict(
    network: BayesianUNet,
    images: Float32[np.ndarray, "k rows columns"],
    samples: int,
    seed: int,
    pixels_per_batch: int = 200_000,
) -> tuple[Float32[np.ndarray, "classes k rows columns"], Float32[np.ndarray, "k rows columns"]]:
    """Mean softmax over samples, and its variance averaged over classes (Hiasa 2020).

    All samples of a slice share a batch.

    Args:
        network: trained.
        images: 0..1 inside the HU window.
        samples: dropout samples.
        seed: of the dropout.
        pixels_per_batch: bounds memory; small batches stay in the processor's cache.

    Returns:
        Probabilities and uncertainty (0..0.25).
    """
    torch.manual_seed(seed)
    count, rows, columns = images.shape
    mean = np.empty((network.shape.classes, count, rows, columns), np.float32)
    variance = np.empty((count, rows, columns), np.float32)
    step = max(pixels_per_batch // (samples * rows * columns), 1)
    with torch.inference_mode():
        for first in range(0, count, step):
            chunk = torch.from_numpy(images[first : first + step])[:, None]
            repeated = chunk.repeat_interleave(samples, dim=0).contiguous(memory_format=torch.channels_last)
            probability = network(repeated).softmax(dim=1).unflatten(0, (len(chunk), samples))
            mean[:, first : first + step] = probability.mean(dim=1).transpose(0, 1).numpy()
            variance[first : first + step] = probability.var(dim=1, correction=0).mean(dim=1).numpy()
    return mean, variance
