"""Monte Carlo inference: bones by the mean probability of several dropout samples, doubt by their variance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from osteoray.imaging.volume import Volume
from osteoray.imaging.volume_resizing import resize_volume
from osteoray.segmentation.backends import FoundBones
from osteoray.segmentation.bone_classes import SOME_BONE, BoneClass
from osteoray.segmentation.network import BayesianUNet
from osteoray.segmentation.patches import Rectangle, rectangles_around
from osteoray.segmentation.segmenter import PIXELS_PER_BATCH, Segmenter, coarse_samples, with_odd_mirrored
from osteoray.segmentation.sides import bones_of_classes, taken_cm3
from osteoray.segmentation.slices import central_window, network_input, with_neighbours
from osteoray.segmentation.whole_femurs import whole_femurs

POSSIBLE_BONE = 0.05
"""Where the coarse network finds bone more probable than this, the fine one looks."""

MARGIN_MM = 9.0
"""Room around possible bone: the coarse network's error and the fine one's view."""

SLAB = 6
"""Slices that share their rectangles."""


def segment_ct(segmenter: Segmenter, ct_hu: Volume, samples: int, seed: int) -> FoundBones:
    """Segment a CT: central box, coarse and fine network, probabilities on the CT grid, arg-max, sides.

    Args:
        segmenter: trained, on the device where it shall run.
        ct_hu: CT in Hounsfield units.
        samples: dropout samples; each is one pass through both networks.
        seed: of the dropout.
    """
    place = central_window(ct_hu)
    box = ct_hu.cut(place)
    shares, variance = predict(segmenter, box, samples, seed)
    classes = whole_femurs(Volume(most_probable(shares, box.array.shape), box.grid))
    as_classes = Volume(classes, box.grid)
    found = bones_of_classes(as_classes)
    bones = np.zeros(ct_hu.array.shape, np.uint8)
    bones[place] = found
    uncertainty = np.zeros(ct_hu.array.shape, np.float32)
    uncertainty[place] = resize_volume(variance, box.array.shape)
    return FoundBones(bones, uncertainty, taken_cm3(as_classes, found))


def predict(
    segmenter: Segmenter, box_hu: Volume, samples: int, seed: int
) -> tuple[Float32[np.ndarray, "bones k rows columns"], Float32[np.ndarray, "k rows columns"]]:
    """Mean softmax of the bone classes over samples, and its variance averaged over all classes (Hiasa 2020).

    Args:
        segmenter: trained.
        box_hu: the CT cut to its `central_window`.
        samples: dropout samples.
        seed: of the dropout.

    Returns:
        Probabilities and uncertainty (0..0.25) on the fine network's grid.
    """
    design = segmenter.design
    torch.manual_seed(seed)
    coarse, fine = (
        torch.from_numpy(network_input(box_hu, scale.pixel_mm, scale.slice_mm, design.window_hu).array)
        for scale in (design.coarse, design.fine)
    )
    with torch.inference_mode():
        found = coarse_samples(segmenter.coarse, coarse.to(segmenter.device), samples)
        return refine(segmenter, fine.to(segmenter.device), found, MARGIN_MM / design.fine.pixel_mm)


def refine(
    segmenter: Segmenter,
    images: Float32[Tensor, "k rows columns"],
    found: Float32[Tensor, "samples bones k2 rows2 columns2"],
    margin_px: float,
) -> tuple[Float32[np.ndarray, "bones k rows columns"], Float32[np.ndarray, "k rows columns"]]:
    """Mean and variance of the fine network's softmax near bone, of the coarse network's elsewhere.

    Args:
        segmenter: trained.
        images: 0..1 inside the HU window.
        found: samples of the coarse network over the same extent.
        margin_px: room around possible bone.
    """
    stacked = with_neighbours(images)
    mean = images.new_empty((found.shape[1], *images.shape))
    variance = images.new_empty(images.shape)
    multiple = 2 ** (segmenter.design.fine.levels - 1)
    for first in range(0, len(images), SLAB):
        slab = slice(first, min(first + SLAB, len(images)))
        context = context_of(found, slab, images.shape)
        mean[:, slab], variance[slab] = moments(context)
        possible = (mean[:, slab].sum(dim=0) > POSSIBLE_BONE).any(dim=0).cpu().numpy()
        for rows, columns in rectangles_around(possible, int(np.ceil(margin_px)), multiple):
            probability = _fine_samples(segmenter.fine, stacked[slab], context, (rows, columns))
            mean[:, slab, rows, columns], variance[slab, rows, columns] = moments(probability)
    return mean.cpu().numpy(), variance.cpu().numpy()


def context_of(
    found: Float32[Tensor, "samples bones k2 rows2 columns2"], slab: slice, shape: tuple[int, ...]
) -> Float32[Tensor, "samples bones k rows columns"]:
    """The coarse network's samples on some slices of the fine grid, by linear interpolation.

    Args:
        found: on the coarse grid.
        slab: which slices of the fine grid.
        shape: of the whole fine grid.
    """
    # Outer edges coincide, so centres map as in an image that is resized.
    position = (torch.arange(slab.start, slab.stop) + 0.5) * found.shape[2] / shape[0] - 0.5
    position = position.clamp(0, found.shape[2] - 1)
    below = position.floor().long()
    above = (below + 1).clamp(max=found.shape[2] - 1)
    share = (position - below).to(found.device)[:, None, None]
    layers = torch.lerp(found[:, :, below], found[:, :, above], share)
    return functional.interpolate(layers.flatten(0, 1), size=shape[1:], mode="bilinear", align_corners=False).unflatten(
        0, layers.shape[:2]
    )


def moments(
    probability: Float[Tensor, "samples bones *n"],
) -> tuple[Float[Tensor, "bones *n"], Float[Tensor, "*n"]]:
    """Mean over samples (0..1), and variance averaged over all classes with the background (0..0.25)."""
    mean = probability.mean(dim=0)
    # Several times as fast as `var` over so few samples.
    difference = probability - mean
    background = difference.sum(dim=1)
    squares = difference.square_().sum(dim=1) + background.square_()
    return mean, squares.mean(dim=0) / (probability.shape[1] + 1)


def _fine_samples(
    network: BayesianUNet,
    stacked: Float32[Tensor, "k slices rows columns"],
    context: Float32[Tensor, "samples bones k rows columns"],
    where: Rectangle,
) -> Float32[Tensor, "samples bones k r c"]:
    """Softmax of the bone classes in a rectangle, one sample of the fine network per sample of the coarse one."""
    rows, columns = where
    images = stacked[..., rows, columns]
    context = context[..., rows, columns]
    samples = len(context)
    parts = []
    for part in _chunks(len(images), samples * images[0, 0].numel()):
        both = torch.cat([images[part].expand(samples, -1, -1, -1, -1), context[:, :, part].transpose(1, 2)], dim=2)
        views = with_odd_mirrored(both)
        probability = network(views.flatten(0, 1)).softmax(dim=1)[:, 1:].unflatten(0, views.shape[:2])
        parts.append(with_odd_mirrored(probability).transpose(1, 2))
    return torch.cat(parts, dim=2)


def _chunks(count: int, pixels: int) -> Iterator[slice]:
    """Runs of slices that fit a batch."""
    step = max(PIXELS_PER_BATCH // pixels, 1)
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))


def most_probable(
    shares: Float32[np.ndarray, "bones k rows columns"], shape: tuple[int, ...], slices_at_once: int = 16
) -> UInt8[np.ndarray, "k j i"]:
    """The class with the highest interpolated probability at every voxel of a grid over the same extent.

    Background is `SOME_BONE` where all bones together are more probable.

    Args:
        shares: probability of every class but the background, which has the rest.
        shape: of the grid.
        slices_at_once: bounds memory.
    """
    classes = np.empty(shape, np.uint8)
    layers = [resize_volume(share, (shape[0], *share.shape[1:])) for share in shares]
    for first in range(0, shape[0], slices_at_once):
        part = slice(first, min(first + slices_at_once, shape[0]))
        values = [resize_volume(layer[part], (part.stop - part.start, *shape[1:])) for layer in layers]
        highest = 1 - np.sum(values, axis=0)
        found = np.where(highest < 0.5, np.uint8(SOME_BONE), np.uint8(BoneClass.BACKGROUND))
        for number, value in enumerate(values, start=1):
            found[value > highest] = number
            np.maximum(highest, value, out=highest)
        classes[part] = found
    return classes
