"""Training of the Bayesian U-Net on labelled slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from osteoray.segmentation.augmentation import apply_views, sample_views
from osteoray.segmentation.network import BayesianUNet, Shape, in_channels_last


@dataclass(frozen=True, eq=False)
class LabelledSlices:
    """Slices of one patient.

    Attributes:
        images: 0..1 inside the HU window.
        classes: labels of `BoneClass`.
    """

    images: Float32[np.ndarray, "k rows columns"]
    classes: UInt8[np.ndarray, "k rows columns"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps.
        batch: slices per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        seed: of weights, order, views and dropout.
        report_steps: steps between snapshots.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    seed: int
    report_steps: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """State of the training after a step.

    Attributes:
        step: steps done.
        loss: mean loss since the snapshot before.
        network: the network.
        resume: all that continues the same run, loadable with `weights_only=True`.
    """

    step: int
    loss: float
    network: BayesianUNet
    resume: dict


def segmentation_loss(
    logits: Float[Tensor, "n classes rows columns"], target: Float[Tensor, "n classes rows columns"]
) -> Float[Tensor, ""]:
    """Cross entropy plus one minus the mean soft Dice over all classes but the background.

    Args:
        logits: of the network.
        target: share of each class in a pixel, summing to 1.
    """
    cross_entropy = functional.cross_entropy(logits, target)
    probability, wanted = logits.softmax(dim=1)[:, 1:], target[:, 1:]
    overlap = (probability * wanted).sum(dim=(0, 2, 3))
    total = (probability**2).sum(dim=(0, 2, 3)) + (wanted**2).sum(dim=(0, 2, 3))
    return cross_entropy + 1 - ((2 * overlap + 1) / (total + 1)).mean()


def train(
    patients: Sequence[LabelledSlices], shape: Shape, schedule: Schedule, resume: dict | None = None
) -> Iterator[Snapshot]:
    """Train, and yield a snapshot every `report_steps` steps and at the end.

    Args:
        patients: at least one; slices of different sizes are padded around their centre.
        shape: size of the network.
        schedule: how to train.
        resume: `Snapshot.resume` of an interrupted run with the same arguments.
    """
    images, labels = _stack(patients)
    torch.manual_seed(schedule.seed)
    generator = torch.Generator().manual_seed(schedule.seed)
    network = in_channels_last(BayesianUNet(shape))
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.learning_rate, total_steps=schedule.steps + 1, pct_start=0.2
    )
    first = 0
    if resume is not None:
        first = resume["step"]
        network.load_state_dict(resume["weights"])
        optimiser.load_state_dict(resume["optimiser"])
        cycle.load_state_dict(resume["cycle"])
        generator.set_state(resume["generator"])
        torch.set_rng_state(resume["dropout"])
    network.train()
    losses = []
    for step in range(first + 1, schedule.steps + 1):
        chosen = torch.randint(len(images), (schedule.batch,), generator=generator)
        views = sample_views(schedule.batch, (images.shape[-2], images.shape[-1]), generator)
        shares = functional.one_hot(labels[chosen].long(), shape.classes).movedim(-1, 1).float()
        image, target = apply_views(images[chosen], shares, views)
        loss = segmentation_loss(network(image.contiguous(memory_format=torch.channels_last)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
        losses.append(loss.item())
        if step % schedule.report_steps == 0 or step == schedule.steps:
            state = {
                "step": step,
                "weights": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "cycle": cycle.state_dict(),
                "generator": generator.get_state(),
                "dropout": torch.get_rng_state(),
            }
            yield Snapshot(step, float(np.mean(losses)), network, state)
            losses = []


def _stack(patients: Sequence[LabelledSlices]) -> tuple[Tensor, Tensor]:
    """All slices in one array as large as the largest, zero outside."""
    rows = max(p.images.shape[1] for p in patients)
    columns = max(p.images.shape[2] for p in patients)
    # Multiples of 16 spare the network its own padding.
    rows, columns = rows + -rows % 16, columns + -columns % 16
    images, labels = [], []
    for patient in patients:
        before = ((rows - patient.images.shape[1]) // 2, (columns - patient.images.shape[2]) // 2)
        after = (rows - patient.images.shape[1] - before[0], columns - patient.images.shape[2] - before[1])
        margin = ((0, 0), (before[0], after[0]), (before[1], after[1]))
        images.append(np.pad(patient.images, margin))
        labels.append(np.pad(patient.classes, margin))
    return torch.from_numpy(np.concatenate(images))[:, None], torch.from_numpy(np.concatenate(labels))
