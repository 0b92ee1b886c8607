"""Training of a segmenter on labelled patients: the coarse network first, then the fine one on its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from osteoray.segmentation.network import BayesianUNet
from osteoray.segmentation.segmenter import Design, Segmenter, coarse_samples
from osteoray.segmentation.training_slices import CoarseSource, Examples, FineSource, TrainingPatient


@dataclass(frozen=True)
class Stage:
    """How long and how fast to train one network.

    Attributes:
        steps: optimiser steps.
        batch: slices or windows per step.
        learning_rate: peak of the one-cycle schedule.
    """

    steps: int
    batch: int
    learning_rate: float


@dataclass(frozen=True)
class Schedule:
    """How to train both networks.

    Attributes:
        coarse: stage of the coarse network.
        fine: stage of the fine network.
        window_px: rows and columns of the fine network's windows.
        weight_decay: of AdamW.
        seed: of weights, order, views and dropout.
        report_steps: steps between snapshots.
    """

    coarse: Stage
    fine: Stage
    window_px: int
    weight_decay: float
    seed: int
    report_steps: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """State of the training after a step.

    Attributes:
        network: "coarse" or "fine", the one in training.
        step: steps done on it.
        loss: mean loss since the snapshot before.
        segmenter: both networks.
        resume: all that continues the same run, loadable with `weights_only=True`.
    """

    network: str
    step: int
    loss: float
    segmenter: Segmenter
    resume: dict


class Source(Protocol):
    """Where batches come from."""

    def draw(self, count: int, generator: torch.Generator) -> Examples:
        """A random batch."""
        ...


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
    patients: Sequence[TrainingPatient],
    design: Design,
    schedule: Schedule,
    device: str = "cpu",
    resume: dict | None = None,
) -> Iterator[Snapshot]:
    """Train a segmenter; yield a snapshot every `report_steps` steps of either network and at its end.

    The segmenter of the last snapshot is the trained one; call `.eval()` on neither network, `segment_ct` does.

    Args:
        patients: at least one, prepared by `training_patient` for the same design.
        design: of the segmenter.
        schedule: how to train.
        device: "cpu" or "cuda".
        resume: `Snapshot.resume` of an interrupted run with the same arguments.
    """
    torch.manual_seed(schedule.seed)
    segmenter = Segmenter.untrained(design).to(device)
    done, before = (resume["coarse"], resume["fine"]) if resume else (None, None)
    coarse = CoarseSource(patients, design)
    for step, loss, state in fit(segmenter.coarse, coarse, schedule.coarse, schedule, schedule.seed, done):
        # A snapshot of the coarse network alone would forget what the fine one has learned.
        if before is None:
            yield Snapshot("coarse", step, loss, segmenter, {"coarse": state, "fine": None})
        done = state
    torch.manual_seed(schedule.seed + 1)
    fine = FineSource(patients, contexts(segmenter, patients), design, schedule.window_px)
    for step, loss, state in fit(segmenter.fine, fine, schedule.fine, schedule, schedule.seed + 1, before):
        yield Snapshot("fine", step, loss, segmenter, {"coarse": done, "fine": state})


def contexts(
    segmenter: Segmenter, patients: Sequence[TrainingPatient]
) -> list[list[UInt8[Tensor, "bones k rows columns"]]]:
    """A sample of the coarse network's answer on the slices it was trained on, in 255ths."""
    segmenter.coarse.eval()
    with torch.inference_mode():
        return [
            [
                (255 * coarse_samples(segmenter.coarse, volume.images.float().to(segmenter.device), 1)[0])
                .round()
                .byte()
                .cpu()
                for volume in patient.coarse
            ]
            for patient in patients
        ]


def fit(
    network: BayesianUNet, source: Source, stage: Stage, schedule: Schedule, seed: int, resume: dict | None
) -> Iterator[tuple[int, float, dict]]:
    """Train one network, and yield steps done, mean loss and state; a run that had ended yields its end again."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=stage.learning_rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.learning_rate, total_steps=stage.steps + 1, pct_start=0.2
    )
    device = next(network.parameters()).device
    first = 0
    if resume is not None:
        first = resume["step"]
        network.load_state_dict(resume["weights"])
        optimiser.load_state_dict(resume["optimiser"])
        cycle.load_state_dict(resume["cycle"])
        generator.set_state(resume["generator"])
        _set_dropout_state(device, resume["dropout"])
        if first == stage.steps:
            yield first, resume["loss"], resume
    network.train()
    losses = []
    for step in range(first + 1, stage.steps + 1):
        batch = source.draw(stage.batch, generator)
        loss = segmentation_loss(network(batch.inputs.to(device)), batch.targets.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
        losses.append(loss.item())
        if step % schedule.report_steps == 0 or step == stage.steps:
            mean_loss = float(np.mean(losses))
            state = {
                "step": step,
                "loss": mean_loss,
                "weights": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "cycle": cycle.state_dict(),
                "generator": generator.get_state(),
                "dropout": _dropout_state(device),
            }
            yield step, mean_loss, state
            losses = []


def _dropout_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_dropout_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state.cpu(), device)
    else:
        torch.set_rng_state(state)
