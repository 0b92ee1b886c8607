"""Labelled slices to train on: what the networks see of a patient, at several slice thicknesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float16, Int, UInt8
from torch import Tensor

from osteoray.imaging.volume import Volume
from osteoray.segmentation.augmentation import Views, cut, sample_views, with_brightness
from osteoray.segmentation.segmenter import Design, Scale
from osteoray.segmentation.slices import central_window, network_input, network_target

THICKER = (1.0, 1.5, 2.2)
"""Slices are averaged to these multiples of a network's slice distance, so that it knows thick ones too."""

COARSE_OF_FINE = (0, 0, 1)
"""Which thickness of the coarse slices goes with each thickness of the fine ones."""

BONE_POINTS = 4000
"""Points of bone per volume around which windows are cut."""


@dataclass(frozen=True, eq=False)
class LabelledSlices:
    """Slices of one patient at one resolution.

    Attributes:
        images: 0..1 inside the HU window.
        shares: of every bone class in a voxel, in 255ths.
        extent_mm: height and width of a slice.
        bone: some voxels with bone in them.
    """

    images: Float16[Tensor, "k rows columns"]
    shares: UInt8[Tensor, "bones k rows columns"]
    extent_mm: tuple[float, float]
    bone: Int[np.ndarray, "n 3"]


@dataclass(frozen=True, eq=False)
class TrainingPatient:
    """What both networks learn from one patient: one volume per slice thickness."""

    coarse: tuple[LabelledSlices, ...]
    fine: tuple[LabelledSlices, ...]


def training_patient(ct_hu: Volume, bones: Volume, design: Design) -> TrainingPatient:
    """Prepare a patient.

    Args:
        ct_hu: CT in Hounsfield units.
        bones: labels of `Bone` on the same grid.
        design: of the segmenter to train.
    """
    window = central_window(ct_hu)
    box, inside = ct_hu.cut(window), bones.cut(window)

    def at(scale: Scale, factor: float) -> LabelledSlices:
        images = network_input(box, scale.pixel_mm, scale.slice_mm * factor, design.window_hu)
        shares = network_target(inside, images.grid)
        height_mm, width_mm = (images.grid.spacing_mm * images.grid.shape)[1:]
        bone = np.argwhere(shares.max(axis=0) > 0)
        return LabelledSlices(
            torch.from_numpy(images.array.astype(np.float16)),
            torch.from_numpy(shares),
            (float(height_mm), float(width_mm)),
            bone[:: max(len(bone) // BONE_POINTS, 1)],
        )

    coarse = tuple(at(design.coarse, factor) for factor in THICKER[: 1 + max(COARSE_OF_FINE)])
    return TrainingPatient(coarse, tuple(at(design.fine, factor) for factor in THICKER))


@dataclass(frozen=True, eq=False)
class Examples:
    """A batch.

    Attributes:
        inputs: what a network sees.
        targets: share of every class in a pixel, summing to 1.
    """

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, eq=False)
class CoarseSource:
    """Batches for the coarse network: whole slices."""

    patients: Sequence[TrainingPatient]
    design: Design

    def draw(self, count: int, generator: torch.Generator) -> Examples:
        """Random slices in random views."""
        pixel_mm = self.design.coarse.pixel_mm
        largest = np.max([patient.coarse[0].extent_mm for patient in self.patients], axis=0)
        rows, columns = (int(np.ceil(size / pixel_mm / 16)) * 16 for size in largest)
        views = sample_views(count, generator)
        parts = []
        for n in range(count):
            patient = self.patients[_pick(len(self.patients), generator)]
            volume = patient.coarse[_pick(len(patient.coarse), generator)]
            k = _pick(len(volume.images), generator)
            centre_mm = torch.tensor([volume.extent_mm[1], volume.extent_mm[0]]) / 2 + views.shift_mm[n]
            layers = torch.cat([_near(volume, k), volume.shares[:, k] / 255])
            parts.append(cut(layers, volume.extent_mm, centre_mm, views.source_from_view[n], (rows, columns), pixel_mm))
        return _examples(torch.stack(parts), views, generator)


@dataclass(frozen=True, eq=False)
class FineSource:
    """Batches for the fine network: windows around bone, with the coarse network's answer.

    Attributes:
        patients: to draw from.
        contexts: per patient and coarse thickness, a sample of the coarse network's answer, in 255ths.
        design: of the segmenter.
        window_px: rows and columns of a window.
    """

    patients: Sequence[TrainingPatient]
    contexts: Sequence[Sequence[UInt8[Tensor, "bones k rows columns"]]]
    design: Design
    window_px: int

    def draw(self, count: int, generator: torch.Generator) -> Examples:
        """Random windows in random views."""
        pixel_mm, shape = self.design.fine.pixel_mm, (self.window_px, self.window_px)
        views = sample_views(count, generator)
        parts = []
        for n in range(count):
            who = _pick(len(self.patients), generator)
            # Thin slices more often than thick ones.
            thickness = min(_pick(len(THICKER), generator), _pick(len(THICKER), generator))
            volume = self.patients[who].fine[thickness]
            answer = self.contexts[who][COARSE_OF_FINE[thickness]]
            k, *pixel = volume.bone[_pick(len(volume.bone), generator)]
            sizes = volume.images.shape[1:]
            y_mm, x_mm = ((p + 0.5) * e / s for p, e, s in zip(pixel, volume.extent_mm, sizes, strict=True))
            centre_mm = torch.tensor([x_mm, y_mm], dtype=torch.float32) + views.shift_mm[n]
            layers = torch.cat([_near(volume, k), volume.shares[:, k] / 255])
            where = (views.source_from_view[n], shape, pixel_mm)
            seen = cut(layers, volume.extent_mm, centre_mm, *where)
            layer = _layer(answer, (k + 0.5) / len(volume.images))
            shifted_mm = centre_mm + views.context_shift_mm[n]
            context = cut(layer, volume.extent_mm, shifted_mm, *where)
            parts.append(torch.cat([seen[:3], context, seen[3:]]))
        return _examples(torch.stack(parts), views, generator)


def _pick(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def _near(volume: LabelledSlices, k: int) -> Tensor:
    """A slice with its neighbours."""
    last = len(volume.images) - 1
    return volume.images[[max(k - 1, 0), k, min(k + 1, last)]].float()


def _layer(answer: UInt8[Tensor, "bones k rows columns"], height: float) -> Tensor:
    """A coarse volume at a height between 0 and 1, interpolated between its slices."""
    position = min(max(height * answer.shape[1] - 0.5, 0.0), answer.shape[1] - 1.0)
    below = int(position)
    above = min(below + 1, answer.shape[1] - 1)
    return torch.lerp(answer[:, below].float(), answer[:, above].float(), position - below) / 255


def _examples(layers: Tensor, views: Views, generator: torch.Generator) -> Examples:
    """Split sampled layers into inputs and targets; beyond the slice all is background."""
    bones = layers[:, -3:]
    targets = torch.cat([1 - bones.sum(dim=1, keepdim=True), bones], dim=1)
    images = with_brightness(layers[:, :3], views, generator)
    return Examples(torch.cat([images, layers[:, 3:-3]], dim=1), targets)
