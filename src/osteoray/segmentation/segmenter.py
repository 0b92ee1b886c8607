"""Two Bayesian U-Nets in a row: a coarse one finds the bones, a fine one draws their boundaries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from osteoray.segmentation.bone_classes import BoneClass
from osteoray.segmentation.network import BayesianUNet, Shape, in_channels_last
from osteoray.segmentation.slices import with_neighbours

NEIGHBOURS = 3
"""Slices that a network sees at once: the one below, itself, the one above."""

PIXELS_PER_BATCH = 250_000
"""Bounds memory; small batches stay in the processor's cache."""


@dataclass(frozen=True)
class Scale:
    """Where a network works and how large it is.

    Attributes:
        pixel_mm: pixel size.
        slice_mm: smallest slice distance; thicker slices stay as they are.
        base_filters: filters of the first level, doubled at each level below.
        levels: resolution levels.
    """

    pixel_mm: float
    slice_mm: float
    base_filters: int
    levels: int


@dataclass(frozen=True)
class Design:
    """What defines a segmenter besides its weights; saved with them.

    Attributes:
        coarse: network that sees the central box of the body.
        fine: network that sees the bones that the coarse one found, and the coarse one's answer.
        dropout: probability of dropping a feature map after each block.
        window_hu: HU that become 0 and 1.
    """

    coarse: Scale
    fine: Scale
    dropout: float
    window_hu: tuple[float, float]

    def coarse_shape(self) -> Shape:
        """Neighbouring slices in, classes out."""
        return self._shape(self.coarse, NEIGHBOURS, has_prior=False)

    def fine_shape(self) -> Shape:
        """Neighbouring slices and the probabilities of the bone classes in, classes out."""
        return self._shape(self.fine, NEIGHBOURS + len(BoneClass) - 1, has_prior=True)

    def _shape(self, scale: Scale, inputs: int, *, has_prior: bool) -> Shape:
        return Shape(inputs, scale.base_filters, scale.levels, self.dropout, len(BoneClass), has_prior)


@dataclass(frozen=True, eq=False)
class Segmenter:
    """Both networks of a design."""

    design: Design
    coarse: BayesianUNet
    fine: BayesianUNet

    @classmethod
    def untrained(cls, design: Design) -> Segmenter:
        """Networks with random weights from torch's global generator."""
        networks = (BayesianUNet(shape) for shape in (design.coarse_shape(), design.fine_shape()))
        return cls(design, *(in_channels_last(network) for network in networks))

    @property
    def device(self) -> torch.device:
        """Where the networks lie."""
        return next(self.coarse.parameters()).device

    def to(self, device: str) -> Segmenter:
        """The segmenter with its networks moved to a device."""
        self.coarse.to(device)
        self.fine.to(device)
        return self


def coarse_samples(
    network: BayesianUNet, images: Float32[Tensor, "k rows columns"], samples: int
) -> Float32[Tensor, "samples bones k rows columns"]:
    """Softmax of the bone classes in every sample; see `with_odd_mirrored` for the odd ones."""
    stacked = with_neighbours(images)
    found = images.new_empty((samples, len(BoneClass) - 1, *images.shape))
    step = max(PIXELS_PER_BATCH // (samples * images[0].numel()), 1)
    for first in range(0, len(stacked), step):
        chunk = stacked[first : first + step]
        views = with_odd_mirrored(chunk.expand(samples, -1, -1, -1, -1))
        probability = network(views.flatten(0, 1)).softmax(dim=1)[:, 1:].unflatten(0, views.shape[:2])
        found[:, :, first : first + step] = with_odd_mirrored(probability).transpose(1, 2)
    return found


def with_odd_mirrored(samples: Float32[Tensor, "samples *n columns"]) -> Float32[Tensor, "samples *n columns"]:
    """Every other sample seen in a mirror, as in training: what the network does to left and right averages out."""
    views = samples.clone()
    views[1::2] = samples[1::2].flip(-1)
    return views


def to_checkpoint(segmenter: Segmenter) -> dict:
    """Weights and design, loadable with `weights_only=True`."""
    weights = {"coarse": segmenter.coarse.state_dict(), "fine": segmenter.fine.state_dict()}
    return {"design": asdict(segmenter.design), "weights": weights}


def from_checkpoint(checkpoint: dict) -> Segmenter:
    """The segmenter that `to_checkpoint` saved, ready for inference."""
    design = checkpoint["design"]
    scales = {name: Scale(**design[name]) for name in ("coarse", "fine")}
    segmenter = Segmenter.untrained(Design(**scales, dropout=design["dropout"], window_hu=tuple(design["window_hu"])))
    for name, network in (("coarse", segmenter.coarse), ("fine", segmenter.fine)):
        network.load_state_dict(checkpoint["weights"][name])
        network.eval()
    return segmenter


def load_segmenter(path: Path) -> Segmenter:
    """The segmenter of a checkpoint file, on the GPU if there is one."""
    segmenter = from_checkpoint(torch.load(path, weights_only=True))
    return segmenter.to("cuda" if torch.cuda.is_available() else "cpu")
